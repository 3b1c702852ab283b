"""Voltammetry-FLID: sweep the bias of a single dot while every photon is time-tagged.

First a hold at the initial potential, the reference for X0 and X-, then the cycles
initial -> vertex -> initial; one potentiostat program, one photon measurement. Where the dot is to be kept in
focus, the program is cut between cycles, and the dot is brought back while the cell is at rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..instruments.potentiostat import CyclicVoltammetry, Hold, Technique
from ..instruments.stage import Position
from .errors import RefusedError
from .keep_in_focus import KeepInFocus, check_reach, check_s
from .parameters import count, exact_float, point
from .photon_procedure import CLOSING_S, PhotonProcedure, hold_interval_s
from .rig import Rig
from .rig_procedure import Plan


class VoltammetryFLID(PhotonProcedure):
    """Lifetime-intensity distribution of one dot against its bias."""

    kind = "voltammetry_flid"
    pausable = True
    needs = ("laser", "counter", "potentiostat")

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

    dot_um: tuple[float, ...] = point("Dot (x, y, z), where the stage shall go first")
    keep_in_focus_s: float = exact_float(
        "Check the focus every (0 for never)", units="s", default=0.0, minimum=0.0, maximum=1e5
    )

    def program(self) -> list[Technique]:
        """What the potentiostat will do, the checks of the focus left out."""
        return [technique for block in self.blocks() for technique in block]

    def blocks(self) -> Iterator[list[Technique]]:
        """The program cut where the focus is checked: in one piece, or after some whole cycles each."""
        hold = Hold(
            self.initial_v, self.hold_s, hold_interval_s(self.hold_s), sensitivity_a_v=self.sensitivity_a_v
        )
        block: list[Technique] = [hold] if self.hold_s else []
        left, per_block = self.cycles, self._cycles_per_block()
        while left:
            cycles = min(left, per_block)
            left -= cycles
            cv = CyclicVoltammetry(
                self.initial_v,
                self.vertex_v,
                self.scan_rate_v_s,
                cycles,
                sensitivity_a_v=self.sensitivity_a_v,
            )
            yield [*block, cv]
            block = []
        if block:
            yield block

    def _cycles_per_block(self) -> int:
        if not self.keep_in_focus_s:
            return self.cycles
        cycle_s = 2 * abs(self.vertex_v - self.initial_v) / self.scan_rate_v_s
        return max(1, math.floor(self.keep_in_focus_s / cycle_s))

    def preflight(self, rig: Rig) -> Plan:
        """Check potentials, bins and the potentiostat's plan; estimate time, photons and disk."""
        if not (self.hold_s or self.cycles):
            raise RefusedError("hold_s = 0 and cycles = 0: there is nothing to do")
        if self.cycles and abs(self.vertex_v - self.initial_v) < 0.01:
            raise RefusedError(
                f"vertex_v = {self.vertex_v!r} is less than 0.01 V from initial_v = {self.initial_v!r}: "
                "that is no sweep"
            )
        rig.potentiostat.check(self.program())
        duration_s = sum(rig.potentiostat.estimate_s(block) for block in self.blocks()) + CLOSING_S
        duration_s += self._check_focus(rig)
        hold = f"hold {self.hold_s:g} s at {self.initial_v:g} V, then " if self.hold_s else ""
        return self.photon_plan(
            rig,
            duration_s,
            f"{hold}{self.cycles} cycles {self.initial_v:g} -> {self.vertex_v:g} -> {self.initial_v:g} V "
            f"at {self.scan_rate_v_s:g} V/s",
        )

    def _check_focus(self, rig: Rig) -> float:
        """Check what is asked of the stage; returns about how long it takes, in seconds."""
        if not (self.dot_um or self.keep_in_focus_s):
            return 0.0
        stage = rig.stage
        if self.dot_um:
            check_reach(stage, Position(*self.dot_um))
        return (1 + len(list(self.blocks()))) * check_s(stage) if self.keep_in_focus_s else 1.0

    def perform(self) -> None:
        """Light on, photons on, then the potentiostat's program; see the module's docstring."""
        if self.dot_um:
            self.rig.stage.move_to(**Position(*self.dot_um)._asdict())
        self.start_photons()
        keeper = None
        if self.keep_in_focus_s:
            where = Position(*self.dot_um) if self.dot_um else self.rig.stage.position
            keeper = KeepInFocus(self, where)
        self.sweep(keeper)
        self.wait(CLOSING_S, "closing")

    def sweep(self, keeper: KeepInFocus | None) -> None:
        """Run the program, and have the focus checked before, between and after its blocks."""
        cycles = 0
        if keeper:
            keeper.check("focus")
        for block in self.blocks():
            self.run_potentiostat(block, "measuring", cycles_before=cycles)
            cycles += sum(t.cycles for t in block if isinstance(t, CyclicVoltammetry))
            if keeper:
                keeper.check("focus")
