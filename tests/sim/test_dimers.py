"""Single dots and dimers against closed forms, hand-made matrices and independently found numbers."""

import numpy as np
import pytest

from qdlab.sim.physics.dimer_dot import (
    HOLE_ROOTS,
    band_edge_cm,
    bright_splitting_cm,
    electron_energy_ev,
    exchange_cm,
    fine_structure_cm,
    fine_structure_strength,
    label_dipoles,
    label_energies_cm,
    second_s_offset_cm,
    sizing_diameter_nm,
    sizing_peak_cm,
)
from qdlab.sim.physics.dimer_ensemble import Laser, Relaxation, coupled_dimers, quasi_homodimers
from qdlab.sim.physics.dimer_states import (
    ESA_PATHWAYS,
    EXCITONS,
    LABELS,
    LINKS,
    PAIR_LABELS,
    PAIRS,
    exciton,
    states_of,
)
from qdlab.sim.physics.dimers import DimerModel


def block_of(f: int, g: int) -> np.ndarray:
    """Two-exciton states of a pair of labels."""
    return np.flatnonzero((PAIR_LABELS[:, 0] == f) & (PAIR_LABELS[:, 1] == g))


def test_hole_roots_and_electron_level():
    assert pytest.approx((4.590307, 6.220452), abs=1e-6) == HOLE_ROOTS
    assert float(electron_energy_ev(1.5)) == pytest.approx(0.39449, abs=5e-6)


def test_band_edge_against_size():
    np.testing.assert_allclose(band_edge_cm([2.8, 3.0, 3.2]), [18788.7, 18250.0, 17798.9], atol=0.06)
    slope = (band_edge_cm(3.05) - band_edge_cm(2.95)) / 0.1
    assert slope == pytest.approx(-2458, abs=2)


def test_sizing_curve_forwards_and_backwards():
    peaks = [sizing_peak_cm(diameter) for diameter in (2.8, 3.0, 3.2)]
    np.testing.assert_allclose(peaks, [18631.2, 18249.3, 17938.9], atol=0.06)
    assert (sizing_peak_cm(3.05) - sizing_peak_cm(2.95)) / 0.1 == pytest.approx(-1710, abs=2)
    assert float(sizing_diameter_nm(1e7 / peaks[0])) == pytest.approx(2.8, abs=1e-9)
    with pytest.raises(ValueError, match="sign"):
        sizing_peak_cm(12.0)


def test_the_fitted_barrier_puts_a_3_nm_dot_on_the_sizing_curve():
    assert float(band_edge_cm(3.0)) == pytest.approx(sizing_peak_cm(3.0), abs=1.0)


def test_a_dot_too_small_to_bind_an_electron_is_refused():
    with pytest.raises(ValueError, match="too small to bind an electron"):
        band_edge_cm([3.0, 0.4])


def test_bright_splitting_depends_weakly_on_size():
    splitting = bright_splitting_cm([2.8, 3.0, 3.2])
    np.testing.assert_allclose(splitting, [132.7, 123.3, 112.9], atol=0.06)
    exponent = np.log(bright_splitting_cm(3.03) / bright_splitting_cm(2.97)) / np.log(3.03 / 2.97)
    assert exponent == pytest.approx(-1.21, abs=0.02)


def twelve_states(spin_orbit: float, crystal_field: float, singlet: float) -> np.ndarray:
    """Energies of a hole in a p orbital with spin, and an electron spin: 3 x 2 x 2 states, ascending."""
    levi_civita = np.zeros((3, 3, 3))
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        levi_civita[a, b, c], levi_civita[a, c, b] = 1, -1
    orbital = -1j * levi_civita
    spin = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]]) / 2
    one, both = np.eye(2), np.eye(3)
    l_dot_s = sum(np.kron(orbital[k], np.kron(spin[k], one)) for k in range(3))
    along_c = np.kron(np.diag([0, 0, 1]), np.eye(4))
    exchange = sum(np.kron(both, np.kron(spin[k], spin[k])) for k in range(3))
    is_singlet = np.eye(12) / 4 - exchange
    hamiltonian = -2 / 3 * spin_orbit * (l_dot_s - np.eye(12) / 2)
    return np.linalg.eigvalsh(hamiltonian + crystal_field * along_c + singlet * is_singlet)


@pytest.mark.parametrize("diameter_nm", [2.0, 3.0, 5.0])
def test_fine_structure_is_the_strong_spin_orbit_limit_of_twelve_states(diameter_nm):
    eta, delta = float(exchange_cm(diameter_nm)), 225.8
    levels = fine_structure_cm(eta, delta)
    degeneracy = {"2": 2, "1L": 2, "0L": 1, "1U": 2, "0U": 1}
    closed = np.sort([float(levels[name]) for name, n in degeneracy.items() for _ in range(n)])
    found = twelve_states(1e10, 1.5 * delta, 6 * eta)[:8]
    np.testing.assert_allclose(found - found.mean(), closed - closed.mean(), atol=1e-4)


def test_oscillator_strengths_of_the_fine_structure_add_up():
    strength = fine_structure_strength(exchange_cm([2.8, 3.0, 3.2]))
    total = 2 * strength["1L"] + 2 * strength["1U"] + strength["0U"]
    np.testing.assert_allclose(total, 2.0)
    levels = fine_structure_cm(exchange_cm(3.0))
    assert float(levels["0U"] - levels["1U"]) == pytest.approx(float(bright_splitting_cm(3.0)))
    assert float(levels["1L"] - levels["2"]) == pytest.approx(float(bright_splitting_cm(3.0)))


def test_label_energies():
    expected = [
        [17888.7, 18021.4, 18774.6, 18907.4, 19344.3, 19477.0, 20007.0, 20139.8],
        [17350.0, 17473.2, 18200.0, 18323.2, 18702.0, 18825.2, 19300.0, 19423.2],
        [16898.9, 17011.8, 17716.6, 17829.5, 18160.7, 18273.6, 18703.6, 18816.5],
    ]
    np.testing.assert_allclose(label_energies_cm([2.8, 3.0, 3.2]), expected, atol=0.06)
    assert float(second_s_offset_cm(3.0)) == pytest.approx(2111, abs=0.5)


def test_orientations_average_as_parallel_dipoles_must():
    cosine = np.linspace(-1, 1, 20001)
    perp, par = label_dipoles(cosine)[:, 2:4].T  # Lh has strength 1
    weights = np.full(cosine.size, 1 / (cosine.size - 1))
    weights[[0, -1]] /= 2
    assert weights @ perp**4 == pytest.approx(8 / 15, abs=1e-7)
    assert weights @ par**4 == pytest.approx(3 / 15, abs=1e-7)
    assert weights @ (perp**2 * par**2) == pytest.approx(2 / 15, abs=1e-7)


def test_dimer_of_3_1_and_2_9_nm():
    dimer = coupled_dimers([[3.1, 2.9]], [0.5])
    assert DimerModel().couplings_cm(dimer.diameters_nm)[0] == pytest.approx(-300.334, abs=5e-4)
    np.testing.assert_allclose(dimer.energy_cm[0, :2], [16972.57, 17749.15], atol=0.006)
    assert dimer.localisation[0, 0] == pytest.approx(1.4268, abs=5e-5)
    block = block_of(LABELS.index("Ll perp"), LABELS.index("Lh perp"))
    found = dimer.pair_energy_cm[0, block]
    np.testing.assert_allclose(found, [34781.26, 35502.00, 35574.39, 36110.71], atol=0.006)


def test_equal_dots_share_the_exciton_and_only_one_branch_is_bright():
    dimer = coupled_dimers([[3.0, 3.0]], [0.5])
    np.testing.assert_allclose(dimer.localisation, 2.0)
    np.testing.assert_allclose(dimer.dipole[0, 1::2], 0, atol=1e-12)
    np.testing.assert_allclose(dimer.dipole[0, ::2] ** 2, 2 * label_dipoles(0.5) ** 2)


def test_dots_far_apart_keep_their_own_excitons():
    dimer = coupled_dimers([[3.1, 2.9]], [0.5], DimerModel(gap_nm=5.0))
    np.testing.assert_allclose(dimer.localisation, 1.0)
    sites = np.sort(label_energies_cm([3.1, 2.9]), axis=0)
    np.testing.assert_allclose(dimer.energy_cm[0].reshape(8, 2).T, sites, rtol=1e-12)


def test_states_links_and_pathways_are_counted_once():
    assert (EXCITONS, PAIRS, len(LINKS.pair), len(ESA_PATHWAYS.pair)) == (16, 136, 496, 1888)
    triples = np.stack([ESA_PATHWAYS.i, ESA_PATHWAYS.j, ESA_PATHWAYS.pair])
    assert np.unique(triples, axis=1).shape == triples.shape
    np.testing.assert_array_equal(LINKS.exciton[ESA_PATHWAYS.link_j], ESA_PATHWAYS.j)
    np.testing.assert_array_equal(LINKS.pair[ESA_PATHWAYS.link_i], ESA_PATHWAYS.pair)


def test_a_dense_system_has_the_transitions_of_the_links_and_no_other():
    ensemble = quasi_homodimers(3.0, 0.09, 3, seed=5)
    system = ensemble.system(2)
    np.testing.assert_array_equal(system.pair_dipole[LINKS.exciton, LINKS.pair], ensemble.pair_dipole[2])
    assert np.count_nonzero(system.pair_dipole) == 496


def boson_oracle(diameters, label_f, label_g, model):
    """Two-exciton energies and lifted dipoles of a pair of labels from creation operators on four modes."""
    sites = label_energies_cm(diameters)
    coupling = model.couplings_cm(np.array([diameters]))[0]
    lower = np.diag(np.sqrt(np.arange(1, 3)), 1)
    operators = []
    for mode in range(4):
        factors = [np.eye(3)] * 4
        factors[mode] = lower
        product = factors[0]
        for factor in factors[1:]:
            product = np.kron(product, factor)
        operators.append(product)
    f_a, g_a, f_b, g_b = operators
    terms = [(f_a, f_a, sites[0, label_f]), (g_a, g_a, sites[0, label_g])]
    terms += [(f_b, f_b, sites[1, label_f]), (g_b, g_b, sites[1, label_g])]
    terms += [(f_a, f_b, coupling), (f_b, f_a, coupling), (g_a, g_b, coupling), (g_b, g_a, coupling)]
    hamiltonian = sum(energy * a.T @ b for a, b, energy in terms)
    number = np.rint(sum(np.diag(a.T @ a) for a in operators)).astype(int)
    count_f = np.rint(np.diag(f_a.T @ f_a + f_b.T @ f_b)).astype(int)
    keep = np.flatnonzero((number == 2) & (count_f == 1))
    return np.linalg.eigvalsh(hamiltonian[np.ix_(keep, keep)])


def test_without_binding_and_blocking_the_pairs_are_bosons():
    model = DimerModel(binding_cm=0, blocking=1)
    dimer = coupled_dimers([[3.1, 2.9]], [0.5], model)
    f, g = LABELS.index("Ll perp"), LABELS.index("H par")
    block = block_of(f, g)
    expected = boson_oracle([3.1, 2.9], f, g, model)
    np.testing.assert_allclose(dimer.pair_energy_cm[0, block], expected, rtol=1e-12)
    sums = dimer.energy_cm[0, [2 * f, 2 * f + 1]][:, None] + dimer.energy_cm[0, [2 * g, 2 * g + 1]]
    np.testing.assert_allclose(np.sort(dimer.pair_energy_cm[0, block]), np.sort(sums.ravel()), rtol=1e-12)


def test_blocks_conserve_energy_and_line_strength():
    model = DimerModel()
    dimer = coupled_dimers([[3.2, 2.7]], [0.3], model)
    sites = label_energies_cm([3.2, 2.7])
    bindings = model.bindings_cm(np.array([3.2, 2.7]))
    f, g = 0, 5
    block = block_of(f, g)
    trace = 2 * sites[:, [f, g]].sum() - bindings.sum()
    assert dimer.pair_energy_cm[0, block].sum() == pytest.approx(trace)
    # from |f> to |f g>: m_g^2 from each site, once to the other dot and blocked to the same
    m_g = label_dipoles(0.3)[g]
    lifted = dimer.system(0).pair_dipole[2 * f : 2 * f + 2][:, block]
    assert np.sum(lifted**2) == pytest.approx(2 * m_g**2 * (1 + model.blocking**2))
    twice = block_of(f, f)
    m_f = label_dipoles(0.3)[f]
    lifted = dimer.system(0).pair_dipole[2 * f : 2 * f + 2][:, twice]
    assert np.sum(lifted**2) == pytest.approx(2 * m_f**2 * (1 + 2 * model.blocking**2))


def test_a_shorter_seed_run_is_the_beginning_of_a_longer_one():
    few, many = quasi_homodimers(3.0, 0.09, 5, seed=3), quasi_homodimers(3.0, 0.09, 40, seed=3)
    np.testing.assert_array_equal(few.diameters_nm, many.diameters_nm[:5])
    np.testing.assert_allclose(few.energy_cm, many.energy_cm[:5])
    assert len(many) == 40


def test_diameters_are_normal_and_cut_at_three_standard_deviations():
    diameters = quasi_homodimers(3.0, 0.09, 4000, seed=8).diameters_nm
    assert abs(diameters - 3.0).max() <= 3 * 0.27
    assert diameters.mean() == pytest.approx(3.0, abs=4 * 0.27 / np.sqrt(8000))
    cut = 0.9733**0.5  # a normal distribution cut at three standard deviations keeps 0.9733 of its variance
    assert diameters.std() == pytest.approx(0.27 * cut, rel=4 / np.sqrt(2 * 8000))
    assert abs(np.corrcoef(diameters.T)[0, 1]) < 4 / np.sqrt(4000)


@pytest.mark.parametrize(("mean_nm", "dispersion"), [(3.0, -0.01), (3.0, 0.3), (3.0, np.nan), (0.0, 0.05)])
def test_impossible_ensembles_are_refused(mean_nm, dispersion):
    with pytest.raises(ValueError, match=r"dispersion|mean_nm"):
        quasi_homodimers(mean_nm, dispersion, 4, seed=1)


def test_relaxation_conserves_population_and_steps_down():
    rates = Relaxation().matrix()
    np.testing.assert_allclose(rates.sum(axis=0), 0, atol=1e-18)
    assert rates[exciton("Ll par", 1), exciton("Lh par", 1)] == pytest.approx(1 / 2000)
    assert rates[exciton("Lh perp", 0), exciton("H perp", 0)] == pytest.approx(1 / 1200)
    assert rates[exciton("H perp", 0), exciton("S perp", 0)] == pytest.approx(1 / 500)
    assert rates[exciton("S par", 0), exciton("S par", 1)] == pytest.approx(1 / 1500)
    reached = np.linalg.matrix_power(rates != 0, 6)
    assert np.count_nonzero(reached | np.eye(16, dtype=bool)) == 60


def test_a_part_of_the_labels_relaxes_within_itself():
    one, two = states_of(["Ll perp", "Lh perp"])
    assert (len(one), len(two)) == (4, 10)
    rates = Relaxation().matrix(["Ll perp", "H perp"])
    np.testing.assert_allclose(rates.sum(axis=0), 0, atol=1e-18)
    assert np.count_nonzero(rates) == 4  # only the two branches relax: H has lost its way down


def test_laser_has_its_width_in_intensity():
    laser = Laser()
    half = laser.amplitude([18200 - 1300, 18200, 18200 + 1300]) ** 2
    np.testing.assert_allclose(half, [0.5, 1, 0.5])
