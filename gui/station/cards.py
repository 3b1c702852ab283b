"""Which card shows which role; a role that is not named here has the plain one."""

from __future__ import annotations

from .card import RoleCard
from .counter import CounterCard
from .delay_card import DelayCard, GateCard
from .detector_card import DetectorCard
from .laser import LaserCard
from .potentiostat import PotentiostatCard
from .shaper_card import ShaperCard
from .stage import StageCard

CARDS: dict[str, type[RoleCard]] = {
    "laser": LaserCard,
    "counter": CounterCard,
    "potentiostat": PotentiostatCard,
    "stage": StageCard,
    "shaper": ShaperCard,
    "delay": DelayCard,
    "gate": GateCard,
    "detector": DetectorCard,
}


def card_of(role: str) -> RoleCard:
    """A new card for a role."""
    return CARDS.get(role, RoleCard)(role)
