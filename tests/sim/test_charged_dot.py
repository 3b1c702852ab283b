"""The model of the dot against the numbers of the paper and of the model page."""

from dataclasses import replace

import numpy as np
import pytest

from qdlab.sim.physics.charged_dot import Blinking, ChargedDot

BATCHES = [ChargedDot.batch_1(), ChargedDot.batch_2()]


@pytest.mark.parametrize(
    ("dot", "levels_mev"),
    [
        (BATCHES[0], [0, 94.6, 132, 150, 177, 208, 229, 274]),
        (BATCHES[1], [0, 62, 86, 98, 116, 136, 150, 180]),
    ],
)
def test_levels_are_those_of_the_page(dot, levels_mev):
    assert dot.levels_mev == pytest.approx(levels_mev, abs=2.0)  # the page rounds differently by level


@pytest.mark.parametrize(
    ("dot", "lifetimes_ns"), [(BATCHES[0], (125, 41.7, 20.8, 8.3)), (BATCHES[1], (150, 69.4, 43.1, 22.7))]
)
def test_x0_and_the_first_charged_excitons_live_as_long_as_in_the_paper(dot, lifetimes_ns):
    assert [dot.lifetime_ns(n) for n in (0, 1, 2, 4)] == pytest.approx(lifetimes_ns, rel=0.01)


def test_the_positive_trion_has_the_yield_and_lifetime_of_the_page():
    dot = ChargedDot.batch_1()
    assert dot.quantum_yield(-1) == pytest.approx(0.13, abs=0.001)
    assert dot.lifetime_ns(-1) == pytest.approx(8.1, abs=0.05)


@pytest.mark.parametrize(("dot", "last"), [(BATCHES[0], 4), (BATCHES[1], 12)])
def test_yields_follow_equations_1_and_2_up_to_n_star(dot, last):
    n = np.arange(1, last + 2)  # electrons in the conduction band
    paper = 1 / (1 + dot.auger_ratio * (n - 1))
    assert [dot.quantum_yield(int(m) - 1) for m in n] == pytest.approx(paper, rel=1e-12)
    assert dot.quantum_yield(last + 1) < 1 / (1 + dot.auger_ratio * (last + 1))


@pytest.mark.parametrize(
    ("v", "electrons"),
    [(-1.0, 0.10), (-1.2, 0.53), (-1.4, 1.67), (-1.5, 2.49), (-1.6, 3.64), (-1.7, 5.35), (-1.8, 7.68),
     (-1.9, 10.5), (-2.0, 13.8)],
)  # fmt: skip
def test_mean_electrons_are_those_of_the_page(v, electrons):
    assert ChargedDot.batch_1().mean_electrons(v) == pytest.approx(electrons, rel=0.005, abs=0.005)


@pytest.mark.parametrize("dot", BATCHES)
@pytest.mark.parametrize("v", [-2.0, -1.7, -1.4, -0.5])
def test_exchange_with_the_electrode_is_in_detailed_balance(dot, v):
    p = dot.occupation(v)
    k_in, k_out = dot.exchange_rates_hz(v)
    assert p.sum() == pytest.approx(1.0)
    real = p[1:] > 1e-200  # below that the numbers are denormal
    assert (p[:-1] * k_in)[real] == pytest.approx((p[1:] * k_out)[real], rel=1e-9, abs=0.0)
    assert max(k_in.max(), k_out.max()) <= dot.exchange_cap_hz


def test_near_threshold_exchange_takes_a_millisecond_and_at_the_end_less_than_a_microsecond():
    dot = ChargedDot.batch_1()
    for v, relaxation_s in ((-1.4, 0.7e-3), (-1.8, 0.33e-6)):
        p, n = dot.occupation(v), np.arange(69)
        flux_hz = p[:-1] @ dot.exchange_rates_hz(v)[0]
        assert (p @ n**2 - (p @ n) ** 2) / flux_hz == pytest.approx(relaxation_s, rel=0.02)


def test_at_the_end_of_the_sweep_photons_come_from_lifetimes_of_a_nanosecond():
    dot = ChargedDot.batch_1()
    mixture = dot.mixture(-2.0)
    assert mixture.share.sum() == pytest.approx(1.0)
    assert dot.mean_lifetime_ns(-2.0) == pytest.approx(0.92, abs=0.01)  # photon-weighted; page, section 9
    assert dot.mean_lifetime_ns(0.0) == pytest.approx(125.0, rel=1e-4)


def test_a_dot_that_does_not_charge_stays_neutral():
    dot = ChargedDot.batch_1(charges=False)
    assert dot.mean_electrons(-2.0) == 0.0
    assert dot.mean_lifetime_ns(-2.0) == 125.0
    assert not any(rates.any() for rates in dot.exchange_rates_hz(-2.0))


def test_negative_bias_ends_the_visits_to_the_positive_trion():
    blinking = Blinking()
    resting, suppressed = (blinking.charge_occupation(v)[0] for v in (-1.0, -1.4))
    assert resting > 0.05
    assert suppressed < resting / 300
    assert blinking.charge_occupation(0.0, pump_scale=0.0) == pytest.approx([0, 1, 0])


def test_the_truth_lists_lifetimes_by_name():
    truth = replace(ChargedDot.batch_1(), blinking=None).truth()
    assert truth["charges"] is True
    assert truth["exciton_lifetime_ns"]["X0"] == 125.0
    assert truth["exciton_lifetime_ns"]["X-"] == pytest.approx(41.67, abs=0.01)
    assert truth["exciton_lifetime_ns"]["X4-"] == pytest.approx(8.33, abs=0.01)


def test_impossible_dots_are_refused():
    with pytest.raises(ValueError, match="tau0_ns"):
        ChargedDot(tau0_ns=0.0)
