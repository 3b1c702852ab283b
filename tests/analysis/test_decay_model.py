from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qdlab.analysis.decay_model import (
    Background,
    background_probabilities,
    decay_probabilities,
    warped_edges,
)

FINE_NS = np.arange(16001) * 0.025


@pytest.mark.parametrize("lifetime_ns", [0.01, 0.3, 0.9, 42.0, 125.0, 5000.0])
@pytest.mark.parametrize("time_zero_ns", [0.1, 2.0, 250.0, 399.9])
def test_a_period_holds_every_photon_wherever_time_zero_is(response, lifetime_ns, time_zero_ns):
    p = decay_probabilities(lifetime_ns, FINE_NS, replace(response, time_zero_ns=time_zero_ns))
    assert p.sum() == pytest.approx(1.0, abs=1e-9)
    assert p.min() > -1e-12


@pytest.mark.parametrize("lifetime_ns", [0.05, 0.9, 20.0, 125.0])
def test_the_decay_is_a_periodic_exponential_convolved_with_the_response(response, lifetime_ns):
    step = 0.005
    t = np.arange(0, 400, step) + step / 2
    sharp = np.exp(-t / lifetime_ns) / -np.expm1(-400 / lifetime_ns) * -np.expm1(-step / lifetime_ns)
    sharp *= np.exp(0.5 * step / lifetime_ns)
    around = (t - response.time_zero_ns + 200) % 400 - 200
    gauss = np.exp(-0.5 * ((around - step / 2) / response.sigma_ns) ** 2)
    gauss /= gauss.sum()
    brute = np.fft.irfft(np.fft.rfft(sharp) * np.fft.rfft(gauss), len(t)).reshape(-1, 100).sum(axis=1)
    edges_ns = np.arange(801) * 0.5
    assert decay_probabilities(lifetime_ns, edges_ns, response)[0] == pytest.approx(brute, abs=3e-4)


@pytest.mark.parametrize("lifetime_ns", [0.9, 59.99, 60.0, 60.01, 125.0])
def test_afterpulses_add_their_share_later_than_their_photons(response, lifetime_ns):
    clean = decay_probabilities(lifetime_ns, FINE_NS, response)[0]
    dirty = decay_probabilities(lifetime_ns, FINE_NS, replace(response, afterpulsing=0.005))[0]
    assert dirty.sum() == pytest.approx(1.005, abs=1e-9)
    rng = np.random.default_rng(5)
    photon = rng.exponential(lifetime_ns, 400_000) + 2.0
    after = (photon + 24.0 + rng.exponential(60.0, photon.size)) % 400
    drawn = np.histogram(after, np.linspace(0, 400, 21))[0] / photon.size
    added = (dirty - clean).reshape(20, -1).sum(axis=1) / 0.005
    assert added == pytest.approx(drawn, abs=5 * np.sqrt(0.1 / photon.size) + 1e-4)


def test_background_counts_are_the_rates_measured_on_the_blank(response):
    background = Background(150.0, 230.0)
    per_s = background_probabilities(background, FINE_NS, replace(response, afterpulsing=0.005))
    assert per_s.sum() == pytest.approx(background.rate_hz)


@pytest.mark.parametrize("time_zero_bins", [0.0, 80.0, 9000.3, 15990.0])
def test_warped_edges_cover_the_period_once_and_are_fine_near_the_pulse(time_zero_bins):
    edges = warped_edges(time_zero_bins, 16000.0, 0.025)
    assert (edges[0], edges[-1]) == (0, 16000)
    assert (np.diff(edges) > 0).all()
    assert 60 <= len(edges) <= 67
    late_ns = ((edges[:-1] - time_zero_bins) % 16000) * 0.025
    widths_ns = np.diff(edges) * 0.025
    assert widths_ns[late_ns < 1.0].max() < 0.25
