"""Voltammetry-FLID: sweep the bias of a single dot while every photon is time-tagged.

First a hold at the initial potential, the reference for X0 and X-, then the cycles
initial -> vertex -> initial; one potentiostat program, one photon measurement.
"""

from __future__ import annotations

from ..instruments.potentiostat import CyclicVoltammetry, Hold, Technique
from .errors import RefusedError
from .parameters import count, exact_float
from .photon_procedure import PhotonProcedure
from .rig_procedure import Plan
from .station import Rig

CLOSING_S = 0.5
"""Photons are recorded this long behind the potentiostat's end."""


class VoltammetryFLID(PhotonProcedure):
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
                f"vertex_v = {self.vertex_v!r} is less than 0.01 V from initial_v = {self.initial_v!r}: "
                "that is no sweep"
            )
        rig.potentiostat.check(program)
        duration_s = rig.potentiostat.estimate_s(program) + CLOSING_S
        hold = f"hold {self.hold_s:g} s at {self.initial_v:g} V, then " if self.hold_s else ""
        return self.photon_plan(
            rig,
            duration_s,
            f"{hold}{self.cycles} cycles {self.initial_v:g} -> {self.vertex_v:g} -> {self.initial_v:g} V "
            f"at {self.scan_rate_v_s:g} V/s",
        )

    def perform(self) -> None:
        """Light on, photons on, then the potentiostat's program; see the module's docstring."""
        self.start_photons()
        self.run_potentiostat(self.program(), "measuring")
        self.wait(CLOSING_S, "closing")
