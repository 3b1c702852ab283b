"""FindDots: image a field, go to every spot in it, bring it into focus, and ask by g2 whether it is one dot.

Each dot's position is that of lines through it along x, y and z. At the end the stage stands at the
brightest single dot.
"""

from __future__ import annotations

import numpy as np

from ..analysis.confocal import Spot, find_spots
from ..analysis.found_dots import FoundDot, brightest_single, g2_of
from ..instruments.stage import Position
from .analyses.stored import calibration_of
from .field import FieldProcedure
from .keep_in_focus import FINDING_LINES, KeepInFocus, background_hz, check_s
from .parameters import count, exact_float
from .rig import Rig
from .rig_procedure import Plan

REFOCUS_UM = 0.1
"""Out of focus by more than this, the field is scanned again."""
EXPECTED_DOTS_UM2 = 0.1


class FindDots(FieldProcedure):
    """Every dot of a field: position, brightness, antibunching."""

    kind = "find_dots"
    pausable = True

    most_dots: int = count("Dots to visit (0 for all)", default=0, minimum=0, maximum=100_000)
    g2_s: float = exact_float("Counting at each dot", units="s", default=5.0, minimum=0.1, maximum=1e4)

    found: tuple[FoundDot, ...] = ()
    """The dots visited so far, for whoever watches."""

    def preflight(self, rig: Rig) -> Plan:
        """Check the field against the stage's travel; estimate time, photons and disk."""
        stage = rig.stage
        dots = self.expected_dots()
        duration_s = 2 * self.field_s(stage) + dots * (check_s(stage, FINDING_LINES) + self.g2_s) + 1.0
        return self.photon_plan(
            rig,
            duration_s,
            f"dots in {self.pixels_x * self.pixel_um:g} x {self.pixels_y * self.pixel_um:g} µm about "
            f"({self.x_um:g}, {self.y_um:g}, {self.z_um:g}) µm, {self.g2_s:g} s at each, about {dots}",
            spot_s=self.g2_s + check_s(stage, FINDING_LINES),
        )

    def expected_dots(self) -> int:
        """A guess at how many dots will be visited, at one in ten square micrometres."""
        guess = 1 + round(EXPECTED_DOTS_UM2 * self.pixels_x * self.pixels_y * self.pixel_um**2)
        return min(guess, self.most_dots) if self.most_dots else guess

    def perform(self) -> None:
        """Scan, visit, choose; see the module's docstring."""
        self.rig.stage.move_to(z_um=self.z_um)
        self.start_photons()
        dots = self.find_dots()
        chosen = brightest_single([dot for dot, _ in dots])
        self.record.header["chosen_dot"] = chosen
        if chosen is None:
            self.warn("no dot is bright and alone: look at the picture, or scan another field")
        else:
            dots[chosen][1].go()
            self.note(f"stage left at dot {chosen + 1}")

    def find_dots(self) -> list[tuple[FoundDot, KeepInFocus]]:
        """The dots of the field, brightest spot first, each with its place."""
        self._height_um = self.z_um
        spots = self._spots()
        if spots:
            keeper = KeepInFocus(self, Position(spots[0].fast_um, spots[0].slow_um, self._height_um))
            keeper.find("focus")
            if abs(keeper.target.z_um - self._height_um) > REFOCUS_UM:
                self._height_um = keeper.target.z_um
                self.note(f"the field is in focus at {self._height_um:.3f} um: scanned again")
                self.rig.stage.move_to(z_um=self._height_um)
                spots = self._spots()
        self.note(f"{len(spots)} spots in the field")
        visited = spots[: self.most_dots] if self.most_dots else spots
        return [self._visit(k, spot) for k, spot in enumerate(visited, start=1)]

    def _spots(self) -> list[Spot]:
        self.live_field = None  # what was seen at another height
        return find_spots(self.scan_field("field"))[0]

    def _visit(self, number: int, spot: Spot) -> tuple[FoundDot, KeepInFocus]:
        """Bring a spot into focus, count, and store what it is."""
        self.checkpoint()
        keeper = KeepInFocus(self, Position(spot.fast_um, spot.slow_um, self._height_um))
        centres = {offset.axis: offset.centre for offset in keeper.find(f"dot {number}")}
        zero_s = self.record.header["photons"]["start_s"]
        with self.photons.collecting() as photons:
            start_s = self.rig.clock.now() - zero_s
            self.wait(self.g2_s, f"dot {number}")
            stop_s = self.rig.clock.now() - zero_s
            self.wait_for_photons(stop_s, f"dot {number}")
        during = slice(*np.searchsorted(photons.time_s, [start_s, stop_s]))
        sync, channel = photons.sync[during], photons.channel[during]
        errors = [c.error_um if c is not None else np.nan for c in (centres[a] for a in ("x", "y", "z"))]
        dot = FoundDot(
            position_um=np.array(keeper.target),
            error_um=np.array(errors),
            rate_hz=len(sync) / (stop_s - start_s) - background_hz(self.rig),
            rate_err_hz=float(np.sqrt(len(sync))) / (stop_s - start_s),
            g2=g2_of(
                sync,
                channel,
                stop_s - start_s,
                photons.tick_s,
                calibration_of(self.rig.calibration),
            ),
        )
        self.found = (*self.found, dot)
        self.record.add_group(
            "dots",
            {
                "position_um": dot.position_um,
                "error_um": dot.error_um,
                "start_s": start_s,
                "stop_s": stop_s,
                "spot": number,
            },
        )
        told = "unknown" if dot.g2 is None else f"{dot.g2.value:.2f} ± {dot.g2.error:.2f}"
        self.note(f"dot {number}: {dot.rate_hz / 1e3:.1f} kc/s, g2(0) {told}")
        return dot, keeper
