"""`qdlab reproduce morozov`: figures 2 to 5 of the charging paper on the twin, analyzed, and held against it.

The experiments run as `qdlab run` runs them, and the ordinary analysis finds its numbers from their run
files. Only then each number is compared: with the paper (Morozov et al., Science Advances 6, eabb1821 (2020))
and with what was planted, by the same estimator. A row that misses is shown as a miss.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..analysis.antibunching import counted_pairs, pair_counter, zero_over_lagging
from ..analysis.scaling import Ratio
from ..sim.physics.detection import TICKS_PER_S
from ..sim.physics.photons import DotPhotons
from .comparison import Row, Study
from .errors import QdlabError
from .planted import Planted

G2_TRUTH_S = 2500.0
"""Planted g2(0) is that of so long a record straight from the dot, without card, cell and files."""


PAPER: dict[str, tuple[float, float | None]] = {
    "τ(X0), batch 1": (125.0, 6.0),
    "τ(X-), batch 1": (42.0, 3.0),
    "γA/γ0, batch 1": (0.5, None),
    "γA/γ0, batch 2": (0.08, None),
    "rate of X0, batch 1": (35.0, None),
    "rate of X+, batch 1": (5.0, None),
    "rate at -1.4 V, batch 1": (20.0, None),
    "rate at -1.7 V, batch 1": (10.0, None),
    "τ at -2 V, batch 1": (0.9, 0.2),
    "enhancement at -2 V, batch 1": (140.0, 30.0),
    "enhancement of the sweep, batch 1": (140.0, 30.0),
    "enhancement at -2 V, batch 2": (210.0, 40.0),
    "enhancement of the sweep, batch 2": (210.0, 40.0),
    "intensity drop at -2 V, batch 1": (25.0, 4.0),
    "intensity drop of the sweep, batch 1": (25.0, 4.0),
    "intensity drop at -2 V, batch 2": (12.0, 3.0),
    "intensity drop of the sweep, batch 2": (12.0, 3.0),
    "g2(0) at -1.8 V, batch 1": (0.57, 0.05),
}
"""What the paper gives, with its error or None."""
PAPER_BELOW = {"g2(0) at -1.7 V, batch 1": 0.5}
"""What the paper only gives an upper bound of."""

COMMON_FIT = "slow exponential of the common fit of X0 and X-"
ONE_EXPONENTIAL = "one exponential, maximum likelihood"
RAW = "background included"
NET = "background subtracted"
WINDOW = "zero peak over first three lagging, ±T/2, background included"


def reproduce_morozov(study: Study) -> list[Row]:
    """All rows of the comparison, both batches."""
    rows: list[Row] = []
    for sample in ("batch_1", "batch_2"):
        rows += static_rows(study, sample)
        rows += swept_rows(study, sample)
    rows += antibunching_rows(study)
    return rows


def static_rows(study: Study, sample: str) -> Iterator[Row]:
    """Figures 2 to 4: the dot at held potentials."""
    potentials_v = (0.0, -1.4, -1.7, -2.0) if sample == "batch_1" else (0.0, -2.0)
    listed = ", ".join(f"{v:g}" for v in potentials_v)
    path, analysis = study.run("static_bias", sample, potentials_v=listed, hold_s=study.seconds(60.0))
    result, planted, batch = analysis.result, Planted(path), sample.replace("_", " ")
    for state, lifetime_ns, rate_hz in (
        (result.states.x0, planted.dot.tau0_ns, planted.x0_rate_hz()),
        (result.states.x_minus, planted.dot.lifetime_ns(1), None),
        (result.states.x_plus, None, planted.x_plus_rate_hz()),
    ):
        if state and lifetime_ns:
            found = Ratio(state.lifetime_ns, state.lifetime_err_ns)
            yield _row("2", f"τ({state.name}), {batch}", "ns", lifetime_ns, found, COMMON_FIT)
        if state and rate_hz:
            found = Ratio(state.rate_hz / 1e3, state.rate_err_hz / 1e3)
            yield _row("2", f"rate of {state.name}, {batch}", "kc/s", rate_hz / 1e3, found, RAW)
    if result.auger_ratio:
        estimator = "τ(X0) / 2τ(X-) - 1"
        yield _row("2", f"γA/γ0, {batch}", "", planted.dot.auger_ratio, result.auger_ratio, estimator)
    for at in result.potentials[1:]:
        point, where = planted.held(at.hold.potential_v), f"at {at.hold.potential_v:g} V, {batch}"
        found = Ratio(at.rate_hz.value / 1e3, at.rate_hz.error / 1e3)
        yield _row("3", f"rate {where}", "kc/s", point.rate_hz / 1e3, found, RAW)
        doubt = point.lifetime_err_ns / point.lifetime_ns
        lifetime = _widened(at.lifetime_ns, doubt)
        yield _row("4", f"τ {where}", "ns", point.lifetime_ns, lifetime, ONE_EXPONENTIAL)
        if at.enhancement and at.drop:
            enhancement = _widened(at.enhancement, doubt)
            yield _row("4", f"enhancement {where}", "", planted.enhancement(point), enhancement, "held")
            yield _row("4", f"intensity drop {where}", "", planted.drop(point), at.drop, f"held; {NET}")


def swept_rows(study: Study, sample: str) -> Iterator[Row]:
    """Figure 5: the dot in cyclic voltammetry."""
    path, analysis = study.run("cv_flid", sample, cycles=3 if study.quick else 10)
    result, planted, batch = analysis.result, Planted(path), sample.replace("_", " ")
    vertex = result.at_vertex
    if not (vertex and result.enhancement and result.drop):
        return
    point = planted.swept(vertex.potential_v, vertex.window_v)
    window, where = f"last {vertex.window_v * 1e3:.0f} mV of the sweep", f"of the sweep, {batch}"
    yield _row("5", f"enhancement {where}", "", planted.enhancement(point), result.enhancement, window)
    yield _row("5", f"intensity drop {where}", "", planted.drop(point), result.drop, f"{window}; {NET}")


def antibunching_rows(study: Study) -> Iterator[Row]:
    """Antibunching at held potentials."""
    for potential_v in (-1.7, -1.8):
        path, analysis = study.run("hbt", "batch_1", potential_v=potential_v, duration_s=study.seconds(120.0))
        found = analysis.result.antibunching.window
        if found is None:
            continue
        planted = Planted(path)
        truth = planted_g2_zero(planted, planted.held_interface_v(potential_v))
        found = _widened(found, truth.error / found.value)
        yield _row("4", f"g2(0) at {potential_v:g} V, batch 1", "", truth.value, found, WINDOW)


def _widened(found: Ratio, relative: float) -> Ratio:
    """A found value whose error also holds what the truth it is compared with may be off by."""
    return Ratio(found.value, math.hypot(found.error, relative * found.value))


def _row(figure: str, quantity: str, unit: str, planted: float, found: Ratio, estimator: str) -> Row:
    below = quantity in PAPER_BELOW
    paper, paper_err = (PAPER_BELOW[quantity], 0.0) if below else PAPER.get(quantity, (None, None))
    return Row(figure, quantity, unit, paper, paper_err, planted, found.value, found.error, estimator, below)


def planted_g2_zero(planted: Planted, interface_v: float) -> Ratio:
    """g2(0) of a record of the dot so long that its error hardly counts."""
    stream = DotPhotons(planted.dot, planted.detection, seed=20_201_218)
    period = planted.light.period_ticks
    counter = pair_counter(period / TICKS_PER_S, 1e12 / TICKS_PER_S, 2)
    for until_s in np.arange(10.0, G2_TRUTH_S + 1, 10.0):
        until, since = round(until_s * TICKS_PER_S), round((until_s - 10.0) * TICKS_PER_S)
        ticks, inputs = stream.advance(until, np.array([since]), np.array([interface_v]), planted.light)
        counter.feed_events(ticks // period, (ticks % period).astype(np.uint16), inputs)
    found = zero_over_lagging(counted_pairs(counter).window_pairs)
    if found is None:
        raise QdlabError(f"the dot gives no photon pairs at {interface_v:g} V")
    return found
