"""The pulse shaper's card: a pair of pulses with their phases, or no light."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .card import RoleCard, button, field, say, told_label

if TYPE_CHECKING:
    from ...procedures.station_snapshot import RoleState


class ShaperCard(RoleCard):
    """Show a pair, blank."""

    title = "Pulse shaper"

    def build(self) -> None:
        """What is shown, then what to show."""
        self.shown, self.allowed = told_label(), told_label(faint=True)
        self.blank = button("Blank", lambda: self.ask("blank"), tip="let no light through")
        self.t1 = field(0.0, -1e5, 1e5, decimals=2, step=7.0, unit="fs")
        self.t1.setPrefix("t1  ")
        self.phases = [field(0.0, -360.0, 360.0, decimals=1, step=30.0, unit="°") for _ in range(2)]
        for number, phase in enumerate(self.phases, start=1):
            phase.setPrefix(f"φ{number}  ")
            phase.setToolTip(f"phase of pulse {number}")
        self.show_pair = button("Show pair", self._show, tip="show pulses 1 and 2, t1 apart")
        self.controls += [self.blank, self.t1, *self.phases, self.show_pair]
        self.body.addWidget(self.shown, 0, 0, 1, 2)
        self.body.addWidget(self.blank, 0, 2)
        self.body.addWidget(self.allowed, 1, 0, 1, 3)
        self.body.addWidget(self.t1, 2, 0, 1, 2)
        self.body.addWidget(self.show_pair, 2, 2)
        for column, phase in enumerate(self.phases):
            self.body.addWidget(phase, 3, column)
            self.body.setColumnStretch(column, 1)

    def show_body(self, state: RoleState) -> None:
        """Show pulses and window."""
        t1, window = state.numbers.get("t1_fs"), state.numbers.get("window_fs")
        settled = state.words.get("settled", "")
        if t1 is None or window is None:
            say(self.shown, "")
        elif math.isnan(t1.value):
            say(self.shown, f"no light, {settled}")
        else:
            degrees = [math.degrees(state.numbers[f"phase_{k}_rad"].value) for k in (1, 2)]
            told = f"<b>PAIR</b>, t1 = {t1.value:g} fs, φ = {degrees[0]:.0f}°, {degrees[1]:.0f}°, {settled}"
            say(self.shown, told, "good" if settled == "settled" else "")
        if t1 is not None and window is not None:
            self.allowed.setText(f"window {window.value / 1e3:.2f} ps: t1 up to {t1.upper / 1e3:.2f} ps")
            self.t1.setToolTip(f"from {t1.lower:.1f} to {t1.upper:.1f} fs")

    def _show(self) -> None:
        first, second = (math.radians(phase.value()) for phase in self.phases)
        self.ask("show_pair", t1_fs=self.t1.value(), phase_1_rad=first, phase_2_rad=second)
