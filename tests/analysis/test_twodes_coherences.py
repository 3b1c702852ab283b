"""Coherences found in made-up rephasing maps whose beats are known."""

import numpy as np
import pytest

from qdlab.analysis.twodes import coherence_numbers as cn
from qdlab.analysis.twodes.coherences import find_coherences, trace_at
from qdlab.analysis.twodes.phase_cycling import scheme
from qdlab.analysis.twodes.spectra import Maps
from qdlab.analysis.twodes.units import W

T2 = np.arange(0.0, 960.0, 8.0)
W1, W3 = np.arange(16_600.0, 19_400.0, 40.0), np.arange(16_600.0, 19_400.0, 30.0)
BEATS = {"I": (120.0, 700.0, 0.7), "II": (850.0, 280.0, 0.8), "III": (480.0, 150.0, 1.0)}
"""Frequency (cm-1), dephasing (fs), amplitude."""


def spot(w1, w3, width=150.0):
    return np.exp(-(((W1[:, None] - w1) / width) ** 2 + ((W3 - w3) / width) ** 2) / 2)


def made_up(*, gaussian=False, noise=0.0, seed=1) -> Maps:
    """Beats on both sides of the diagonal, around 18000 cm-1, on a decaying diagonal peak."""
    signal = np.multiply.outer(2 + np.exp(-T2 / 900.0), spot(18_000, 18_000, 400.0)).astype(complex)
    for w2, tau, height in BEATS.values():
        for w, share in ((w2, 0.8), (-w2, 1.0)):
            fall = np.exp(-((T2 / tau) ** 2)) if gaussian else np.exp(-T2 / tau)
            where = spot(18_000 - w / 2, 18_000 + w / 2)
            signal += np.multiply.outer(share * height * fall * np.exp(-1j * W * w * T2), where)
    rng = np.random.default_rng(seed)
    signal += noise * (rng.normal(size=signal.shape) + 1j * rng.normal(size=signal.shape))
    return Maps(T2, W1, W3, signal, np.zeros_like(signal))


def kind_of(found, w2_cm):
    return next(kind for kind in found.kinds if kind.asked_cm == w2_cm)


def test_beats_that_follow_the_model_are_found_without_doubt():
    found = find_coherences(made_up())
    for w2, tau, _ in BEATS.values():
        kind = kind_of(found, w2)
        assert kind.frequency_cm.value == pytest.approx(w2, abs=0.01)
        assert kind.dephasing_fs.value == pytest.approx(tau, rel=1e-3)
        assert kind.dephasing_fs.error < 1e-3 * tau


def test_beats_that_fall_off_otherwise_are_quoted_with_more_doubt_than_noise_gives():
    gaussian = kind_of(find_coherences(made_up(gaussian=True)), 480.0).dephasing_fs
    exponential = kind_of(find_coherences(made_up()), 480.0).dephasing_fs
    assert gaussian.model_error > gaussian.fit_error
    assert gaussian.error > 10 * exponential.error


def test_the_address_is_where_the_spot_below_the_diagonal_was_put():
    numbers = cn.beating_numbers(made_up())
    for name, (w2, _, _) in BEATS.items():
        assert numbers[f"{name}.w1_cm"] == pytest.approx(18_000 + w2 / 2, abs=25)
        assert numbers[f"{name}.w3_cm"] == pytest.approx(18_000 - w2 / 2, abs=25)


def test_the_trace_at_an_address_has_the_beat_of_its_side_of_the_diagonal():
    maps, kind, address = made_up(), cn.KINDS[1], (18_425.0, 17_575.0)
    (beat,) = cn.fit_kind(trace_at(maps, *address), kind, address).beats
    assert beat.w2_cm.value == pytest.approx(-850.0, abs=2.0)
    assert beat.dephasing_fs.value == pytest.approx(280.0, rel=0.05)


def test_near_the_diagonal_both_signs_are_found_in_one_trace():
    maps, kind, address = made_up(), cn.KINDS[0], (18_000.0, 18_000.0)
    beats = cn.fit_kind(trace_at(maps, *address), kind, address).beats
    assert [round(beat.w2_cm.value) for beat in beats] == [120, 480, -120, -480]
    assert beats[0].dephasing_fs.value == pytest.approx(700.0, rel=0.02)


def test_the_diagonal_has_its_centre_and_its_edge_where_they_were_put():
    numbers = cn.diagonal_numbers(made_up())
    assert numbers["diagonal.centre_cm"] == pytest.approx(18_000, abs=20)
    at = 400 / np.sqrt(2) * np.sqrt(-2 * np.log(cn.EDGE))  # both axes leave the spot along the diagonal
    assert numbers["diagonal.edge_cm"] == pytest.approx(at[0] - at[1], rel=0.1)


def test_replicas_tell_how_much_numbers_differ_from_one_noise_to_another():
    noise, scans = 0.15, [made_up(noise=0.15, seed=seed) for seed in range(6)]
    found = [cn.diagonal_numbers(maps) | cn.beating_numbers(maps) for maps in scans]
    rng = np.random.default_rng(99)
    shape = scans[0].rephasing.shape
    another = noise * (rng.normal(size=shape) + 1j * rng.normal(size=shape))
    where = cn.addresses_of(found[0])
    quoted = found[0] | cn.fitted_numbers(scans[0], where, (64.0,))[0]
    error, bias = cn.noise_of(scans[0], another, 6, quoted=quoted, addresses=where)
    for name in ("II.w1_cm", "II.maximum", "diagonal.centre_cm"):
        scatter = np.std([each[name] for each in found], ddof=1)
        assert 0.3 < error[name] / scatter < 3.0, name
    truth = cn.beating_numbers(made_up())
    added = np.mean([each["II.above"] for each in found]) - truth["II.above"]
    assert added > 0
    assert 0.3 < bias["II.above"] / added < 3.0


def test_a_phase_cycle_tells_the_noise_from_all_signals_of_three_pulses():
    """Pulses 1 and 2 of a pair have signatures of up to three interactions, the probe at most one."""
    for name in ("3x3x1", "4x4x1"):
        through = scheme(name).aliases(cn.EMPTY)
        assert not [a for a in through if abs(a[2]) == 1]


def test_steps_that_do_not_hold_a_beat_are_refused():
    maps = made_up()
    coarse = Maps(T2[::4], W1, W3, maps.rephasing[::4], maps.nonrephasing[::4])
    with pytest.raises(ValueError, match="hold beats up to"):
        find_coherences(coarse)
