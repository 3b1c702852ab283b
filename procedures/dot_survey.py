"""DotSurvey: the voltammetry-FLID repeated on every dot of a field; the summary says which ones charge."""

from __future__ import annotations

from .find_dots import FindDots
from .keep_in_focus import check_s
from .photon_procedure import CLOSING_S
from .rig import Rig
from .rig_procedure import Plan
from .voltammetry_flid import VoltammetryFLID


class DotSurvey(FindDots, VoltammetryFLID):
    """Find the dots of a field, then sweep the bias of each."""

    kind = "dot_survey"

    dot_um: tuple[float, ...] = ()
    """No parameter here: every dot is gone to."""

    def preflight(self, rig: Rig) -> Plan:
        """Check the field and the potentiostat's plan; estimate time, photons and disk."""
        find, sweep = FindDots.preflight(self, rig), VoltammetryFLID.preflight(self, rig)
        dots = self.expected_dots()
        duration_s = find.duration_s + dots * (sweep.duration_s + 2 * check_s(rig.stage))
        return self.photon_plan(
            rig, duration_s, f"{find.sentence}; on each: {sweep.sentence}", spot_s=sweep.duration_s
        )

    def perform(self) -> None:
        """Find the dots, then go to each again, bring it into focus and run the sweeps."""
        self.rig.stage.move_to(z_um=self.z_um)
        self.start_photons()
        zero_s = self.record.header["photons"]["start_s"]
        for number, (_, keeper) in enumerate(self.find_dots(), start=1):
            self.note(f"sweeps on dot {number}")
            keeper.go()
            start_s = self.rig.clock.now() - zero_s
            try:
                self.sweep(keeper)
                self.wait(CLOSING_S, f"dot {number}")
            finally:
                stop_s = self.rig.clock.now() - zero_s
                self.record.add_group("survey", {"dot": number, "start_s": start_s, "stop_s": stop_s})
