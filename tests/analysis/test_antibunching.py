"""g2(0) and its error: against counting by hand, Poisson light, and single photons with background."""

from __future__ import annotations

import numpy as np
import pytest

from qdlab.analysis.antibunching import accidental_pairs, antibunching_in, zero_over_lagging
from qdlab.analysis.flid_data import Calibration, PhotonData
from qdlab.analysis.scaling import Ratio

PERIOD_S, PERIOD_NS, RESOLUTION_PS = 4e-7, 400.0, 25.0
DARK_HZ = 20_000.0
QUIET = Calibration((0.0, 0.0), 0.0)


def recording(events: list[tuple[np.ndarray, np.ndarray, np.ndarray]], calibration=QUIET, duration_s=1.0):
    """Photons from (pulse, ns after the pulse, detector); what is late counts for the pulses that follow."""
    pulse, late_ns, channel = (np.concatenate(column) for column in zip(*events, strict=True))
    pulse, late_ns = pulse + (late_ns // PERIOD_NS).astype(np.int64), late_ns % PERIOD_NS
    dtime = (late_ns / (RESOLUTION_PS / 1000)).astype(np.uint16)
    order = np.lexsort((dtime, pulse))
    return PhotonData(
        sync=pulse[order].astype(np.int64),
        dtime=dtime[order],
        channel=channel[order].astype(np.uint8),
        resolution_ps=RESOLUTION_PS,
        sync_period_s=PERIOD_S,
        duration_s=duration_s,
        calibration=calibration,
    )


def pulsed(rng, per_pulse, n_pulses, lifetime_ns, *, single: bool):
    """Photons of a pulsed emitter: at most one per pulse, or a Poisson number."""
    if single:
        pulse = np.flatnonzero(rng.random(n_pulses) < per_pulse)
    else:
        pulse = np.sort(rng.integers(0, n_pulses, rng.poisson(per_pulse * n_pulses)))
    return pulse, rng.exponential(lifetime_ns, len(pulse)), rng.integers(0, 2, len(pulse))


def dark_counts(rng, n_pulses):
    n = rng.poisson(2 * DARK_HZ * n_pulses * PERIOD_S)
    return rng.integers(0, n_pulses, n), rng.random(n) * PERIOD_NS, rng.integers(0, 2, n)


def measured(data: PhotonData, n_pulses: int):
    return antibunching_in(slice(0, len(data.sync)), data, n_pulses * PERIOD_S)


def test_the_ratio_is_the_zero_peak_over_the_mean_of_the_first_three_lagging_ones():
    pairs = np.array([7, 50, 30, 40, 20, 90, 100, 110, 9])
    g2 = zero_over_lagging(pairs)
    assert g2.value == pytest.approx(0.2)
    assert g2.error == pytest.approx(0.2 * np.sqrt(1 / 20 + 1 / 300))
    less = zero_over_lagging(pairs, Ratio(10.0, 2.0))
    assert less.value == pytest.approx(1 / 9)
    assert less.error == pytest.approx(np.hypot(np.hypot(np.sqrt(20), np.sqrt(100 / 3) / 9), 2 * 8 / 9) / 90)


def test_without_lagging_pairs_there_is_no_ratio_and_an_empty_zero_peak_has_an_error():
    assert zero_over_lagging(np.array([0, 0, 0, 5, 0, 0, 0])) is None
    assert zero_over_lagging(np.array([0, 0, 0, 5, 9, 9, 9]), Ratio(9.0, 1.0)) is None
    assert zero_over_lagging(np.array([4, 4, 4, 0, 4, 4, 4])) == Ratio(0.0, 0.25)


@pytest.mark.parametrize("peaks", [5, 8])
def test_too_few_peaks_are_refused(peaks):
    with pytest.raises(ValueError, match=f"{peaks} peaks"):
        zero_over_lagging(np.ones(peaks, np.int64))


def test_peaks_are_those_of_counting_every_pair():
    rng = np.random.default_rng(1)
    data = recording([pulsed(rng, 0.3, 2000, 150.0, single=False)])
    found = measured(data, 2000)
    time = data.sync * 16_000 + data.dtime
    starts, stops = (np.flatnonzero(data.channel == c) for c in (0, 1))
    lag = time[stops][None, :] - time[starts][:, None]
    apart = data.sync[stops][None, :] - data.sync[starts][:, None]
    for peak in found.peaks():
        k = peak["order"]
        assert peak["window_pairs"] == np.count_nonzero(
            (lag >= (k - 0.5) * 16_000) & (lag < (k + 0.5) * 16_000)
        )
        assert peak["sync_pairs"] == np.count_nonzero(apart == k)
        assert peak["delay_ns"] == 400.0 * k


def test_a_recording_of_one_detector_is_refused():
    data = recording([(np.arange(5), np.ones(5), np.full(5, 2))])
    with pytest.raises(ValueError, match="two of each"):
        measured(data, 5)
    with pytest.raises(ValueError, match="two of each"):
        accidental_pairs(np.array([5, 5]), 1.0, PERIOD_S, Calibration((75.0,), 0.0))


def pulls(draw, truth: dict[str, float], runs: int) -> dict[str, np.ndarray]:
    found = {name: np.empty(runs) for name in truth}
    for seed in range(runs):
        g2 = draw(np.random.default_rng([seed, 3]))
        for name, true in truth.items():
            ratio = getattr(g2, name)
            found[name][seed] = (ratio.value - true) / ratio.error
    return found


def assert_honest(pull: np.ndarray):
    assert abs(pull.mean()) < 3.5 / np.sqrt(len(pull))
    assert 0.75 < pull.std(ddof=1) < 1.3


def test_poisson_light_has_g2_one_and_no_memory_within_honest_errors():
    n = 100_000

    def draw(rng):
        return measured(recording([pulsed(rng, 0.12, n, 20.0, single=False)]), n)

    truth = {"window": 1.0, "sync": 1.0, "background_corrected": 1.0, "first_over_far": 1.0}
    for pull in pulls(draw, truth, 40).values():
        assert_honest(pull)


def test_an_emitter_that_is_bright_for_two_pulses_shows_it_in_the_first_peaks():
    rng = np.random.default_rng(5)
    n = 400_000
    bright = np.repeat(rng.random(n // 2) < 0.5, 2)
    pulse, delay, channel = pulsed(rng, 0.2, n, 5.0, single=False)
    keep = bright[pulse]
    found = measured(recording([(pulse[keep], delay[keep], channel[keep])]), n).first_over_far
    # neighbours are of one pair of pulses half of the time, and then twice as likely to be bright
    assert found.value == pytest.approx(1.5, abs=4 * found.error)
    assert found.error < 0.05


def test_background_is_taken_off_a_single_photon_emitter_that_blinks():
    # the emitter is on half of the time; background pairs do not care when it is
    n = 200_000
    calibration = Calibration((DARK_HZ, DARK_HZ), 0.0, blank_s=60.0)

    def draw(rng):
        pulse, late_ns, channel = pulsed(rng, 0.15, n, 20.0, single=True)
        on = (pulse // 5000) % 2 == 0
        light = pulse[on], late_ns[on], channel[on]
        return measured(recording([light, dark_counts(rng, n)], calibration), n)

    found = [draw(np.random.default_rng([seed, 5])) for seed in range(40)]
    pull = np.array([g2.background_corrected.value / g2.background_corrected.error for g2 in found])
    assert_honest(pull)
    assert np.mean([g2.sync.value for g2 in found]) > 0.15


def test_the_error_of_the_background_is_part_of_the_error():
    photons = np.array([50_000, 50_000])
    known, unknown = (
        accidental_pairs(photons, 10.0, PERIOD_S, Calibration((500.0, 500.0), 200.0, blank_s=blank_s))
        for blank_s in (1e9, 10.0)
    )
    # per pulse 2e-3 counts, 2.4e-4 of them background; then by hand
    assert known.value == pytest.approx(2.5e7 * (2e-3**2 - (2e-3 - 2.4e-4) ** 2))
    assert known.error < 1e-3 * known.value
    per_detector = np.sqrt(600.0 / 10.0) * PERIOD_S
    assert unknown.error == pytest.approx(2.5e7 * np.sqrt(2) * per_detector * (2e-3 - 2.4e-4))


def test_a_long_lifetime_leaks_into_the_window_but_not_into_pairs_by_sync_number():
    rng = np.random.default_rng(2)
    n = 400_000
    pulse, late_ns, channel = pulsed(rng, 0.08, n, 60.0, single=True)
    own = late_ns < PERIOD_NS
    g2 = measured(recording([(pulse[own], late_ns[own], channel[own])]), n)
    assert g2.sync.value == 0.0
    # half of the pairs of either neighbour that are further apart than half a period
    assert g2.window.value == pytest.approx(np.exp(-200.0 / 60.0), abs=3.5 * g2.window.error)
