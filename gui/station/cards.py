"""Which card shows which role; a role that is not named here has the plain one."""

from __future__ import annotations

from .card import RoleCard
from .counter import CounterCard
from .laser import LaserCard
from .potentiostat import PotentiostatCard
from .stage import StageCard

CARDS: dict[str, type[RoleCard]] = {
    "laser": LaserCard,
    "counter": CounterCard,
    "potentiostat": PotentiostatCard,
    "stage": StageCard,
}


def card_of(role: str) -> RoleCard:
    """A new card for a role."""
    return CARDS.get(role, RoleCard)(role)
