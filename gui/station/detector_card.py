"""The spectrometer's card: live spectrum, integration time, how full the pixels are, dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy import QtWidgets

from ..plots.plot import Plot
from .card import RoleCard, button, field, say, told_label

if TYPE_CHECKING:
    from ...procedures.station_snapshot import Curve, RoleState

DARK_PART = 0.01
"""Pixels at the ends that have less than this part of the peak are not shown."""


class DetectorCard(RoleCard):
    """A spectrum that follows the light, and what it is taken with."""

    title = "Spectrometer"

    def build(self) -> None:
        """Spectrum, then settings."""
        self.plot = Plot("wavelength (nm)", "counts (10³)")
        self.plot.setFixedHeight(170)
        self.full = QtWidgets.QProgressBar()
        self.full.setMaximum(1000)
        self.full.setTextVisible(False)
        self.told_full = told_label()
        self.dark = told_label(faint=True)
        self.integration = field(8.0, 0.001, 1e5, decimals=3, step=1.0, unit="ms")
        self.set = button("Set", self._set, tip="set the integration time")
        self.take_dark = button("Take dark", lambda: self.ask("take_dark"))
        self.controls += [self.integration, self.set, self.take_dark]
        self.body.addWidget(self.plot, 0, 0, 1, 3)
        self.body.addWidget(self.full, 1, 0)
        self.body.addWidget(self.told_full, 1, 1, 1, 2)
        for column, widget in enumerate((self.integration, self.set, self.take_dark)):
            self.body.addWidget(widget, 2, column)
        self.body.addWidget(self.dark, 3, 0, 1, 3)
        self.body.setColumnStretch(0, 1)
        self._shown: Curve | None = None
        self._known_s = 0.0

    def show_body(self, state: RoleState) -> None:
        """Show the newest spectrum; the field follows the integration time when that changes."""
        peak, integration = state.numbers.get("peak_counts"), state.numbers.get("integration_s")
        spectrum = state.curves.get("spectrum")
        if spectrum is None:
            self.plot.clear()
        elif spectrum is not self._shown:
            self._draw(spectrum)
        self._shown = spectrum
        if peak is None or integration is None:
            self.full.setValue(0)
            self.told_full.setText("")
            return
        saturated = state.words.get("saturation") == "saturated"
        self.full.setValue(min(1000, round(1000 * peak.value / peak.upper)))
        told = f"fullest pixel {100 * peak.value / peak.upper:.0f} %"
        self.told_full.setText("SATURATED" if saturated else told)
        shutter = " (no shutter: block the light)" if state.words.get("shutter") == "none" else ""
        say(self.dark, f"dark {state.words.get('dark', '')}{shutter}")
        limits_ms = 1e3 * integration.lower, 1e3 * integration.upper
        self.integration.setToolTip(f"integration time, by hand {limits_ms[0]:g} to {limits_ms[1]:g} ms")
        if integration.value != self._known_s:
            self._known_s = integration.value
            self.integration.setValue(1e3 * integration.value)

    def _draw(self, spectrum: Curve) -> None:
        wavelength_nm, counts = spectrum
        self.plot.draw("spectrum", wavelength_nm, counts / 1e3, "trace", width=1.5)
        bright = wavelength_nm[counts > DARK_PART * counts.max()]
        if len(bright):
            self.plot.follow_x(float(bright[0]), float(bright[-1]), steady=False)
        self.plot.follow_y(min(0.0, float(counts.min()) / 1e3), float(counts.max()) / 1e3)

    def _set(self) -> None:
        self.ask("set_integration", integration_s=self.integration.value() / 1e3)
