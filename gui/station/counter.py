"""The photon counter's card: sync rate, and the rate of each detector beside its limit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy import QtWidgets

from .card import RoleCard, in_words, rate_in_words, say, told_label
from .rate_bar import RateBar

if TYPE_CHECKING:
    from ...procedures.station_snapshot import RoleState


class CounterCard(RoleCard):
    """Rates on the counter's own meters."""

    title = "Photon counter"

    def build(self) -> None:
        """Sync; detectors follow when they are known."""
        self.sync, self.warning = told_label(UNKNOWN_SYNC), QtWidgets.QLabel(wordWrap=True)
        self.warning.setProperty("faint", True)
        self.bars: dict[str, RateBar] = {}
        self.rates: dict[str, QtWidgets.QLabel] = {}
        self.body.addWidget(self.sync, 0, 0, 1, 3)
        self.body.addWidget(self.warning, 20, 0, 1, 3)
        self.body.setColumnStretch(1, 1)

    def show_body(self, state: RoleState) -> None:
        """Show the rates."""
        numbers = dict(state.numbers)
        sync = numbers.pop("sync_rate_hz", None)
        limits = {rate_in_words(n.upper, n.unit) for n in numbers.values() if math.isfinite(n.upper)}
        told = [f"sync {in_words(sync)}" if sync else UNKNOWN_SYNC]
        told += [f"limit {limit} per detector" for limit in limits]
        self.sync.setText(", ".join(told))
        for key, number in numbers.items():
            if key not in self.bars:
                self._add_bar(key, number.name)
            self.bars[key].show_rate(number.value, number.upper)
            say(self.rates[key], in_words(number), "" if number.within else "bad")
        for key in self.bars.keys() - numbers.keys():
            self.bars[key].show_rate(float("nan"), self.bars[key].limit_hz)
            say(self.rates[key], UNKNOWN_RATE)
        warning = state.words.get("warning", "")
        self.warning.setText(warning)
        self.warning.setVisible(bool(warning))

    def _add_bar(self, key: str, name: str) -> None:
        row = 1 + len(self.bars)
        self.bars[key], self.rates[key] = RateBar(), told_label()
        self.rates[key].setMinimumWidth(self.fontMetrics().horizontalAdvance("8.888 Mc/s "))
        self.body.addWidget(told_label(name), row, 0)
        self.body.addWidget(self.bars[key], row, 1)
        self.body.addWidget(self.rates[key], row, 2)


UNKNOWN_SYNC = "sync –"
UNKNOWN_RATE = "–"
