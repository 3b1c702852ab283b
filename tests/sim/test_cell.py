"""The cell against closed forms of electrochemistry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qdlab.sim.physics.cell import Cell, CellParameters, CellResponse
from qdlab.sim.physics.couple import FARADAY_C_MOL, FERROCENE, GAS_J_MOL_K, Couple

F, R, T = FARADAY_C_MOL, GAS_J_MOL_K, 298.15
D_CM2_S, C_MOL_CM3 = 1e-5, 1e-6


def make_cell(*, series_ohm: float = 120.0, **changes) -> Cell:
    """The default cell without the wandering of its reference, with one series resistance."""
    steady: dict = {"sheet_ohm": 0.0, "solution_ohm": series_ohm, "reference_drift_v_sqrt_h": 0.0}
    return Cell(CellParameters(**(steady | changes)))


def triangle_v(vertex_v: float, rate_v_s: float, dt_s: float) -> np.ndarray:
    """0 -> vertex -> 0, the value in the middle of every step."""
    half_s = abs(vertex_v) / rate_v_s
    time_s = (np.arange(round(2 * half_s / dt_s)) + 0.5) * dt_s
    return np.sign(vertex_v) * rate_v_s * (half_s - np.abs(time_s - half_s))


def cycle(cell: Cell, vertex_v: float = -2.0, dt_s: float = 1e-3) -> CellResponse:
    """One cycle at 0.2 V/s."""
    return cell.respond(dt_s, triangle_v(vertex_v, 0.2, dt_s))


# ---- double layer and series resistance ----


def test_a_ramp_charges_the_double_layer_with_two_microampere():
    current_a = cycle(make_cell(leak_a_cm2=0.0)).current_a
    assert current_a[9000] == pytest.approx(-2.000e-6, rel=1e-3)
    assert current_a[19000] == pytest.approx(+2.000e-6, rel=1e-3)


def test_a_ramp_starts_with_the_relaxation_time_of_the_cell():
    dt_s = 10e-6
    end_s = np.arange(1, 501) * dt_s
    current_a = make_cell(leak_a_cm2=0.0).respond(dt_s, -0.2 * (end_s - dt_s / 2)).current_a
    expected_a = -2e-6 * (1 - np.exp(-(end_s - dt_s / 2) / 1.2e-3))
    assert np.max(np.abs(current_a - expected_a)) < 2e-6 * 1e-3


def test_a_potential_step_decays_as_an_exponential():
    dt_s = 2e-6
    current_a = make_cell(leak_a_cm2=0.0).respond(dt_s, np.ones(2000)).current_a
    middle_s = (np.arange(2000) + 0.5) * dt_s
    assert current_a[10:] == pytest.approx(1 / 120 * np.exp(-middle_s[10:] / 1.2e-3), rel=1e-3)


def test_the_relaxation_is_exact_at_any_step_length():
    fine = make_cell(leak_a_cm2=0.0).respond(1e-5, np.ones(300)).current_a.reshape(-1, 100).mean(axis=1)
    coarse = make_cell(leak_a_cm2=0.0).respond(1e-3, np.ones(3)).current_a
    assert coarse == pytest.approx(fine, rel=1e-9)


def test_a_cycle_leaves_no_net_charge_in_a_capacitor():
    cell = make_cell(leak_a_cm2=0.0)
    charge_c = cycle(cell).current_a.sum() * 1e-3 + cell.respond(1e-3, np.zeros(50)).current_a.sum() * 1e-3
    assert abs(charge_c) < 1e-6 * 10e-6 * 2.0


def test_the_interface_lags_by_the_resistive_drop():
    response = cycle(make_cell(leak_a_cm2=0.0))
    applied_v = triangle_v(-2.0, 0.2, 1e-3)
    assert response.interface_v[5000] - applied_v[5000] == pytest.approx(0.2 * 1.2e-3, rel=1e-6)
    assert response.interface_v == pytest.approx(applied_v - 120 * response.current_a, abs=1e-12)


def test_the_state_is_carried_from_call_to_call():
    whole, parts = make_cell(), make_cell()
    applied_v = triangle_v(-2.0, 0.2, 1e-3)
    once = whole.respond(1e-3, applied_v).current_a
    pieces = [parts.respond(1e-3, applied_v[k : k + 3333]).current_a for k in range(0, 20_000, 3333)]
    assert np.array_equal(once, np.concatenate(pieces))
    assert parts.damage_dose == pytest.approx(whole.damage_dose, rel=1e-12)


def test_an_open_cell_is_at_its_rest_potential():
    cell = make_cell(rest_potential_v=0.1, leak_a_cm2=0.0)
    cell.respond(1e-3, np.full(100, -1.0))
    cell.open()
    assert cell.respond(1e-9, np.array([0.1])).current_a[0] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("dt_s", "applied_v"), [(0.0, [0.0]), (math.nan, [0.0]), (1e-3, [0.0, math.nan])])
def test_nonsense_is_refused(dt_s, applied_v):
    with pytest.raises(ValueError, match=r"must be greater|not finite"):
        make_cell().respond(dt_s, np.array(applied_v))


# ---- ITO reduction and damage ----


def test_the_leak_costs_the_closed_form_charge_per_cycle():
    charge_c = cycle(make_cell(series_ohm=0.1, double_layer_f_cm2=0.0)).current_a.sum() * 1e-3
    assert charge_c == pytest.approx(-2 * 50e-6 * 0.120 / (math.log(10) * 0.2), rel=5e-3)


def test_the_resistance_compresses_the_leak():
    cell = make_cell()
    response = cycle(cell)
    assert response.current_a.sum() * 1e-3 == pytest.approx(-24.7e-6, rel=5e-3)
    assert response.current_a[5000] == pytest.approx(-2.0e-6, rel=0.01)
    assert response.current_a[9999] == pytest.approx(-47e-6, rel=0.02)
    assert 120 * np.abs(response.current_a).max() < 9e-3


def test_540_cycles_use_up_most_of_the_electrode():
    cell = make_cell()
    for _ in range(540):
        cycle(cell, dt_s=5e-3)
    assert cell.damage_dose == pytest.approx(0.89, rel=0.05)
    assert cell.transmission == pytest.approx(0.82, rel=0.05)
    assert cell.series_ohm == 120.0


def test_0_3_v_less_costs_316_times_less():
    near, far = make_cell(series_ohm=0.1), make_cell(series_ohm=0.1)
    dt_s = 1e-3
    for cell, vertex_v in ((far, -2.0), (near, -1.7)):
        cycle(cell, vertex_v, dt_s)
    assert far.damage_dose / near.damage_dose == pytest.approx(10 ** (0.3 / 0.12), rel=0.05)


def test_growing_damage_accelerates_itself():
    growing = make_cell(series_ohm=0.1, leak_grows=True)
    steady = make_cell(series_ohm=0.1)
    for _ in range(400):
        cycle(growing, dt_s=10e-3)
        cycle(steady, dt_s=10e-3)
    assert growing.damage_dose == pytest.approx(math.exp(steady.damage_dose) - 1, rel=0.01)


def test_a_worn_electrode_conducts_worse():
    cell = make_cell(sheet_ohm=85.0, series_ohm=35.0)
    cell.damage_dose = 2.0
    assert cell.series_ohm == pytest.approx(2 * 85 + 35)


def test_the_leak_is_stable_far_beyond_its_potential():
    current_a = make_cell().respond(1e-3, np.full(50, -5.0)).current_a
    settled_v = -5.0 - 120 * current_a[-1]
    assert current_a[-1] == pytest.approx(-50e-6 * 10 ** (-(settled_v + 2.0) / 0.12), rel=1e-6)


# ---- the reference ----


def test_the_reference_wanders_by_its_spread_and_the_seed_decides():
    drifts = []
    for seed in range(200):
        cell = Cell(seed=seed)
        for _ in range(4):
            cell.respond(10.0, np.zeros(90))
        drifts.append(cell.reference_drift_v)
    assert np.std(drifts) == pytest.approx(1e-3, rel=0.2)
    again = Cell(seed=3)
    for _ in range(4):
        again.respond(10.0, np.zeros(90))
    assert again.reference_drift_v == drifts[3]


def test_the_truth_tells_parameters_and_state():
    cell = Cell(CellParameters(couple=FERROCENE))
    truth = cell.truth()
    assert truth["series_ohm"] == 120.0
    assert truth["couple"]["formal_v"] == 0.4
    assert truth["damage_dose"] == 0.0


# ---- a dissolved couple ----


def couple_cell(rate_cm_s: float = 100.0, transfer: float = 0.5, series_ohm: float = 0.0, **changes) -> Cell:
    """An ideal electrode in a solution of the oxidised form, formal potential 0."""
    bare: dict = {"double_layer_f_cm2": 0.0, "leak_a_cm2": 0.0, "rest_potential_v": 0.5}
    concentration = changes.pop("concentration", C_MOL_CM3)
    return make_cell(
        series_ohm=series_ohm,
        couple=Couple(concentration, 0.0, 0.0, D_CM2_S, rate_cm_s, transfer),
        **(bare | changes),
    )


def sweep(cell: Cell, rate_v_s: float, *, start_v=0.5, vertex_v=-0.5, step_v=5e-4):
    """There and back; potentials at the end of every step, and currents."""
    count = round((start_v - vertex_v) / step_v)
    down_v = start_v - np.arange(1, count + 1) * step_v
    applied_v = np.concatenate([down_v, down_v[-2::-1], [start_v]])
    return applied_v, cell.respond(step_v / rate_v_s, applied_v).current_a


def peak(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Position and height of a maximum, by a parabola through its nine middle points."""
    k = int(np.argmax(y))
    a, b, c = np.polyfit(x[k - 4 : k + 5] - x[k], y[k - 4 : k + 5], 2)
    return x[k] - b / (2 * a), c - b * b / (4 * a)


def peaks(cell: Cell, rate_v_s: float, **how) -> tuple[float, float, float]:
    """Cathodic peak potential and current (positive), anodic peak potential."""
    potential_v, current_a = sweep(cell, rate_v_s, **how)
    half = len(potential_v) // 2
    cathodic_v, height_a = peak(potential_v[:half], -current_a[:half])
    anodic_v, _ = peak(potential_v[half:], current_a[half:])
    return cathodic_v, height_a, anodic_v


def randles_sevcik_a(rate_v_s: float, concentration: float = C_MOL_CM3) -> float:
    return 0.4463 * F * concentration * math.sqrt(F * rate_v_s * D_CM2_S / (R * T))


@pytest.mark.parametrize("rate_v_s", [0.02, 0.2, 1.0])
def test_a_reversible_peak_has_the_height_of_randles_and_sevcik(rate_v_s):
    cathodic_v, height_a, anodic_v = peaks(couple_cell(), rate_v_s)
    assert height_a == pytest.approx(randles_sevcik_a(rate_v_s), rel=5e-3)
    assert cathodic_v == pytest.approx(-0.0285, abs=1e-3)
    assert 1e3 * (anodic_v - cathodic_v) == pytest.approx(57.5, abs=1.5)


def test_a_peak_grows_with_the_root_of_the_rate_and_with_concentration():
    heights = [peaks(couple_cell(), rate)[1] for rate in (0.02, 0.2, 2.0)]
    assert np.diff(np.log10(heights)) == pytest.approx([0.5, 0.5], abs=0.002)
    doubled = peaks(couple_cell(concentration=2 * C_MOL_CM3), 0.2)[1]
    assert doubled / heights[1] == pytest.approx(2.0, rel=2e-3)


@pytest.mark.parametrize(
    ("psi", "separation_mv"), [(7, 63), (2, 72), (1, 84), (0.5, 105), (0.25, 141), (0.1, 212)]
)
def test_slow_kinetics_part_the_peaks_as_nicholson_tabulated(psi, separation_mv):
    # the table holds for a vertex shortly behind the peak; a far one parts the slow peaks by 5 mV more
    rate_cm_s = psi * math.sqrt(math.pi * D_CM2_S * F * 0.2 / (R * T))
    cathodic_v, _, anodic_v = peaks(couple_cell(rate_cm_s), 0.2, vertex_v=-0.17)
    assert 1e3 * (anodic_v - cathodic_v) == pytest.approx(separation_mv, abs=2)


def test_an_irreversible_peak_has_its_height_and_place():
    rate_cm_s, alpha, f = 1e-7, 0.5, F / (R * T)
    cell = couple_cell(rate_cm_s)
    potential_v, current_a = sweep(cell, 0.2, vertex_v=-1.2)
    half = len(potential_v) // 2
    peak_v, height_a = peak(potential_v[:half], -current_a[:half])
    assert height_a == pytest.approx(0.4958 * F * C_MOL_CM3 * math.sqrt(alpha * f * 0.2 * D_CM2_S), rel=0.01)
    expected_v = (
        -1
        / (alpha * f)
        * (0.780 + math.log(math.sqrt(D_CM2_S) / rate_cm_s) + 0.5 * math.log(alpha * f * 0.2))
    )
    assert peak_v == pytest.approx(expected_v, abs=1e-3)


def test_a_large_step_follows_cottrell():
    dt_s = 0.01
    current_a = couple_cell().respond(dt_s, np.full(1000, -0.5)).current_a
    ends = np.array([50, 200, 900])
    expected_a = -F * C_MOL_CM3 * np.sqrt(D_CM2_S / (np.pi * ends * dt_s))
    assert current_a[ends - 1] == pytest.approx(expected_a, rel=0.01)


def test_stepping_back_returns_29_percent_of_the_current():
    forward_back_v = np.repeat([-0.5, 0.5], 1000)
    current_a = couple_cell().respond(0.01, forward_back_v).current_a
    assert -current_a[1999] / current_a[999] == pytest.approx(1 - 1 / math.sqrt(2), abs=0.01)


def test_with_a_series_resistance_the_semi_integral_obeys_nernst_at_the_interface():
    """Oldham's convolution: m(t) = -FAc*sqrt(D)/(1 + exp(F(Ei - E0)/RT)) for any potential programme."""
    dt_s, applied_v = 2.5e-3, np.r_[0.5:-0.5:2000j, -0.5:0.5:2000j]
    response = couple_cell(series_ohm=120.0).respond(dt_s, applied_v)
    root_s = np.sqrt(np.arange(len(applied_v) + 1) * dt_s)
    weights = 2 / math.sqrt(math.pi) * np.diff(root_s)  # exact for a current constant over each step
    semi_integral = np.convolve(response.current_a, weights)[: len(applied_v)]
    full = F * C_MOL_CM3 * math.sqrt(D_CM2_S)
    nernst = -full / (1 + np.exp(F / (R * T) * response.interface_v))
    assert np.max(np.abs(semi_integral - nernst)) < 0.005 * full


def test_a_series_resistance_delays_the_peak_by_at_least_its_drop():
    ideal_v, ideal_a, _ = peaks(couple_cell(), 0.2)
    peak_v, height_a, _ = peaks(couple_cell(series_ohm=200.0), 0.2)
    assert height_a < ideal_a
    assert 1.0 < (ideal_v - peak_v) / (200.0 * height_a) < 1.4


def test_the_double_layer_adds_to_the_couple_in_the_full_cell():
    full = couple_cell(double_layer_f_cm2=10e-6, series_ohm=1.0)
    _, with_layer_a = sweep(full, 0.2)
    _, alone_a = sweep(couple_cell(series_ohm=1.0), 0.2)
    assert (with_layer_a - alone_a)[100] == pytest.approx(-2e-6, rel=0.01)


def test_ferrocene_in_the_default_cell_breaks_the_nine_millivolt_of_the_paper():
    applied_v = np.arange(800) * 1e-3
    alone = make_cell(series_ohm=0.0, double_layer_f_cm2=0.0, leak_a_cm2=0.0, couple=FERROCENE)
    assert alone.respond(5e-3, applied_v).current_a.max() == pytest.approx(588e-6, rel=0.01)
    current_a = Cell(CellParameters(couple=FERROCENE)).respond(5e-3, applied_v).current_a
    assert 120 * current_a.max() > 50e-3
