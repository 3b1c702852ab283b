"""The potentiostat's card: the cell's state, a potential held for a while, and off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .card import RoleCard, button, field, say, told_label

if TYPE_CHECKING:
    from ...procedures.station_snapshot import RoleState


class PotentiostatCard(RoleCard):
    """Hold a potential, switch the cell off."""

    title = "Potentiostat"

    def build(self) -> None:
        """State, then what to hold."""
        self.cell, self.allowed = told_label(), told_label(faint=True)
        self.potential = field(0.0, -10.0, 10.0, decimals=3, step=0.1, unit="V")
        self.hold_s = field(600.0, 1.0, 3600.0, decimals=0, step=60.0, unit="s")
        self.hold_s.setToolTip("after this time the cell goes off by itself")
        self.hold = button("Hold", self._hold, tip="apply the potential")
        self.off = button("Cell off", lambda: self.ask("cell_off"))
        self.controls += [self.potential, self.hold_s, self.hold, self.off]
        self.body.addWidget(self.cell, 0, 0, 1, 2)
        self.body.addWidget(self.off, 0, 2)
        self.body.addWidget(self.allowed, 1, 0, 1, 3)
        for column, widget in enumerate((self.potential, self.hold_s, self.hold)):
            self.body.addWidget(widget, 2, column)
        self.body.setColumnStretch(0, 1)
        self.body.setColumnStretch(1, 1)

    def show_body(self, state: RoleState) -> None:
        """Show cell, window and the time left."""
        potential, left = state.numbers.get("potential_v"), state.numbers.get("left_s")
        cell = state.words.get("cell", "")
        told = f"cell {cell}" if cell else ""
        if not cell and potential is not None:
            told = f"cell at {potential.value:+.3f} V"
        if left is not None and not math.isnan(left.value):
            told += f", {left.value:.0f} s left"
        say(self.cell, told, "good" if cell.startswith("on") else "bad" if cell == "may be on" else "")
        if potential is not None:
            self.allowed.setText(f"allowed {potential.lower:g} to {potential.upper:g} V")

    def _hold(self) -> None:
        self.ask("hold", potential_v=self.potential.value(), hold_s=self.hold_s.value())
