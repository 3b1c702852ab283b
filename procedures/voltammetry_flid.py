"""Voltammetry-FLID: sweep the bias of a single dot while every photon is time-tagged.

First a hold at the initial potential, the reference for X0 and X-, then the cycles
initial -> vertex -> initial; one potentiostat program, one photon measurement.
"""

from __future__ import annotations

from typing import ClassVar

from ..instruments.base import InstrumentError
from ..instruments.photon_counter import CounterSettings, InputSettings, TttrMode
from ..instruments.potentiostat import CyclicVoltammetry, Hold, PotentiostatRun, Technique
from .errors import QdlabError, RefusedError
from .parameters import count, exact_float
from .rig_procedure import Plan, RigProcedure
from .station import Rig, TimeHarpTable

EXPECTED_RATE_HZ = 40_000
"""Photon rate assumed in the estimate of the disk space; a bright single dot gives 35 kc/s."""
BYTES_PER_WORD = 4
BYTES_PER_PHOTON = 11 + 4
WORDS_PER_SYNC = 1 / 1024
SETTLING_S = 2.0
"""The measurement goes on this long behind the program's expected end."""


class VoltammetryFLID(RigProcedure):
    """Lifetime-intensity distribution of one dot against its bias."""

    kind = "voltammetry_flid"

    hold_s: float = exact_float(
        "Hold at initial potential", units="s", default=30.0, minimum=0.0, maximum=1e5
    )
    initial_v: float = exact_float("Initial potential", units="V", default=0.0, minimum=-10.0, maximum=10.0)
    vertex_v: float = exact_float("Vertex potential", units="V", default=-2.0, minimum=-10.0, maximum=10.0)
    scan_rate_v_s: float = exact_float("Scan rate", units="V/s", default=0.2, minimum=1e-4, maximum=100.0)
    cycles: int = count("Cycles", default=3, minimum=0, maximum=100_000)
    flid_bin_s: float = exact_float("FLID bin", units="s", default=0.02, minimum=1e-4, maximum=10.0)
    trace_bin_s: float = exact_float("Trace bin", units="s", default=0.02, minimum=1e-4, maximum=10.0)
    sensitivity_a_v: float = exact_float("Sensitivity", units="A/V", default=1e-5, minimum=1e-12, maximum=0.1)

    DATA_COLUMNS: ClassVar[list[str]] = ["Time (s)", "Potential (V)", "Photons", "Count rate (Hz)"]

    _run: PotentiostatRun | None = None

    def program(self) -> list[Technique]:
        """What the potentiostat will do."""
        program: list[Technique] = []
        if self.hold_s:
            program.append(
                Hold(
                    self.initial_v, self.hold_s, self._hold_interval_s(), sensitivity_a_v=self.sensitivity_a_v
                )
            )
        if self.cycles:
            program.append(
                CyclicVoltammetry(
                    self.initial_v,
                    self.vertex_v,
                    self.scan_rate_v_s,
                    self.cycles,
                    sensitivity_a_v=self.sensitivity_a_v,
                )
            )
        return program

    def _hold_interval_s(self) -> float:
        """The coarsest sample interval, 0.1 s or finer, that the hold is a whole number of."""
        whole = (i for i in (0.1, 0.05, 0.01) if abs(self.hold_s / i - round(self.hold_s / i)) < 1e-9)
        return min(next(whole, 0.001), self.hold_s)

    def preflight(self, rig: Rig) -> Plan:
        """Check potentials, bins and the potentiostat's plan; estimate time, photons and disk."""
        program = self.program()
        if not program:
            raise RefusedError("hold_s = 0 and cycles = 0: there is nothing to do")
        if self.cycles and abs(self.vertex_v - self.initial_v) < 0.01:
            raise RefusedError(
                f"vertex_v = {self.vertex_v!r} is less than 0.01 V from initial_v = {self.initial_v!r}: no sweep"
            )
        rig.potentiostat.check(program)
        potentiostat_s = rig.potentiostat.estimate_s(program)
        duration_s = potentiostat_s + SETTLING_S
        photons = duration_s * EXPECTED_RATE_HZ
        syncs = duration_s * rig.laser_table.repetition_rate_hz
        words = photons + min(syncs * WORDS_PER_SYNC, photons + 1)
        disk = words * BYTES_PER_WORD + photons * BYTES_PER_PHOTON
        hold = f"hold {self.hold_s:g} s at {self.initial_v:g} V, then " if self.hold_s else ""
        return Plan(
            duration_s,
            disk,
            photons,
            f"{hold}{self.cycles} cycles {self.initial_v:g} -> {self.vertex_v:g} -> {self.initial_v:g} V "
            f"at {self.scan_rate_v_s:g} V/s",
        )

    def perform(self) -> None:
        """Light on, photons on, then the potentiostat's program; see the module's docstring."""
        rig = self.rig
        sync_period_s = self._prepare_light_and_counter()
        self.photons.start(self._plan.duration_s * 1.5 + 60.0, sync_period_s, rig.clock.now())
        self.note("photon measurement started")
        self._run = run = rig.potentiostat.start(self.program())
        self.record.header["potentiostat_start_s"] = rig.clock.now()
        self.note(f"potentiostat program started, about {run.planned_s:.0f} s")
        try:
            last_row_s = rig.clock.now()
            while not run.done():
                self.wait(0.1, "measuring")
                if rig.clock.now() - last_row_s >= 1.0:
                    last_row_s = rig.clock.now()
                    self._emit_progress_row()
            records = run.result()
            self.record.add_potentiostat(records)
            for warning in dict.fromkeys(w for record in records for w in record.warnings):
                self.warn(f"potentiostat: {warning}")
        except BaseException:
            try:
                run.abort()
            except InstrumentError as error:
                self.note_problem("potentiostat", error)
            self.record.add_potentiostat(run.partial_result())
            raise
        self.note("potentiostat program ended")
        self.wait(0.5, "closing")

    def commanded_potential_v(self) -> float | None:
        """What the potentiostat's plan says by the host's clock."""
        return self._run.commanded_potential_v() if self._run else None

    def _prepare_light_and_counter(self) -> float:
        """Set laser and counter, check the sync rate, unlock; returns the sync period in seconds."""
        rig, laser = self.rig, self.rig.laser_table
        rig.laser.set_pulses(laser.repetition_rate_hz, laser.intensity)
        rig.counter.configure(counter_settings(rig))
        measured_hz = rig.counter.sync_rate_hz
        if abs(measured_hz / laser.repetition_rate_hz - 1) > 0.01:
            raise QdlabError(
                f"the counter sees a sync rate of {measured_hz:.6g} Hz, but the laser is set to "
                f"{laser.repetition_rate_hz:.6g} Hz: check the sync cable and the laser's settings"
            )
        rig.laser.unlock()
        for warning in rig.counter.warnings():
            self.note(f"counter warns: {warning}")
        return 1.0 / laser.repetition_rate_hz

    def _emit_progress_row(self) -> None:
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
