"""The laser's card: lock, repetition rate, intensity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy import QtWidgets

from .card import RoleCard, button, field, in_words, rate_in_words, say, told_label

if TYPE_CHECKING:
    from ...procedures.station_snapshot import RoleState

UNLOCKED = "unlocked"


class LaserCard(RoleCard):
    """Lock and unlock; rate and intensity are set together."""

    title = "Laser"

    def build(self) -> None:
        """Lock, then pulses."""
        self.lock_state, self.pulses = told_label(), told_label(faint=True)
        self.unlock = button("Unlock", lambda: self.ask("unlock"), tip="let the laser emit")
        self.lock = button("Lock", lambda: self.ask("lock"), tip="shut the light off")
        self.rate = QtWidgets.QComboBox(toolTip="repetition rate")
        self.intensity = field(0.0, 0.0, 100.0, decimals=1, step=1.0, unit="%")
        self.intensity.setToolTip("of the driver's scale, not proportional to the power")
        self.set = button("Set", self._set, tip="set repetition rate and intensity")
        self.controls += [self.unlock, self.lock, self.rate, self.intensity, self.set]
        self._shown: tuple[float, float] | None = None
        rows = (
            (self.lock_state, self.unlock, self.lock),
            (self.pulses,),
            (self.rate, self.intensity, self.set),
        )
        for row, widgets in enumerate(rows):
            for column, widget in enumerate(widgets):
                self.body.addWidget(widget, row, column, 1, 3 if len(widgets) == 1 else 1)
        self.body.setColumnStretch(0, 1)

    def show_body(self, state: RoleState) -> None:
        """Show lock and pulses; fields follow the laser when it changes, not while one types."""
        lock = state.words.get("lock", "")
        by_run = "as the run needs it" if "held by" in state.words else ""
        say(
            self.lock_state,
            "<b>LIGHT ON</b>" if lock == UNLOCKED else lock or by_run,
            "bad" if lock == UNLOCKED else "",
        )
        self.unlock.setEnabled(self.unlock.isEnabled() and lock != UNLOCKED)
        rates = state.choices.get("repetition_rate_hz", ())
        if rates and self.rate.count() != len(rates):
            self.rate.clear()
            for rate_hz in rates:
                self.rate.addItem(rate_in_words(rate_hz), rate_hz)
        rate, intensity = (state.numbers.get(key) for key in ("repetition_rate_hz", "intensity"))
        wavelength = state.numbers.get("wavelength_nm")
        self.pulses.setText(", ".join(in_words(number) for number in (wavelength, rate) if number))
        if rate is None:
            return
        if intensity is not None:
            self.pulses.setText(f"{self.pulses.text()}, intensity {100 * intensity.value:.1f} %")
        shown = rate.value, intensity.value if intensity is not None else self._set_fraction
        if shown != self._shown:
            self._shown = shown
            self.rate.setCurrentIndex(self.rate.findData(rate.value))
            self.intensity.setValue(100 * shown[1])

    @property
    def _set_fraction(self) -> float:
        return self.intensity.value() / 100

    def _set(self) -> None:
        self.ask("set_pulses", repetition_rate_hz=self.rate.currentData(), intensity=self._set_fraction)
