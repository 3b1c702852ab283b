"""What a 2DES rig is set up with: delay zero, traces along t2, pump-probe, the shaper's calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..picture_tab import PictureTab

if TYPE_CHECKING:
    from ...procedures.rig_procedure import RigProcedure


class TwoDToolsTab(PictureTab):
    """Runs of a few minutes, each shown by its picture when it is over."""

    title: ClassVar[str] = "2DES tools"
    experiments: ClassVar[tuple[str, ...]] = ("delay_zero", "t2_scan", "pump_probe", "shaper_calibration")
    kinds: ClassVar[tuple[str, ...]] = experiments

    def look(self, procedure: RigProcedure) -> None:
        """Nothing: the progress is in the queue."""

    def show_live(self, looked: object) -> None:
        """Nothing is shown before the end."""
