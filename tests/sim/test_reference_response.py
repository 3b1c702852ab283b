"""The explicit response against fixed numbers, exact symmetries and other packages."""

import itertools

import numpy as np
import pytest

from qdlab.sim.physics.dimer_ensemble import (
    NO_DEPHASING,
    RAD_PER_FS,
    Dephasing,
    Laser,
    LevelSystem,
    Relaxation,
    coupled_dimers,
    quasi_homodimers,
)
from qdlab.sim.physics.dimers import DimerModel
from qdlab.sim.physics.reference_response import (
    Conditions,
    double_quantum,
    ensemble_mean,
    nonrephasing,
    rephasing,
)

WHITE = Laser(18200, np.inf)
BARE = Conditions(Laser(0, np.inf), NO_DEPHASING, None, 0.0)
HARD_CORE = LevelSystem(
    np.array([-198.27723451, 148.27723451]),
    np.array([0.27617739, -1.18900212]),
    np.array([-50.0]),
    np.array([[0.66646942], [-1.02265268]]),
)
TWO_LEVEL = LevelSystem(np.array([120.0]), np.array([0.7]), np.zeros(0), np.zeros((1, 0)))
T1, T2, T3 = np.array([0.0, 8.0, 31.0]), np.array([0.0, 30.0, 222.0]), np.array([0.0, 12.0, 47.0, 90.0])
SIGNALS = {"rephasing": rephasing, "nonrephasing": nonrephasing, "double_quantum": double_quantum}


def largest_difference(found, expected) -> float:
    return float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))


def test_hard_core_dimer():
    assert rephasing(HARD_CORE, 8, 30, 12, BARE).total.item() == pytest.approx(
        3.17048152 - 1.33686207j, abs=3e-8
    )
    assert nonrephasing(HARD_CORE, 8, 30, 12, BARE).total.item() == pytest.approx(
        2.33507819 - 2.39998018j, abs=3e-8
    )


def test_two_level_system_is_two_lines_of_algebra():
    t1, _, t3 = np.meshgrid(T1, T2, T3)
    w = RAD_PER_FS * 120.0
    decay = 2 * 0.7**4 * np.exp(-(t1 + t3) / 60)
    on = Conditions(Laser(0, np.inf), Dephasing(), None, 0.0)
    found = rephasing(TWO_LEVEL, T1, T2, T3, on).total
    assert largest_difference(found, decay * np.exp(1j * w * (t1 - t3))) < 1e-14
    found = nonrephasing(TWO_LEVEL, T1, T2, T3, on).total
    assert largest_difference(found, decay * np.exp(-1j * w * (t1 + t3))) < 1e-14
    assert np.all(double_quantum(TWO_LEVEL, T1, T2, T3, on).total == 0)


def pathway_by_pathway(system: LevelSystem, signal: str, t1, t2, t3, on: Conditions) -> complex:
    """The response as nested loops over states, straight from the table of pathways."""
    w, mu, mu_f = RAD_PER_FS * (system.energy_cm - on.frame_cm), system.dipole, system.pair_dipole
    w_f = RAD_PER_FS * (system.pair_energy_cm - 2 * on.frame_cm)
    e = on.laser.amplitude(system.energy_cm)
    d = on.dephasing
    one, two = range(len(w)), range(len(w_f))
    first, last, esa = np.exp(-t1 / d.optical_fs), np.exp(-t3 / d.optical_fs), np.exp(-t3 / d.esa_fs)
    g = on.propagator(np.array([t2]), len(w))[0]
    beat = np.exp(-t2 / d.exciton_fs)

    def lift(f, i):
        return on.laser.amplitude(system.pair_energy_cm[f] - system.energy_cm[i])

    total = 0j
    sign = 1 if signal == "rephasing" else -1
    for i, j in itertools.product(one, one):
        opening = np.exp(sign * 1j * w[i] * t1) * first
        settled = mu[i] ** 2 * mu[j] ** 2 * e[i] ** 2 * e[j] * opening * np.exp(-1j * w[j] * t3) * last
        total += settled * (1 + g[j, i])  # bleach, and emission of what went from i to j
        for f in two:
            strength = mu[i] ** 2 * mu_f[j, f] ** 2 * e[i] ** 2 * lift(f, j)
            total -= strength * opening * g[j, i] * np.exp(-1j * (w_f[f] - w[j]) * t3) * esa
        if i == j:
            continue
        ket, bra = (j, i) if signal == "rephasing" else (i, j)
        waiting = np.exp(-1j * (w[ket] - w[bra]) * t2) * beat
        strength = mu[i] ** 2 * mu[j] ** 2 * e[ket] * e[bra] ** 2
        total += strength * opening * waiting * np.exp(-1j * w[ket] * t3) * last
        for f in two:
            strength = mu[i] * mu[j] * mu_f[i, f] * mu_f[j, f] * e[i] * e[j] * lift(f, ket)
            total -= strength * opening * waiting * np.exp(-1j * (w_f[f] - w[bra]) * t3) * esa
    return total


@pytest.mark.parametrize("signal", ["rephasing", "nonrephasing"])
def test_the_sums_over_arrays_are_the_sums_over_pathways(signal):
    labels = ["Ll perp", "Lh perp", "H par"]
    system = quasi_homodimers(3.0, 0.09, 2, seed=4).system(1, labels)
    on = Conditions(rates_per_fs=Relaxation().matrix(labels))
    grid = SIGNALS[signal](system, T1, T2, T3, on).total
    for (b, t2), (a, t1), (c, t3) in itertools.product(enumerate(T2), enumerate(T1), enumerate(T3)):
        expected = pathway_by_pathway(system, signal, t1, t2, t3, on)
        assert grid[b, a, c] == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("relaxing", [True, False])
@pytest.mark.parametrize("laser", [Laser(), WHITE])
def test_ideal_bosons_have_no_third_order_response(relaxing, laser):
    """Two harmonic dots: bleach and emission are cancelled by absorption to two excitons."""
    ensemble = quasi_homodimers(3.0, 0.09, 3, seed=2, model=DimerModel(binding_cm=0, blocking=1))
    on = Conditions(laser, Dephasing(60, 60, 40, 3800), Relaxation().matrix() if relaxing else None)
    for k in range(3):
        for signal in (rephasing, nonrephasing):
            found = signal(ensemble.system(k), T1, T2, T3, on)
            assert np.max(np.abs(found.total)) <= 1e-12 * np.max(np.abs(found.gsb))
    found = double_quantum(ensemble.system(0), T1, T2, T3, on._replace(laser=WHITE))
    assert np.max(np.abs(found.total)) <= 1e-12 * np.max(np.abs(found.emission))


def test_rephasing_and_nonrephasing_coincide_at_zero_t1():
    ensemble = quasi_homodimers(3.0, 0.09, 4, seed=9)
    found = ensemble_mean(rephasing, ensemble, 0, T2, T3)
    assert largest_difference(found, ensemble_mean(nonrephasing, ensemble, 0, T2, T3)) < 1e-13


def test_six_icosahedral_axes_average_orientations_exactly():
    """Fourth-rank averages need no random angles: cos^2 = 1 and five times 1/5, seen along one axis."""
    diameters = np.tile([[3.1, 2.8]], (6, 1))
    axes = coupled_dimers(diameters, [1.0] + [5**-0.5] * 5)
    nodes, weights = np.polynomial.legendre.leggauss(6)
    exact = sum(
        weight / 2 * ensemble_mean(rephasing, coupled_dimers(diameters[:1], [node]), T1, T2, T3)
        for node, weight in zip(nodes, weights, strict=True)
    )
    assert largest_difference(ensemble_mean(rephasing, axes, T1, T2, T3), exact) < 1e-12


def test_a_frame_is_a_change_of_phase_only():
    system = quasi_homodimers(3.0, 0.09, 1, seed=1).system(0)
    shift = 37.0
    near, far = Conditions(), Conditions(frame_cm=18200.0 - shift)
    turn = {"rephasing": (1, 0, -1), "nonrephasing": (-1, 0, -1), "double_quantum": (-1, -2, -1)}
    t1, t2, t3 = np.meshgrid(T1, T2, T3)
    for name, signal in SIGNALS.items():
        n1, n2, n3 = turn[name]
        phase = np.exp(1j * RAD_PER_FS * shift * (n1 * t1 + n2 * t2 + n3 * t3))
        near_turned = signal(system, T1, T2, T3, near).total * phase
        assert largest_difference(signal(system, T1, T2, T3, far).total, near_turned) < 1e-11


def test_populations_move_to_lower_states_and_no_emission_is_lost():
    system = quasi_homodimers(3.0, 0.09, 1, seed=3).system(0)
    on = Conditions(WHITE, NO_DEPHASING._replace(exciton_fs=100.0))
    late = rephasing(system, 0, 1e6, 0, on).se.item()
    strength = system.dipole**2
    perp, par = (strength.reshape(4, 2, 2)[:, p].sum() for p in (0, 1))
    assert late.real == pytest.approx(perp * strength[0] + par * strength[2])  # Ll in the lower branch


# ---- other packages ----

LABELS_15 = ["Ll perp", "Lh perp"]


def coupled_dimer() -> LevelSystem:
    return coupled_dimers([[3.1, 2.9]], [0.4]).system(0, LABELS_15)


SYSTEMS, NAMES = [TWO_LEVEL, HARD_CORE, coupled_dimer()], ["two level", "hard core", "dimer"]


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("system", SYSTEMS, ids=NAMES)
@pytest.mark.parametrize("signal", SIGNALS)
def test_agrees_with_ufss(system, signal, tmp_path):
    ufss = pytest.importorskip("ufss")
    frame = 0.0 if system.energy_cm[0] < 1e3 else 18200.0
    order = {"rephasing": (-1, 1, 1), "nonrephasing": (1, -1, 1), "double_quantum": (1, 1, -1)}[signal]
    singles, pairs = len(system.energy_cm), max(len(system.pair_energy_cm), 1)
    pair_energy = system.pair_energy_cm if len(system.pair_energy_cm) else np.array([2 * frame + 777.0])
    pair_dipole = system.pair_dipole if len(system.pair_energy_cm) else np.zeros((singles, 1))
    energies = {
        "0": np.zeros((1, 1)),
        "1": np.diag(RAD_PER_FS * (system.energy_cm - frame)),
        "2": np.diag(RAD_PER_FS * (pair_energy - 2 * frame)),
    }
    up = {"0_to_1": np.zeros((singles, 1, 3)), "1_to_2": np.zeros((pairs, singles, 3))}
    up["0_to_1"][:, 0, 0], up["1_to_2"][..., 0] = system.dipole, pair_dipole.T
    ufss.HLG.manual_H_and_D_input.manualH(energies, up, savedir=str(tmp_path))
    engine = ufss.UF2Wavefunctions(str(tmp_path / "closed"), detection_type="complex_polarization")
    engine.set_polarization_sequence(["x"] * 4)
    pulses = tuple((1, 0) if sign > 0 else (0, 1) for sign in order)
    engine.set_efields([np.array([0])] * 4, [np.array([1])] * 4, [0] * 4, pulses)

    t1, t2, t3 = 8.0, 30.0, np.array([5.0, 12.0, 60.0])
    arrivals = [0.0, t1, t1 + t2, t1 + t2]
    engine.set_pulse_times(arrivals)
    engine.set_current_diagram_instructions(arrivals)
    polarisation = np.zeros(3, dtype=complex)
    for diagrams in engine.current_instructions.values():
        for diagram in diagrams:
            rho = engine.execute_diagram(diagram)
            polarisation += engine.mu_exp_val(arrivals[-1] + t3, rho, -1, mu_type="H", up_flag=False)
    on = Conditions(Laser(frame, np.inf), NO_DEPHASING, None, frame)
    expected = SIGNALS[signal](system, t1, t2, t3, on).total[0, 0]
    scale = np.sum(system.dipole**2) ** 2
    np.testing.assert_allclose(1j * polarisation, expected, rtol=0, atol=1e-12 * scale)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("system", SYSTEMS[1:], ids=NAMES[1:])
@pytest.mark.parametrize("signal", SIGNALS)
def test_agrees_with_liouville_propagators_of_qutip(system, signal):
    """With the decays and the relaxation put into the Liouvillian by hand."""
    qutip = pytest.importorskip("qutip")
    frame = 0.0 if system.energy_cm[0] < 1e3 else 18200.0
    singles, pairs = len(system.energy_cm), len(system.pair_energy_cm)
    manifold = np.repeat([0, 1, 2], [1, singles, pairs])
    n = len(manifold)
    levels = RAD_PER_FS * (np.r_[0, system.energy_cm, system.pair_energy_cm] - frame * manifold)
    up = np.zeros((n, n))
    up[1 : 1 + singles, 0], up[1 + singles :, 1 : 1 + singles] = system.dipole, system.pair_dipole.T
    up = qutip.Qobj(up)

    decays = Dephasing()
    rates = Relaxation().matrix(LABELS_15) if singles == 4 else None
    extra = np.zeros((n * n, n * n))
    by_order = {(0, 1): decays.optical_fs, (1, 2): decays.esa_fs, (0, 2): decays.double_quantum_fs}
    by_order |= {(1, 1): decays.exciton_fs}
    for ket, bra in itertools.product(range(n), range(n)):  # columns of the matrix are stacked
        kind = tuple(sorted((int(manifold[ket]), int(manifold[bra]))))
        if ket != bra and kind in by_order:
            extra[ket + n * bra, ket + n * bra] = -1 / by_order[kind]
    if rates is not None:
        diagonal = [k * (n + 1) for k in range(1, 1 + singles)]
        extra[np.ix_(diagonal, diagonal)] = rates
    generator = qutip.liouvillian(qutip.Qobj(np.diag(levels)))
    generator = generator + qutip.Qobj(extra, dims=generator.dims)

    order = {"rephasing": (-1, 1, 1), "nonrephasing": (1, -1, 1), "double_quantum": (1, 1, -1)}[signal]
    t1, t2, t3 = 8.0, 30.0, 12.0
    state = qutip.operator_to_vector(qutip.basis(n, 0).proj())
    for sign, t in zip(order, (t1, t2, t3), strict=True):
        lift = up if sign > 0 else up.dag()
        state = (generator * t).expm() * (1j * (qutip.spre(lift) - qutip.spost(lift)) * state)
    polarisation = (up.dag() * qutip.vector_to_operator(state)).tr()
    on = Conditions(Laser(frame, np.inf), decays, rates, frame)
    expected = SIGNALS[signal](system, t1, t2, t3, on).total.item()
    assert 1j * polarisation == pytest.approx(expected, rel=0, abs=1e-12 * np.sum(system.dipole**2) ** 2)
