"""What every photon experiment shares: light and counter set up and checked, photons recorded throughout."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import ClassVar

from ..instruments.base import InstrumentError
from ..instruments.photon_counter import CounterSettings, CountingError, InputSettings, TttrMode
from ..instruments.potentiostat import PotentiostatRecord, PotentiostatRun, Technique
from .drivers import E545Table, TimeHarpTable
from .errors import QdlabError
from .interlocks import OVERLOAD, PHOTONS, STAGE
from .photon_recording import PhotonRecording
from .rig import Rig
from .rig_procedure import POLL_S, Plan, Progress, RigProcedure

log = logging.getLogger(__name__)

EXPECTED_RATE_HZ = 40_000
"""Photon rate assumed in estimates; a bright single dot gives 35 kc/s."""
BYTES_PER_WORD = 8
"""Once while the run goes on, once more in the run file."""
BYTES_PER_PHOTON = 3.5
"""In the run file beside its word, compressed."""
PULSES_PER_OVERFLOW = 1024
SYNC_TOLERANCE = 0.01
LATEST_S = 2.0
"""The counter's records may come so late."""
SPARE_S = 60.0
"""A measurement is started for this much longer than planned; the procedure ends it."""
NO_PHOTONS_S = 2.0
"""A measurement without any count for so long is not a dark one but a broken one."""
MOST_PAUSED_S = 12 * 3600.0
"""It is also started for so much longer, for pauses."""
LONGEST_S = 360_000.0
CLOSING_S = 0.5
"""Photons are recorded this long behind the potentiostat's end."""
HELD_TRAIL_S = 1.0
"""A held potential is noted so often."""
WATCH_S = 0.01
"""Photons are fetched and looked at so often, by the wall's clock."""
STUCK_S = 120.0
"""A run that has not looked at its photons for so long hangs."""
UNWATCHED_S = 1.0
"""How often photons are fetched where nobody watches: on the twin at full speed."""
UNWATCHED_RATE_HZ = 1e6
"""Above this rate photons are fetched at every poll all the same: the counter's buffer is finite."""


class PhotonProcedure(RigProcedure):
    """A procedure during which photons are recorded in T3 mode, with or without the potentiostat."""

    DATA_COLUMNS: ClassVar[list[str]] = ["Time (s)", "Potential (V)", "Photons", "Count rate (Hz)"]

    needs = ("laser", "counter")

    photons: PhotonRecording
    potentiostat_records: list[PotentiostatRecord]
    """What the potentiostat has brought so far; only ever appended to, so that a live view may read it."""
    potential_trail: list[tuple[float, float]]
    """Time on the photons' clock (s) and commanded potential (V), ten a second in a ramp; nan: not known."""

    new_records: Sequence[PotentiostatRecord] = ()
    """Those of the potentiostat's last program, while they are looked at by the interlocks."""
    stage_asked_s, stage_was_off, stage_told = -math.inf, False, ""
    """What the interlock of the stage remembers."""

    interlocks = (*RigProcedure.interlocks, *PHOTONS)

    _run: PotentiostatRun | None = None
    _photons_from_s = 0.0
    _last_row_s = 0.0
    _unwatched = False
    _looked_s = 0.0

    # ---- the record ----

    def prepare_record(self) -> None:
        """Make the recording of photons; the engine of its live views is compiled in the background."""
        self.potentiostat_records, self.potential_trail = [], []
        self.photons = PhotonRecording(self.rig.counter, self.record)

    def look(self, phase: str) -> None:
        """Fetch photons, watch the limits, tell the progress; less often while `unwatched`."""
        if self._look_is_due():
            if self._unwatched and self.rig.bench is not None:
                self.rig.bench.clock.catch_up()
            self._looked_s = self.rig.clock.now()
            super().look(phase)

    def fetch(self) -> None:
        """Fetch photons; raises InstrumentError, and InterlockError where an interlock tells why."""
        try:
            self.photons.pump()
        except CountingError:
            self.check_interlocks()
            raise
        self._check_counter()

    def stuck(self) -> bool:
        """Whether photons are recorded and nobody has looked at them for long; a person may take his time."""
        watched = self.photons.recording and not self.rig.laser.manual
        return watched and self.rig.clock.now() - self._looked_s > STUCK_S

    def look_every_s(self) -> float:
        """A hundredth of a second of the wall while photons are recorded, and not longer than POLL_S."""
        bench = self.rig.bench
        speed = bench.clock.speed if bench else 1.0
        return min(POLL_S, WATCH_S * speed) if self.photons.recording else POLL_S

    def finish_recording(self) -> None:
        """Stop the counter and store what it still holds."""
        self.photons.finish()

    def measured(self) -> Progress:
        """Photons, rate and potential."""
        rate_hz, potential_v = float(sum(self.photons.rates_hz)), self.commanded_potential_v()
        bias = "" if potential_v is None else f" {potential_v:+.2f} V"
        return Progress(
            told=f"{rate_hz / 1e3:5.1f} kc/s{bias} {self.photons.total / 1e6:.2f} M saved",
            photons=self.photons.total,
            rate_hz=rate_hz,
            potential_v=potential_v,
        )

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Within this, the twin at full speed fetches photons once a second instead of at every poll.

        The record is the same; what ends a run early is noticed up to a second later.
        """
        bench = self.rig.bench
        if bench is None or math.isfinite(bench.clock.speed):
            yield
            return
        self._unwatched = True
        try:
            with bench.clock.lagging():
                yield
        finally:
            self._unwatched = False

    def _look_is_due(self) -> bool:
        if not self._unwatched or not 0 < self.photons.rates_hz.sum() < UNWATCHED_RATE_HZ:
            return True
        return self.rig.clock.now() - self._looked_s >= UNWATCHED_S - 1e-6

    def _check_counter(self) -> None:
        if self.photons.duration_s > NO_PHOTONS_S and self.photons.total == 0:
            raise InstrumentError(
                f"not one photon in {NO_PHOTONS_S:g} s, not even a dark count: check that the detectors "
                "are on, connected and open"
            )
        if self.photons.recording and self.rig.counter.flags().events_dropped:
            self.warn(
                "the counter dropped events: the rate was too high for it at some time; attenuate the light"
            )

    # ---- what experiments use ----

    def photon_plan(self, rig: Rig, duration_s: float, sentence: str, *, spot_s: float | None = None) -> Plan:
        """The plan of `duration_s` seconds of photons, `spot_s` on one spot: how many, and how much disk."""
        photons = duration_s * EXPECTED_RATE_HZ
        overflows = duration_s * rig.laser_table.repetition_rate_hz / PULSES_PER_OVERFLOW
        disk_bytes = (photons + overflows) * BYTES_PER_WORD + photons * BYTES_PER_PHOTON
        return Plan(duration_s, disk_bytes, photons, sentence, spot_s)

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
        self.go_on()
        if unlock:
            rig.laser.unlock()
            self.go_on()
        for warning in rig.counter.warnings():
            self.note(f"counter warns: {warning}")
        longest_s = min(LONGEST_S, 1.5 * self._plan.duration_s + SPARE_S + MOST_PAUSED_S)
        self._looked_s = rig.clock.now()
        self._photons_from_s = rig.clock.now()
        self.photons.start(longest_s, 1.0 / laser.repetition_rate_hz, self._photons_from_s)
        self._last_row_s = rig.clock.now()
        self.note("photon measurement started")

    def run_potentiostat(
        self,
        program: Sequence[Technique],
        phase: str,
        enough: Callable[[PotentiostatRun], bool] | None = None,
        cycles_before: int = 0,
    ) -> list[PotentiostatRecord]:
        """Run a program while photons are recorded, and store what it brought.

        It runs to its end, or until `enough` (asked after every poll) says that it need not. Its cycles are
        numbered from `cycles_before` on.
        """
        rig = self.rig
        self.check_interlock(OVERLOAD)
        self.checkpoint()
        self._run = run = rig.potentiostat.start(program)
        self.record.header.setdefault("potentiostat_start_s", rig.clock.now())
        self.note(f"potentiostat program started, about {run.planned_s:.0f} s")
        try:
            with nullcontext() if enough else self.unwatched():
                while not (stopped := enough is not None and enough(run)) and not run.done():
                    self.wait(POLL_S, phase)
                    self.check_interlock(STAGE)
                    self._note_potential()
                    self.emit_row_each_second()
            self.record.header["potentiostat_end_s"] = rig.clock.now()
            if stopped:
                run.abort()
            records = run.partial_result() if stopped else run.result()
        except BaseException:
            self.record.header.setdefault("potentiostat_end_s", rig.clock.now())
            try:
                run.abort()
            except InstrumentError as error:
                self.note_problem("potentiostat", error)
            self._keep(run.partial_result(), cycles_before)
            raise
        self._keep(records, cycles_before)
        for warning in dict.fromkeys(w for record in records for w in record.warnings):
            self.warn(f"potentiostat: {warning}")
        self.check_interlocks()
        self.new_records = ()
        self.note("potentiostat program ended")
        return records

    def _keep(self, records: Sequence[PotentiostatRecord], cycles_before: int) -> None:
        numbered = [replace(record, first_cycle=record.first_cycle + cycles_before) for record in records]
        self.record.add_potentiostat(numbered)
        self.potentiostat_records += numbered
        self.new_records = numbered

    def _note_potential(self) -> None:
        potential_v = self.commanded_potential_v()
        now_s = self.rig.clock.now() - self._photons_from_s
        now_v = math.nan if potential_v is None else potential_v
        if self.potential_trail:
            last_s, last_v = self.potential_trail[-1]
            if now_s - last_s < (POLL_S if abs(now_v - last_v) > 0 else HELD_TRAIL_S) - 1e-6:
                return
        self.potential_trail.append((now_s, now_v))

    def commanded_potential_v(self) -> float | None:
        """What the potentiostat's plan says by the host's clock."""
        return self._run.commanded_potential_v() if self._run else None

    def wait_for_photons(self, until_s: float, phase: str) -> None:
        """Wait until the counter's records have come up to a time (s) of the photons' clock.

        Raises InstrumentError when they do not come.
        """
        for _ in range(round(LATEST_S / POLL_S)):
            if self.photons.duration_s >= until_s:
                return
            self.wait(POLL_S, phase)
        raise InstrumentError(
            f"the counter's records are {LATEST_S:g} s behind the clock: the computer or its disk is busy"
        )

    def emit_row_each_second(self) -> None:
        """Emit a row of DATA_COLUMNS if the last one is a second old."""
        now_s = self.rig.clock.now()
        if now_s - self._last_row_s < 1.0 - 1e-6:
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
    stage = rig.station.tables.get("stage")
    if isinstance(stage, E545Table) and stage.trigger_marker is not None:
        wired.add(stage.trigger_marker)
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


def hold_interval_s(hold_s: float) -> float:
    """The coarsest sample interval, 0.1 s or finer, that a hold is a whole number of."""
    whole = (i for i in (0.1, 0.05, 0.01) if abs(hold_s / i - round(hold_s / i)) < 1e-9)
    return min(next(whole, 0.001), hold_s)
