"""HBT: photon pairs of one dot at rest or at a held potential, for g2(0) and the peaks beside it.

The potential is on for a settling time before the measurement begins, so that no photon of another
potential is in it however late the potentiostat's program started.
"""

from __future__ import annotations

from ..analysis.antibunching import counted_pairs, pair_counter, zero_over_lagging
from ..formats.tttr import TttrBlock
from ..instruments.potentiostat import Hold, PotentiostatRun, Technique
from .interlocks import STAGE
from .parameters import count, exact_float
from .photon_procedure import CLOSING_S, PhotonProcedure, hold_interval_s
from .rig import Rig
from .rig_procedure import POLL_S, Plan

SETTLE_S = 2.0
"""Hold before the measured one: its result says that the potential is on."""
SPARE_S = 1.0
"""The hold is longer than the measurement by this, for the doubt about its beginning and end."""


class HBT(PhotonProcedure):
    """Antibunching of one dot with two detectors."""

    kind = "hbt"

    potential_v: float = exact_float("Potential", units="V", default=0.0, minimum=-10.0, maximum=10.0)
    use_potentiostat: int = count("Use the potentiostat (0 or 1)", default=1, minimum=0, maximum=1)
    duration_s: float = exact_float("Duration", units="s", default=120.0, minimum=1.0, maximum=8e4)
    precision: float = exact_float(
        "Stop when g2(0) is known to (0 for never)", default=0.0, minimum=0.0, maximum=1.0
    )
    trace_bin_s: float = exact_float("Trace bin", units="s", default=0.1, minimum=1e-4, maximum=10.0)
    sensitivity_a_v: float = exact_float("Sensitivity", units="A/V", default=1e-5, minimum=1e-12, maximum=0.1)

    _potential_on = False
    _counted: TttrBlock | None = None
    _looked_at_g2_s = 0.0

    def program(self) -> list[Technique]:
        """What the potentiostat will do; nothing where it is not used."""
        if not self.use_potentiostat:
            return []
        return [
            Hold(self.potential_v, hold_s, hold_interval_s(hold_s), sensitivity_a_v=self.sensitivity_a_v)
            for hold_s in (SETTLE_S, self.duration_s + SPARE_S)
        ]

    def preflight(self, rig: Rig) -> Plan:
        """Check the potential and the potentiostat's plan; estimate time, photons and disk."""
        program = self.program()
        duration_s = self.duration_s
        if program:
            rig.potentiostat.check(program)
            duration_s = rig.potentiostat.estimate_s(program) + CLOSING_S
        until = f", or until g2(0) is known to {self.precision:g}" if self.precision else ""
        where = f"at {self.potential_v:g} V" if program else "with the cell at rest"
        return self.photon_plan(rig, duration_s, f"photon pairs for {self.duration_s:g} s {where}{until}")

    def perform(self) -> None:
        """Light on, photons on, then the potential, until the time is over or g2(0) is known."""
        self.start_photons()
        self._live = pair_counter(
            1.0 / self.rig.laser_table.repetition_rate_hz,
            self.rig.counter.resolution_ps,
            self.rig.counter.n_inputs,
        )
        if program := self.program():
            self.run_potentiostat(program, "measuring", self._is_known if self.precision else None)
            self.wait(CLOSING_S, "closing")
        else:
            self._wait_at_rest()

    def _wait_at_rest(self) -> None:
        end_s = self.rig.clock.now() + self.duration_s
        while (left_s := end_s - self.rig.clock.now()) > 1e-6:
            self.wait(min(POLL_S, left_s), "measuring")
            self.emit_row_each_second()
            self.check_interlock(STAGE)
            if self.precision and self._is_known(None):
                return

    def fetch(self) -> None:
        """Fetch photons, and count the pairs in what came while the potential is on."""
        super().fetch()
        block = self.photons.latest
        if self._potential_on and block is not None and block is not self._counted:
            self._counted = block
            self._live.feed_events(block.time, block.dtime, block.channel)

    def _is_known(self, run: PotentiostatRun | None) -> bool:
        """Once a second, look whether g2(0) is known well enough."""
        if not self._potential_on:  # what has come so far may be from before
            self._potential_on = run is None or bool(run.partial_result())
            self._counted = self.photons.latest
        now_s = self.rig.clock.now()
        if now_s - self._looked_at_g2_s < 1.0:
            return False
        self._looked_at_g2_s = now_s
        g2 = zero_over_lagging(counted_pairs(self._live).window_pairs)
        known = g2 is not None and g2.error <= self.precision
        if known:
            self.note(f"g2(0) is known to {self.precision:g}: stopped early")
        return known
