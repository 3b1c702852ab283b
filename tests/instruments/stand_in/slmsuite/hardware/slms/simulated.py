"""A panel that is not there."""

from .slm import SLM


class SimulatedSLM(SLM):
    def __init__(self, resolution, pitch_um=(8, 8), source=None, gamma_sim=None, **kwargs):
        super().__init__(resolution, pitch_um=pitch_um, **kwargs)
        self.set_phase(None)

    def close(self):
        pass

    def _set_phase_hw(self, display):
        pass
