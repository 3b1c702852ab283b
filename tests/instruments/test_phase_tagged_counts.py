"""Photons per phase setting: the tags, the weighted sums, their noise, and cables that fell off."""

import numpy as np
import pytest

from qdlab.formats.tttr import RecordType, TttrEncoder
from qdlab.instruments.base import OutOfRangeError
from qdlab.instruments.phase_tagged_counts import PhaseTaggedCounts, weighted_sums
from qdlab.instruments.photon_counter import CountingError
from qdlab.instruments.point_detector import Readings
from qdlab.sim.clock import SimulatedClock

SYNC_HZ = 2.5e6
SETTING_S = 0.004


class Counter:
    """A counter that hands out the words of photons and markers given in seconds."""

    record_type = RecordType.TIMEHARP_260P_T3
    sync_rate_hz = SYNC_HZ

    def __init__(self, clock, photon_s, marker_s, marker_bits):
        self._clock, self._encoder = clock, TttrEncoder(3)
        self._photons = np.round(np.asarray(photon_s) * SYNC_HZ).astype(np.int64)
        self._markers = np.round(np.asarray(marker_s) * SYNC_HZ).astype(np.int64)
        self._bits = np.asarray(marker_bits, np.uint8)

    def start(self, duration_s):
        self._start_s, self._duration_s, self._sent = self._clock.now(), duration_s, 0

    @property
    def measuring(self):
        return self._clock.now() - self._start_s < self._duration_s

    def take(self):
        until = int(min(self._clock.now() - self._start_s, self._duration_s) * SYNC_HZ)
        photons = self._photons[slice(*np.searchsorted(self._photons, [self._sent, until]))]
        at = slice(*np.searchsorted(self._markers, [self._sent, until]))
        self._sent = until
        return self._encoder.encode(
            photons,
            np.zeros(len(photons), np.uint16),
            np.zeros(len(photons), np.uint8),
            self._markers[at],
            self._bits[at],
        )

    def stop(self):
        self._duration_s = min(self._duration_s, self._clock.now() - self._start_s)


def shaper(settings, cycles, *, first=0, phase_s=0.0013):
    """Step edges (bit 1) and cycle edges (bit 2) of a shaper that was at setting `first` when it began."""
    number = np.arange(settings * cycles) + first
    return phase_s + SETTING_S * np.arange(len(number)), np.where(number % settings == 0, 3, 1)


def counts_of(photon_s, settings=4, *, cycles=8, first=2, n=8, edit=lambda s, b: (s, b), **keywords):
    clock = SimulatedClock()
    marker_s, bits = edit(*shaper(settings, cycles, first=first))
    counter = Counter(clock, photon_s, marker_s, bits)
    return PhaseTaggedCounts(
        counter, clock=clock, settings=settings, setting_s=SETTING_S, **keywords
    ).readings(n)


def test_each_photon_is_counted_in_its_setting_whenever_the_measurement_begins():
    starts_s, _ = shaper(4, 8)
    photon_s = np.concatenate(
        [start + SETTING_S * np.linspace(0.05, 0.95, 10 + k) for k, start in enumerate(starts_s)]
    )
    for first in range(4):
        readings = counts_of(photon_s, first=first)
        skipped = -first % 4  # settings before the first cycle mark
        assert readings.tag.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
        assert readings.value.real.tolist() == [10 + skipped + k for k in range(8)]
        assert readings.time_s == pytest.approx(0.0013 + SETTING_S * (skipped + np.arange(8)), abs=1e-6)


def test_photons_while_the_shaper_settles_are_left_out():
    starts_s, _ = shaper(4, 8)
    photon_s = np.sort(np.concatenate([starts_s + 0.0005, starts_s + 0.0025]))
    assert counts_of(photon_s).value.real.tolist() == [2.0] * 8
    assert counts_of(photon_s, settle_s=0.001).value.real.tolist() == [1.0] * 8


def test_weighted_sums_return_planted_signals_with_the_noise_they_announce():
    settings, rng = 27, np.random.default_rng(5)
    phases = 2 * np.pi * np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij")).reshape(3, 27) / 3
    orders = np.array([[1, 1, -1], [-1, 1, -1], [1, -1, -1]])  # of pulses 2, 3, 4, pulse 1 fixed
    planted = np.array([0.04 + 0.02j, -0.03j, 0.025 + 0j])
    weights = np.exp(-1j * orders @ phases)
    modulation = 1 + 2 * (planted @ np.exp(1j * orders @ phases)).real
    found = []
    for _ in range(300):
        counts = rng.poisson(400.0 * modulation)
        tags = np.arange(settings)
        sums = weighted_sums(Readings(counts.astype(complex), tags, np.zeros(settings)), weights)
        found.append(sums.value)
    assert sums.sigma == pytest.approx(np.sqrt(counts.sum()) / settings)
    assert np.mean(found, axis=0) == pytest.approx(400.0 * planted, abs=4 * sums.sigma[0] / np.sqrt(300))
    assert np.sqrt(np.mean(np.abs(found - 400.0 * planted) ** 2)) == pytest.approx(sums.sigma[0], rel=0.06)


def test_a_missing_step_trigger_is_an_error_and_no_shifted_tags():
    photon_s = np.linspace(0, 0.12, 2000)
    with pytest.raises(CountingError, match="do not have 4 steps"):
        counts_of(photon_s, edit=lambda s, b: (np.delete(s, 5), np.delete(b, 5)))
    with pytest.raises(CountingError, match="trigger cables"):
        counts_of(photon_s, edit=lambda s, b: (s[:0], b[:0]))
    with pytest.raises(CountingError, match="trigger cables"):
        counts_of(photon_s, edit=lambda s, b: (s, np.ones_like(b)))


def test_only_whole_cycles_are_counted():
    with pytest.raises(OutOfRangeError, match="whole number of cycles"):
        counts_of(np.zeros(0), n=6)
    with pytest.raises(ValueError, match="two different inputs"):
        counts_of(np.zeros(0), step_marker=2)
    with pytest.raises(ValueError, match="no cycle"):
        counts_of(np.zeros(0), settle_s=0.004)
