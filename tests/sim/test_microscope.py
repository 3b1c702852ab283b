import numpy as np
import pytest

from qdlab.sim.physics.charged_dot import CHARGING_FRACTION, ChargedDot
from qdlab.sim.physics.cover_slip import CoverSlip, Focus
from qdlab.sim.physics.detection import TICKS_PER_NS, TICKS_PER_S, Detection, Light
from qdlab.sim.physics.microscope import MicroscopePhotons
from qdlab.sim.physics.photons import DotPhotons

LIGHT = Light(emitting=True)
STEADY = ChargedDot(charges=False, blinking=None)


class Path:
    """One axis on a given path."""

    def __init__(self, path):
        self.path = path

    def positions_um(self, at_ps):
        return np.broadcast_to(self.path(at_ps * 1e-12), at_ps.shape).astype(float)


def still(x_um, y_um, z_um):
    return [Path(lambda t, um=um: um + 0 * t) for um in (x_um, y_um, z_um)]


def one_dot(at_um=(0.0, 0.0, 0.0), **kwargs) -> CoverSlip:
    return CoverSlip(
        position_um=np.array([at_um]),
        brightness=np.ones(1),
        charges=np.zeros(1, bool),
        site=np.zeros(1, np.int64),
        batch=lambda charges: STEADY,
        **kwargs,
    )


def record(photons, duration_s=2.0, light=LIGHT, cuts=None, bias_v=0.0):
    """Ticks and detectors of a time, made in steps of 0.1 s or at `cuts` (ticks)."""
    end = round(duration_s * TICKS_PER_S)
    stops = range(end // 20, end + 1, end // 20) if cuts is None else [*cuts, end]
    since, parts = 0, []
    for until in stops:
        parts.append(photons.advance(until, np.array([since]), np.array([bias_v]), light))
        since = until
    return np.concatenate([t for t, _ in parts]), np.concatenate([n for _, n in parts])


def test_a_dot_in_the_middle_of_the_focus_is_as_bright_as_one_without_a_microscope():
    ticks, _ = record(MicroscopePhotons(one_dot(), still(0, 0, 0), Detection(), seed=3))
    alone, _ = record(DotPhotons(STEADY, Detection(), seed=3))
    assert len(ticks) == pytest.approx(len(alone), abs=5 * np.sqrt(2 * len(alone)))


@pytest.mark.parametrize("away_um", [(0.05, 0, 0), (0, 0.0775, 0), (0.03, 0.04, 0), (0, 0, 0.18)])
def test_far_from_saturation_the_rate_falls_as_excitation_times_collection(away_um):
    dim = Light(emitting=True, power_nw=3.0)
    detection = Detection(dark_rate_hz=0.0, laser_background_hz=0.0, efficiency=0.2)
    here, _ = record(MicroscopePhotons(one_dot(), still(0, 0, 0), detection, seed=4), 4.0, dim)
    there, _ = record(MicroscopePhotons(one_dot(), still(*away_um), detection, seed=5), 4.0, dim)
    excitation, collection = Focus().couplings(np.array([away_um]))
    expected = float(excitation[0] * collection[0])
    assert len(there) / len(here) == pytest.approx(expected, rel=5 / np.sqrt(len(there)) + 0.01)


def test_half_the_excitation_is_half_a_full_width_away():
    across, along = Focus().excitation_um
    assert across == pytest.approx(0.155, abs=0.001)
    assert along == pytest.approx(0.36, abs=0.005)
    excitation, _ = Focus().couplings(np.array([[across / 2, 0, 0], [0, 0, along / 2]]))
    assert excitation == pytest.approx(0.5)


def swinging(slip, index):
    x_um, y_um, z_um = slip.position_um[index]
    return [
        Path(lambda t: x_um + 0.5 * np.sin(9 * t)),
        Path(lambda t: y_um + 0.1 * np.sin(0.7 * t)),
        Path(lambda t: z_um + 0.05 * t),
    ]


def test_the_pulses_do_not_depend_on_how_time_is_cut():
    slip = CoverSlip.scattered(seed=2)

    def pulses(cuts):
        photons = MicroscopePhotons(slip, swinging(slip, 7), Detection(), seed=2)
        return record(photons, 2.0, cuts=cuts, bias_v=-1.4)

    ticks, detectors = pulses(None)
    assert len(ticks) > 2500
    rng = np.random.default_rng(0)
    for cuts in ([], np.unique(rng.integers(1, 2 * TICKS_PER_S, 500)).tolist()):
        again, which = pulses(cuts)
        np.testing.assert_array_equal(again, ticks)
        np.testing.assert_array_equal(which, detectors)


def test_locking_the_laser_leaves_dark_counts_and_unlocking_goes_on_the_same_however_cut():
    def pulses(finer):
        photons = MicroscopePhotons(one_dot(), still(0.02, 0, 0), Detection(), seed=6)
        parts, since = [], 0
        for until_s, light in ((0.50003, LIGHT), (1.00011, Light()), (1.5, LIGHT)):
            until = round(until_s * TICKS_PER_S)
            for stop in np.linspace(since, until, finer + 1)[1:].astype(np.int64).tolist():
                parts.append(photons.advance(stop, np.array([since]), np.zeros(1), light)[0])
                since = stop
        return np.concatenate(parts)

    ticks = pulses(1)
    np.testing.assert_array_equal(pulses(37), ticks)
    dark = np.count_nonzero((ticks > 0.501 * TICKS_PER_S) & (ticks < TICKS_PER_S))
    assert dark < 150 * 0.5 + 5 * np.sqrt(75)
    assert np.count_nonzero(ticks > 1.001 * TICKS_PER_S) > 10_000


def test_a_drifting_dot_leaves_the_focus():
    drift = one_dot(drift_um_h=(0.0, 360.0, 0.0))  # 0.1 um/s
    ticks, _ = record(MicroscopePhotons(drift, still(0, 0, 0), Detection(), seed=1), 4.0)
    each_s = np.bincount(ticks // TICKS_PER_S, minlength=4)
    assert each_s[0] > 3 * each_s[1] > 9 * each_s[3]
    assert each_s[3] < 600


def test_two_dots_in_one_focus_share_the_dead_time_of_the_detectors():
    pair = CoverSlip(
        np.zeros((2, 3)),
        np.full(2, 3.0),
        np.zeros(2, bool),
        np.zeros(2, np.int64),
        batch=lambda charges: STEADY,
    )
    ticks, detectors = record(MicroscopePhotons(pair, still(0, 0, 0), Detection(), seed=1))
    one, _ = record(MicroscopePhotons(one_dot(), still(0, 0, 0), Detection(), seed=1))
    assert len(ticks) > 5 * len(one)
    for detector in (0, 1):
        assert np.diff(ticks[detectors == detector]).min() >= 24 * TICKS_PER_NS


def test_a_scattered_cover_slip_is_what_it_says():
    slip = CoverSlip.scattered(seed=5)
    sites = len(np.unique(slip.site))
    assert sites == pytest.approx(4000, abs=5 * np.sqrt(4000))
    n = len(slip.site)
    assert slip.charges.mean() == pytest.approx(CHARGING_FRACTION, abs=5 * np.sqrt(0.21 / n))
    assert n - sites == pytest.approx(400, abs=5 * np.sqrt(400))
    seeds = {slip.dot_seed(k) for k in range(n)}
    assert len(seeds) == n
    for site in np.flatnonzero(np.bincount(slip.site) == 2)[:20]:
        a, b = slip.position_um[slip.site == site]
        assert np.linalg.norm(a - b) == pytest.approx(0.012)


def test_the_truth_names_the_dots_that_were_seen():
    slip = CoverSlip.scattered(seed=2)
    photons = MicroscopePhotons(slip, still(*slip.position_um[7]), Detection(), seed=2)
    record(photons, 0.5)
    truth = photons.truth()
    assert "00007" in truth["near"]
    assert truth["near"]["00007"]["charges"] == bool(slip.charges[7])
    assert len(truth["near"]) < 5
