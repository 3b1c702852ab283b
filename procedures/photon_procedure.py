"""What every photon experiment shares: light and counter set up and checked, photons recorded throughout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..instruments.base import InstrumentError
from ..instruments.photon_counter import CounterSettings, InputSettings, TttrMode
from ..instruments.potentiostat import PotentiostatRecord, PotentiostatRun, Technique
from .errors import QdlabError
from .rig_procedure import POLL_S, Plan, RigProcedure
from .station import Rig, TimeHarpTable

EXPECTED_RATE_HZ = 40_000
"""Photon rate assumed in estimates; a bright single dot gives 35 kc/s."""
BYTES_PER_WORD = 4
BYTES_PER_PHOTON = 4
"""In the run file, compressed."""
PULSES_PER_OVERFLOW = 1024
SYNC_TOLERANCE = 0.01
SPARE_S = 60.0
"""A measurement is started for this much longer than planned; the procedure ends it."""


class PhotonProcedure(RigProcedure):
    """A procedure during which photons are recorded in T3 mode, with or without the potentiostat."""

    DATA_COLUMNS: ClassVar[list[str]] = ["Time (s)", "Potential (V)", "Photons", "Count rate (Hz)"]

    _run: PotentiostatRun | None = None
    _last_row_s = 0.0

    def photon_plan(self, rig: Rig, duration_s: float, sentence: str) -> Plan:
        """The plan of `duration_s` seconds of photons: how many, and how much disk."""
        photons = duration_s * EXPECTED_RATE_HZ
        overflows = duration_s * rig.laser_table.repetition_rate_hz / PULSES_PER_OVERFLOW
        disk_bytes = (photons + overflows) * BYTES_PER_WORD + photons * BYTES_PER_PHOTON
        return Plan(duration_s, disk_bytes, photons, sentence)

    def start_photons(self, *, unlock: bool = True) -> None:
        """Set laser and counter, check the sync rate, let light in, and start to record."""
        rig, laser = self.rig, self.rig.laser_table
        rig.laser.set_pulses(laser.repetition_rate_hz, laser.intensity)
        rig.counter.configure(counter_settings(rig))
        measured_hz = rig.counter.sync_rate_hz
        if abs(measured_hz / laser.repetition_rate_hz - 1) > SYNC_TOLERANCE:
            raise QdlabError(
                f"the counter sees a sync rate of {measured_hz:.6g} Hz, but the laser is set to "
                f"{laser.repetition_rate_hz:.6g} Hz: check the sync cable and the laser's settings"
            )
        if unlock:
            rig.laser.unlock()
        for warning in rig.counter.warnings():
            self.note(f"counter warns: {warning}")
        longest_s = 1.5 * self._plan.duration_s + SPARE_S
        self.photons.start(longest_s, 1.0 / laser.repetition_rate_hz, rig.clock.now())
        self._last_row_s = rig.clock.now()
        self.note("photon measurement started")

    def run_potentiostat(self, program: Sequence[Technique], phase: str) -> list[PotentiostatRecord]:
        """Run a program to its end while photons are recorded, and store what it brought."""
        rig = self.rig
        self._run = run = rig.potentiostat.start(program)
        self.record.header.setdefault("potentiostat_start_s", rig.clock.now())
        self.note(f"potentiostat program started, about {run.planned_s:.0f} s")
        try:
            while not run.done():
                self.wait(POLL_S, phase)
                self._emit_row_each_second()
            records = run.result()
        except BaseException:
            try:
                run.abort()
            except InstrumentError as error:
                self.note_problem("potentiostat", error)
            self.record.add_potentiostat(run.partial_result())
            raise
        self.record.add_potentiostat(records)
        for warning in dict.fromkeys(w for record in records for w in record.warnings):
            self.warn(f"potentiostat: {warning}")
        self.note("potentiostat program ended")
        return records

    def commanded_potential_v(self) -> float | None:
        """What the potentiostat's plan says by the host's clock."""
        return self._run.commanded_potential_v() if self._run else None

    def _emit_row_each_second(self) -> None:
        now_s = self.rig.clock.now()
        if now_s - self._last_row_s < 1.0:
            return
        self._last_row_s = now_s
        potential_v = self.commanded_potential_v()
        self.emit_row(
            {
                "Time (s)": self.photons.duration_s,
                "Potential (V)": float("nan") if potential_v is None else potential_v,
                "Photons": self.photons.total,
                "Count rate (Hz)": float(self.photons.rates_hz.sum()),
            }
        )


def counter_settings(rig: Rig) -> CounterSettings:
    """T3 settings of a station: discriminators, delays, and the marker lines that it has wired."""
    table = rig.station.tables["counter"]
    assert isinstance(table, TimeHarpTable)
    markers = rig.station.file.markers
    wired = {markers.potential_falling, markers.potential_rising} if markers else set()
    falling = markers.potential_falling if markers else 0
    return CounterSettings(
        mode=TttrMode.T3,
        sync=InputSettings(*table.sync_cfd_mv, table.sync_offset_ps),
        inputs=tuple(
            InputSettings(*cfd_mv, offset_ps)
            for cfd_mv, offset_ps in zip(table.input_cfd_mv, table.input_offset_ps, strict=True)
        ),
        marker_rising=(falling != 1, falling != 2, falling != 3, falling != 4),
        marker_enabled=(1 in wired, 2 in wired, 3 in wired, 4 in wired),
    )
