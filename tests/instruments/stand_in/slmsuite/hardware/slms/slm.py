"""The base class: integers of the panel's type go to the hardware as they are, others are refused."""

from abc import ABC, abstractmethod
from contextlib import suppress

import numpy as np


class SLM(ABC):
    def __init__(
        self,
        resolution,
        bitdepth=8,
        name="",
        wav_um=1,
        wav_design_um=None,
        pitch_um=(8, 8),
        settle_time_s=0.3,
        gpu=None,
    ):
        self.shape = (resolution[1], resolution[0])
        self.bitdepth = bitdepth
        self.dtype = np.dtype(np.uint8 if bitdepth <= 8 else np.uint16)
        self.display = np.zeros(self.shape, self.dtype)

    def __del__(self):
        with suppress(Exception):
            self.close()

    @abstractmethod
    def close(self): ...

    @abstractmethod
    def _set_phase_hw(self, display): ...

    def set_phase(self, phase, phase_correct=None, settle=None, execute=None, block=None, **kwargs):
        if phase is None:
            phase = np.full(self.shape, 2**self.bitdepth - 1, self.dtype)
        if phase.dtype != self.dtype or phase.max() >= 2**self.bitdepth:
            raise TypeError(f"{phase.dtype} up to {phase.max()} on {self.bitdepth} bits")
        np.copyto(self.display, phase)
        self._set_phase_hw(self.display, **kwargs)
        return self.display
