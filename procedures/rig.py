"""The instruments of a station, ready to be connected."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .drivers import LaserTable, TimeHarpTable
from .errors import RefusedError

if TYPE_CHECKING:
    from ..instruments.base import Device
    from ..instruments.clock import Clock
    from ..instruments.delay_stage import DelayStage
    from ..instruments.photon_counter import PhotonCounter
    from ..instruments.point_detector import PointDetector
    from ..instruments.potentiostat import Potentiostat
    from ..instruments.pulse_shaper import PulseShaper
    from ..instruments.pulsed_laser import PulsedLaser
    from ..instruments.spectrum_detector import SpectrumDetector
    from ..instruments.stage import Stage
    from .drivers import SimulatedBench
    from .instrument_lock import InstrumentLocks
    from .station import Station
    from .station_tables import InterferometerTable

ROLES = (
    "laser",
    "counter",
    "potentiostat",
    "stage",
    "shaper",
    "detector",
    "point_detector",
    "delay",
    "gate",
)
"""Instrument tables of a station, in the order in which they are made safe: light off first."""


class Rig:
    """The instruments of a station by their roles; one that the station lacks is refused when asked for."""

    laser: PulsedLaser
    counter: PhotonCounter
    potentiostat: Potentiostat
    stage: Stage
    shaper: PulseShaper
    detector: SpectrumDetector
    point_detector: PointDetector
    delay: DelayStage
    """The stage that delays pulse 3: t2."""
    gate: DelayStage
    """The stage that delays the local oscillator or gate, where t3 is scanned."""

    def __init__(
        self,
        station: Station,
        clock: Clock,
        bench: SimulatedBench | None,
        work: tempfile.TemporaryDirectory[str],
        devices: Mapping[str, Device],
        ask: Callable[[str], str] = input,
        locks: InstrumentLocks | None = None,
    ) -> None:
        self.station, self.clock, self.bench, self.work = station, clock, bench, work
        self.ask: Callable[[str], str] = getattr(bench, "answer", ask)
        """Shows a question to whoever stands at the rig and returns the answer."""
        self._devices, self._locks = dict(devices), locks
        vars(self).update(self._devices)

    def __getattr__(self, role: str) -> Device:
        """A role that the station has no instrument for; raises RefusedError."""
        if role not in ROLES:
            raise AttributeError(f"a rig has no {role!r}")
        raise RefusedError(
            f"{self.station.path}: has no [{role}] table; add the {role}, or use a station that has one"
        )

    @property
    def laser_table(self) -> LaserTable:
        """The station's settings of the laser."""
        table = self.station.tables["laser"]
        assert isinstance(table, LaserTable)
        return table

    @property
    def calibration(self) -> dict[str, Any]:
        """What a blank on this rig gave, as numbers; raises RefusedError where the station has none."""
        if self.station.file.calibration is None:
            raise RefusedError(f"{self.station.path}: has no [calibration] table; see docs/blank.md")
        return self.station.file.calibration

    @property
    def interferometer(self) -> InterferometerTable:
        """How the local oscillator meets the signal; raises RefusedError where the station does not tell."""
        if self.station.file.interferometer is None:
            raise RefusedError(
                f"{self.station.path}: has no [interferometer] table; see docs/spectrometer.md"
            )
        return self.station.file.interferometer

    @property
    def count_rate_limit_hz(self) -> float:
        """The rate per detector above which a run is ended, in hertz."""
        table = self.station.tables.get("counter")
        return table.count_rate_limit_hz if isinstance(table, TimeHarpTable) else math.inf

    def devices(self) -> Iterator[tuple[str, Device]]:
        """Role and instrument, in the order in which they are made safe: nobody waits for a person."""
        yield from sorted(self._devices.items(), key=lambda pair: pair[1].manual)

    def make_safe(self) -> list[str]:
        """Make every instrument safe; returns what went wrong, one sentence each, and never raises."""
        return self._on_each("make_safe")

    def close(self) -> list[str]:
        """Make safe and disconnect everything; returns what went wrong, and never raises."""
        problems = self._on_each("disconnect")
        self.work.cleanup()
        if self._locks is not None:
            self._locks.release()
        return problems

    def _on_each(self, verb: str) -> list[str]:
        problems: list[str] = []
        for role, device in self.devices():
            try:
                getattr(device, verb)()
            except Exception as error:  # one instrument's failure must not keep the others unsafe
                problems.append(f"{role}: {error}")
        return problems
