"""What the rig would say to a run, asked while its parameters are still being typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import RefusedError
from .rig_procedure import Plan
from .run import prepare_run


@dataclass(frozen=True)
class Verdict:
    """Whether a run would be allowed, and what it would take."""

    plan: Plan | None
    """None where it was refused."""
    reason: str = ""
    """Why it was refused; one sentence."""


def ask_preflight(
    experiment: str, *, out: Path, station: str | None = None, overrides: Sequence[str] = ()
) -> Verdict:
    """The verdict of a run's own preflight; nothing is connected, and `out` is not made."""
    there = out.absolute()
    while not there.exists():
        there = there.parent
    try:
        run = prepare_run(experiment, station=station, out=there, overrides=overrides)
    except RefusedError as error:
        return Verdict(None, str(error))
    run.rig.close()
    return Verdict(run.plan)
