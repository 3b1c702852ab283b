"""A panel whose maker's software is not installed."""

import warnings

from .slm import SLM

warnings.warn("Holoeye SDK HEDS not installed.\nInstall to use Holoeye SLMs.", stacklevel=1)


class Holoeye(SLM):
    def __init__(self, preselect=None, wav_um=1, verbose=None, **kwargs):
        raise ImportError("SDK HEDS not installed. Install to use Holoeye SLMs.")

    def close(self):
        pass

    def _set_phase_hw(self, display):
        pass
