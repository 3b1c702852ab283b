from dataclasses import replace

import numpy as np
import pytest

from qdlab.analysis.blank import BlankData, analyze_blank

PERIOD_NS, RESOLUTION_NS = 400.0, 0.025
DARK_HZ, PROMPT_HZ, PROMPT_NS, SIGMA_NS, ZERO_NS = 80.0, 250.0, 0.35, 0.16, 2.3
AFTER, AFTER_DELAY_NS, AFTER_NS = 0.01, 30.0, 50.0


def poisson_times_ns(rng, rate_hz: float, start_s: float, end_s: float) -> np.ndarray:
    return rng.uniform(start_s, end_s, rng.poisson(rate_hz * (end_s - start_s))) * 1e9


def make_blank(
    seed: int, half_s: float = 150.0, prompt_hz: float = PROMPT_HZ, after: float = AFTER
) -> BlankData:
    """Dark counts, one exponential behind a Gaussian, and afterpulses of both; two detectors."""
    rng = np.random.default_rng(seed)
    times, channels = [], []
    for channel in (0, 1):
        own = [poisson_times_ns(rng, DARK_HZ, 0.0, 2 * half_s)]
        pulses = np.floor(poisson_times_ns(rng, prompt_hz / 2, half_s, 2 * half_s) / PERIOD_NS) * PERIOD_NS
        own.append(pulses + ZERO_NS + rng.exponential(PROMPT_NS, len(pulses)))
        own[-1] += SIGMA_NS * rng.standard_normal(len(pulses))
        first = np.concatenate(own)
        late = first[rng.random(len(first)) < after]
        own.append(late + AFTER_DELAY_NS + rng.exponential(AFTER_NS, len(late)))
        pulses_ns = np.sort(np.concatenate(own))
        alive = np.diff(pulses_ns, prepend=-np.inf) >= AFTER_DELAY_NS
        times.append(pulses_ns[alive])
        channels.append(np.full(len(times[-1]), channel, np.uint8))
    time_ns, channel = np.concatenate(times), np.concatenate(channels)
    order = np.argsort(time_ns)
    time_ns, channel = time_ns[order], channel[order]
    sync = np.floor(time_ns / PERIOD_NS).astype(np.int64)
    dtime = ((time_ns - sync * PERIOD_NS) / RESOLUTION_NS).astype(np.uint16)
    return BlankData(
        sync=sync,
        dtime=dtime,
        channel=channel,
        resolution_ps=1000 * RESOLUTION_NS,
        sync_period_s=PERIOD_NS * 1e-9,
        duration_s=2 * half_s,
        detectors=2,
        unlocked_s=(half_s, half_s),
    )


def pulls_of(result) -> dict[str, float]:
    """How many standard errors each number lies from what was planted."""
    after = result.afterpulsing
    planted = {
        "dark 0": (result.dark_rates_hz[0], DARK_HZ * (1 + AFTER)),
        "dark 1": (result.dark_rates_hz[1], DARK_HZ * (1 + AFTER)),
        "prompt": (result.prompt_rate_hz, PROMPT_HZ * (1 + AFTER)),
        "lifetime": (result.prompt.lifetime_ns, PROMPT_NS),
        "fwhm": (result.prompt.irf_fwhm_ns, SIGMA_NS * 2 * np.sqrt(2 * np.log(2))),
        "zero": (result.prompt.time_zero_ns, ZERO_NS),
        "afterpulsing": (after.probability, AFTER),
        "trap": (after.lifetime_ns, AFTER_NS),
    }
    return {name: (found.value - value) / found.error for name, (found, value) in planted.items()}


def test_what_was_planted_is_found_within_its_errors_over_many_blanks():
    pulls = [pulls_of(analyze_blank(make_blank(seed))) for seed in range(12)]
    for name in pulls[0]:
        values = np.array([p[name] for p in pulls])
        assert np.abs(values).max() < 4.0, name
        assert abs(values.mean()) < 1.2, name  # four standard errors of the mean
        assert 0.4 < values.std(ddof=1) < 1.8, name


def test_the_fit_describes_the_decay():
    assert 0.7 < analyze_blank(make_blank(1)).prompt.chi2_per_bin < 1.4


def test_two_exponentials_are_noticed():
    blank = make_blank(1)
    late = blank.dtime.copy()
    prompt = (blank.sync * blank.sync_period_s > 150) & (late < 400)
    rng = np.random.default_rng(3)
    slow = prompt & (rng.random(len(late)) < 0.3)
    late[slow] += (rng.exponential(5.0, slow.sum()) / RESOLUTION_NS).astype(np.uint16)
    result = analyze_blank(replace(blank, dtime=late))
    assert result.prompt.chi2_per_bin > 1.5
    assert any("not one exponential" in w for w in result.warnings)


def test_without_afterpulses_none_are_measured():
    result = analyze_blank(make_blank(5, after=0.0))
    assert not result.afterpulsing.measured
    assert result.afterpulsing.lifetime_ns is None
    assert result.summary()["afterpulsing"]["measured"] is False
    assert abs(result.afterpulsing.probability.value) < 4 * result.afterpulsing.probability.error


def test_too_little_light_gives_rates_but_no_response():
    result = analyze_blank(make_blank(6, half_s=20.0, prompt_hz=10.0))
    assert result.prompt is None
    assert result.prompt_rate_hz.value == pytest.approx(10.0, abs=5 * result.prompt_rate_hz.error)
    assert result.summary()["irf_fwhm_ps"] is None
    assert any("count longer" in w for w in result.warnings)


def test_a_run_that_ended_in_the_dark_gives_dark_counts_only():
    blank = make_blank(7)
    dark = blank.sync * blank.sync_period_s < 100.0
    cut = replace(
        blank, sync=blank.sync[dark], dtime=blank.dtime[dark], channel=blank.channel[dark], duration_s=100.0,
        unlocked_s=None, status="aborted",
    )  # fmt: skip
    result = analyze_blank(cut)
    assert result.dark_rates_hz[0].value == pytest.approx(DARK_HZ, abs=5.0)
    assert result.prompt_rate_hz is None
    assert result.scatter_s == 0.0
    assert any("before the laser was on" in w for w in result.warnings)
