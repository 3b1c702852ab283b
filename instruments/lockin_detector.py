"""A photodiode on a lock-in amplifier as a point detector: any of pymeasure's drivers that reads X and Y."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from pymeasure.instruments.srs.sr830 import LIAStatus

from .base import Device, Identity, InstrumentError, NotConnectedError, OutOfRangeError
from .clock import Clock
from .point_detector import PointDetector, Readings

_OVERLOAD = LIAStatus.INPUT_OVERLOAD | LIAStatus.FILTER_OVERLOAD | LIAStatus.OUTPUT_OVERLOAD


class LockinDetector(Device, PointDetector):
    """Reads X and Y after `settle_time_constants` of the output filter.

    `open_lockin` makes the pymeasure instrument (SR830, SR860, DSP 7225, DSP 7265: whatever has `id`,
    `time_constant` and `snap`, `xy`, or `x` and `y`). `time_constant_s` is set exactly: pymeasure would take
    the next larger one there is, without a word.
    """

    def __init__(
        self,
        open_lockin: Callable[[], Any],
        *,
        clock: Clock,
        time_constant_s: float,
        settle_time_constants: float = 7.0,
        name: str = "lock-in",
    ) -> None:
        self.name = name
        self._open, self._clock = open_lockin, clock
        self._time_constant_s, self._settle = time_constant_s, settle_time_constants
        self.reading_s = settle_time_constants * time_constant_s
        self._lock = threading.RLock()
        self._lockin: Any = None
        self._identity: Identity | None = None

    def connect(self) -> Identity:
        """Open the connection, ask who is there, and set the time constant.

        Raises OutOfRangeError for a time constant that the lock-in does not have.
        """
        with self._lock:
            if self._lockin is None or self._identity is None:
                self._lockin = self._open()
                try:
                    self._identity = self._who()
                    self._set_time_constant()
                except BaseException:
                    self.disconnect()
                    raise
            return self._identity

    def disconnect(self) -> None:
        """Close the connection; does nothing when there is none."""
        with self._lock:
            lockin, self._lockin = self._lockin, None
            if lockin is not None:
                lockin.adapter.close()

    def make_safe(self) -> None:
        """A lock-in only listens: it stays as it is."""

    def settings(self) -> dict[str, object]:
        """Identity and filter, as a run file records them."""
        if self._lockin is None:
            return {}
        return {
            "identity": str(self._identity),
            "time_constant_s": self._time_constant_s,
            "settle_time_constants": self._settle,
        }

    def readings(self, n: int, *, tag: int = 0) -> Readings:
        """Take `n` readings, each after the filter has settled: X + iY in volts.

        Raises InstrumentError when the lock-in says that it is overloaded or has lost its reference.
        """
        if n < 1:
            raise OutOfRangeError(f"{self.name}: {n!r} readings are none")
        with self._lock:
            if self._lockin is None:
                raise NotConnectedError(f"{self.name}: connect first")
            value, time_s = np.empty(n, np.complex128), np.empty(n)
            for k in range(n):
                time_s[k] = self._clock.now()
                self._clock.sleep(self.reading_s)
                value[k] = self._xy()
                self._check_status()
        return Readings(value, np.full(n, tag, np.int64), time_s)

    # ---- inside ----

    def _who(self) -> Identity:
        try:
            text = str(self._lockin.id)
        except NotImplementedError:  # pymeasure's SR860 does not know that it can be asked
            text = str(self._lockin.ask("*IDN?"))
        simulated = getattr(self._lockin.adapter, "simulated", False)
        if "," not in text:  # a DSP says its number and nothing else
            return Identity("", text.strip(), simulated=simulated)
        vendor, model, serial, version, *_ = *(part.strip() for part in text.split(",")), "", "", ""
        return Identity(vendor, model, serial, version, simulated)

    def _set_time_constant(self) -> None:
        self._lockin.time_constant = self._time_constant_s
        got_s = self._lockin.time_constant
        if not math.isclose(got_s, self._time_constant_s, rel_tol=1e-6):
            raise OutOfRangeError(
                f"{self.name}: time_constant_s = {self._time_constant_s!r} is none that this lock-in has; "
                f"the next one is {got_s!r}"
            )

    def _xy(self) -> complex:
        kind = type(self._lockin)  # asking the instance for a property would send its query
        if hasattr(kind, "snap"):
            x, y, *_ = self._lockin.snap("X", "Y")
        elif hasattr(kind, "xy"):
            x, y, *_ = self._lockin.xy
        else:
            x, y = self._lockin.x, self._lockin.y
        if not (isinstance(x, float) and isinstance(y, float)):
            raise InstrumentError(f"{self.name}: {x!r}, {y!r} came where X and Y were expected")
        return complex(x, y)

    def _check_status(self) -> None:
        """What an SR830 tells of the time since it was last asked; the others do not tell."""
        if not hasattr(type(self._lockin), "lia_status"):
            return
        status = self._lockin.lia_status
        if status & _OVERLOAD:
            raise InstrumentError(f"{self.name}: overloaded ({status!r}); choose a larger sensitivity")
        if status & LIAStatus.REF_UNLOCK:
            raise InstrumentError(f"{self.name}: the reference is lost; check the chopper and its cable")
