"""Blank: an empty spot, first with the laser locked, then with it on; what every other run is corrected by.

Locked, the detectors show their dark counts. With the laser on, what comes in step with it is scattered
light and luminescence of the glass: a short decay that also shows the response of laser, detectors and card.
"""

from __future__ import annotations

from dataclasses import replace

from .parameters import exact_float
from .photon_procedure import PhotonProcedure
from .rig import Rig
from .rig_procedure import POLL_S, Plan

EXPECTED_RATE_HZ = 1000
"""Assumed in estimates; two detectors and a clean cover slip give some hundred counts a second."""


class Blank(PhotonProcedure):
    """Dark counts, laser-synchronous background and response, on an empty spot of the sample."""

    kind = "blank"
    pausable = True

    dark_s: float = exact_float("Time in the dark", units="s", default=120.0, minimum=1.0, maximum=1e5)
    scatter_s: float = exact_float(
        "Time with the laser on", units="s", default=120.0, minimum=1.0, maximum=1e5
    )

    def preflight(self, rig: Rig) -> Plan:
        """Estimate time, photons and disk; no potential is applied."""
        duration_s = self.dark_s + self.scatter_s
        plan = self.photon_plan(
            rig, duration_s, f"{self.dark_s:g} s in the dark, then {self.scatter_s:g} s with the laser on"
        )
        return replace(plan, photons=duration_s * EXPECTED_RATE_HZ)

    def perform(self) -> None:
        """Count with the laser locked, unlock it, count again; see the module's docstring."""
        rig = self.rig
        rig.laser.make_safe()
        self.start_photons(unlock=False)
        self._count(self.dark_s, "dark counts")
        self.checkpoint()
        asked_s = rig.clock.now()
        rig.laser.unlock()
        self.record.header["laser_unlocked_s"] = [asked_s, rig.clock.now()]
        self.record.write_header()
        self.note("laser unlocked")
        self._count(self.scatter_s, "scatter")

    def _count(self, duration_s: float, phase: str) -> None:
        until_s = self.rig.clock.now() + duration_s
        while (left_s := until_s - self.rig.clock.now()) > 1e-9:
            self.wait(min(10 * POLL_S, left_s), phase)
            self.emit_row_each_second()
