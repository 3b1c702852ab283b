"""Potential steps: a square wave of the bias, many times over, with every photon time-tagged.

The comparator on the potential output marks each step among the photons; folded on those marks the photons
show how fast intensity and lifetime follow the bias.
"""

from __future__ import annotations

import math

from ..instruments.potentiostat import PotentialSteps
from .errors import RefusedError
from .parameters import count, exact_float
from .photon_procedure import CLOSING_S, PhotonProcedure
from .rig import Rig
from .rig_procedure import Plan

MIN_STEP_V = 0.05
THRESHOLD_ERRORS = 5.0
"""The comparator's threshold keeps this many of its standard uncertainties away from both potentials."""
MOST_ROWS = 10
"""Rows of current per level: enough to see the cell charge, few enough for many cycles in the memory."""
INTERVAL_S = (1e-3, 1.0)
"""Between rows: shorter ones fill the memory, longer ones the instrument does not have."""


class PotentialStep(PhotonProcedure):
    """How fast one dot follows its bias: square wave between two potentials, photons folded on the steps."""

    kind = "potential_step"
    needs = ("laser", "counter", "potentiostat")

    high_v: float = exact_float("High potential", units="V", default=-1.0, minimum=-10.0, maximum=10.0)
    low_v: float = exact_float("Low potential", units="V", default=-1.8, minimum=-10.0, maximum=10.0)
    period_s: float = exact_float("Period", units="s", default=0.02, minimum=1e-3, maximum=2e3)
    cycles: int = count("Cycles", default=3000, minimum=1, maximum=10_000_000)
    sensitivity_a_v: float = exact_float("Sensitivity", units="A/V", default=1e-3, minimum=1e-12, maximum=0.1)

    def program(self) -> list[PotentialSteps]:
        """What the potentiostat will do: half a period at `high_v`, half at `low_v`, and again."""
        level_s = self.period_s / 2
        rows = max(1, min(MOST_ROWS, int(level_s / INTERVAL_S[0] + 1e-9)), math.ceil(level_s / INTERVAL_S[1]))
        return [
            PotentialSteps(
                ((self.high_v, level_s), (self.low_v, level_s)),
                self.cycles,
                level_s / rows,
                sensitivity_a_v=self.sensitivity_a_v,
            )
        ]

    def preflight(self, rig: Rig) -> Plan:
        """Check potentials, comparator and the potentiostat's plan; estimate time, photons and disk."""
        if not self.high_v - self.low_v >= MIN_STEP_V:
            raise RefusedError(
                f"low_v = {self.low_v!r} must be at least {MIN_STEP_V} V below high_v = {self.high_v!r}"
            )
        self._check_comparator(rig)
        program = self.program()
        rig.potentiostat.check(program)
        return self.photon_plan(
            rig,
            rig.potentiostat.estimate_s(program) + CLOSING_S,
            f"{self.cycles} times {self.high_v:g} V and {self.low_v:g} V, {self.period_s * 500:g} ms each",
        )

    def _check_comparator(self, rig: Rig) -> None:
        path, markers = rig.station.path, rig.station.file.markers
        if markers is None:
            raise RefusedError(
                f"{path}: has no [markers]: the photons are folded on the comparator's edges, so its wire to "
                "the counter is needed (docs/wiring.md)"
            )
        margin_v = THRESHOLD_ERRORS * markers.threshold_uncertainty_v
        if not self.low_v + margin_v < markers.threshold_v < self.high_v - margin_v:
            raise RefusedError(
                f"{path} [markers]: threshold_v = {markers.threshold_v!r}: the comparator must switch "
                f"between low_v = {self.low_v!r} and high_v = {self.high_v!r}, {margin_v:g} V off both: "
                f"turn its trimmer to {(self.low_v + self.high_v) / 2:g} V and write that in the station file"
            )

    def perform(self) -> None:
        """Light on, photons on, then the potentiostat's program; see the module's docstring."""
        self.start_photons()
        self.run_potentiostat(self.program(), "measuring")
        self.wait(CLOSING_S, "closing")
