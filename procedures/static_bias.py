"""StaticBias: photons of one dot at a list of potentials, each held for the same time.

One potentiostat program holds them one after the other, so that one time places them all among the photons.
"""

from __future__ import annotations

from ..instruments.potentiostat import PotentialSteps, Technique
from .parameters import exact_float, exact_floats
from .photon_procedure import CLOSING_S, PhotonProcedure, hold_interval_s
from .rig import Rig
from .rig_procedure import Plan

LEVELS_AT_ONCE = 12
"""Most levels of one step technique of the potentiostat; more are run as several, the cell staying on."""


class StaticBias(PhotonProcedure):
    """Lifetime, intensity and antibunching of one dot at held potentials."""

    kind = "static_bias"
    needs = ("laser", "counter", "potentiostat")

    potentials_v: tuple[float, ...] = exact_floats(
        "Potentials", units="V", default=(0.0, -1.4, -1.7, -1.8, -2.0), minimum=-10.0, maximum=10.0
    )
    hold_s: float = exact_float("Hold at each potential", units="s", default=60.0, minimum=2.0, maximum=1e4)
    flid_bin_s: float = exact_float("FLID bin", units="s", default=0.02, minimum=1e-4, maximum=10.0)
    trace_bin_s: float = exact_float("Trace bin", units="s", default=0.01, minimum=1e-4, maximum=10.0)
    sensitivity_a_v: float = exact_float("Sensitivity", units="A/V", default=1e-5, minimum=1e-12, maximum=0.1)

    def program(self) -> list[Technique]:
        """What the potentiostat will do."""
        levels = tuple((potential_v, self.hold_s) for potential_v in self.potentials_v)
        return [
            PotentialSteps(
                levels[first : first + LEVELS_AT_ONCE],
                sample_interval_s=hold_interval_s(self.hold_s),
                sensitivity_a_v=self.sensitivity_a_v,
            )
            for first in range(0, len(levels), LEVELS_AT_ONCE)
        ]

    def preflight(self, rig: Rig) -> Plan:
        """Check the potentials and the potentiostat's plan; estimate time, photons and disk."""
        program = self.program()
        rig.potentiostat.check(program)
        duration_s = rig.potentiostat.estimate_s(program) + CLOSING_S
        listed = ", ".join(f"{potential_v:g}" for potential_v in self.potentials_v)
        return self.photon_plan(rig, duration_s, f"{self.hold_s:g} s each at {listed} V")

    def perform(self) -> None:
        """Light on, photons on, then the potentials one after the other."""
        self.start_photons()
        self.run_potentiostat(self.program(), "measuring")
        self.wait(CLOSING_S, "closing")
