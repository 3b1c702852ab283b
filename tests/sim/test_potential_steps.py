"""Steps of the potential on the bench: cells as fine as what follows the step, edges where the steps are."""

import math
import struct

import numpy as np
import pytest

from qdlab.sim.bench import TICK_PS, Bench, Comparator
from qdlab.sim.clock import PS_PER_S, SimulatedClock
from qdlab.sim.emulators.chi760 import EmulatedChi760
from qdlab.sim.physics.cell import Cell, CellParameters
from qdlab.sim.physics.detection import Detection
from qdlab.sim.physics.photons import DotPhotons
from qdlab.sim.samples import CELLS, make_bench

STEPS = ["tech=step", "ei=-1", "es1=-1", "st1=0.01", "es2=-1.8", "st2=0.01", "cl=3", "si=0.001", "qt=0"]
CLOCK = 1 + 20e-6
"""The instrument's seconds are so much shorter."""


def bench_with(cell: Cell, comparator: Comparator | None = None) -> Bench:
    photons = DotPhotons(None, Detection(dark_rate_hz=0.0, laser_background_hz=0.0), seed=1)
    return Bench(SimulatedClock(), seed=1, cell=cell, photons=photons, comparator=comparator)


def steady(name: str) -> CellParameters:
    """A cell of the shipped ones, without the reference's random walk."""
    values = {**vars(CELLS[name]), "reference_drift_v_sqrt_h": 0.0, "leak_a_cm2": 0.0}
    return CellParameters(**values)


def run_steps(tmp_path, bench: Bench) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run STEPS; start (s), length (s) and interface potential of every cell that was applied."""
    pieces = []
    apply = bench.apply_potential

    def keep(cell_ps, applied_v, interface_v):
        lengths_ps = np.broadcast_to(cell_ps, len(applied_v))
        starts_ps = bench.clock.now_ps + np.cumsum(lengths_ps) - lengths_ps
        pieces.append((starts_ps / PS_PER_S, lengths_ps / PS_PER_S, interface_v))
        apply(cell_ps, applied_v, interface_v)

    bench.apply_potential = keep
    text = "".join(f"{line}\r\n" for line in [*STEPS, "sens=1e-2", "run", "forcequit: yesiamsure"])
    macro = tmp_path / "m.mcr"
    macro.write_bytes(struct.pack("<I", len(text)) + text.encode())
    program = EmulatedChi760(bench).start(macro)
    while program.running():
        bench.clock.sleep(0.1)
    driven = [piece for piece in pieces if len(piece[0]) > 1]  # the others are the open cell
    start_s, length_s, interface_v = (np.concatenate(column) for column in zip(*driven, strict=True))
    return start_s, length_s, interface_v


@pytest.mark.parametrize("name", ["ito", "microelectrode"])
def test_after_a_step_the_interface_is_the_exact_exponential_in_fine_cells(tmp_path, name):
    bench = bench_with(Cell(steady(name)))
    start_s, length_s, interface_v = run_steps(tmp_path, bench)
    constant_s = bench.cell.relaxation_s
    step_s = start_s[0] + 0.01 / CLOCK
    behind = (start_s >= step_s - 1e-12) & (start_s < step_s + 0.0099)
    from_s = (start_s[behind] - step_s) * CLOCK
    to_s = from_s + length_s[behind] * CLOCK
    left = constant_s * (np.exp(-from_s / constant_s) - np.exp(-to_s / constant_s)) / (to_s - from_s)
    reached_v = -1 + math.exp(-0.01 / constant_s)  # the level before, coming from rest at 0 V
    np.testing.assert_allclose(interface_v[behind], -1.8 + (reached_v + 1.8) * left, atol=2e-5)
    moving = np.abs(np.diff(interface_v[behind]))
    assert moving.max() < 0.2 * 0.8  # no cell swallows the transient


def test_the_fast_cell_follows_in_less_than_half_a_microsecond_and_the_default_one_in_a_millisecond():
    assert Cell(CELLS["microelectrode"]).relaxation_s == pytest.approx(0.396e-6, rel=0.01)
    assert Cell(CELLS["ito"]).relaxation_s == pytest.approx(1.2e-3)


def test_cells_cover_the_run_without_gap_or_overlap(tmp_path):
    start_s, length_s, _ = run_steps(tmp_path, bench_with(Cell(steady("ito"))))
    run = start_s < start_s[0] + 0.06 / CLOCK - 1e-9
    np.testing.assert_allclose(np.diff(start_s[run]), length_s[run][:-1], atol=1e-11)
    assert length_s[run].sum() == pytest.approx(0.06 / CLOCK, rel=1e-6)


def test_the_row_of_a_step_holds_the_mean_current_of_the_charging(tmp_path):
    bench = bench_with(Cell(steady("ito")))
    text = "".join(
        f"{line}\r\n"
        for line in [f"folder: {tmp_path}", *STEPS, "sens=1e-2", "run", "tsave: a", "forcequit: yesiamsure"]
    )
    (tmp_path / "m.mcr").write_bytes(struct.pack("<I", len(text)) + text.encode())
    program = EmulatedChi760(bench, polarity="anodic_positive").start(tmp_path / "m.mcr")
    while program.running():
        bench.clock.sleep(0.1)
    rows = [line.split(",") for line in (tmp_path / "a.txt").read_text().splitlines() if "e-" in line]
    current_a = np.array([float(row[1]) for row in rows if len(row) == 2])
    level = current_a.reshape(6, 10)[1]  # the first step from -1 to -1.8 V
    charge_c = -0.8 * 10e-6 * np.diff(-np.exp(-np.arange(11) * 1e-3 / 1.2e-3))
    np.testing.assert_allclose(level, charge_c / 1e-3, atol=3e-5)


def test_a_comparator_fires_where_the_step_is_however_long_the_cells_are():
    bench = bench_with(Cell(), Comparator(threshold_v=-1.4, noise_v=0.0))
    seen = []
    bench.on_markers(lambda ticks, numbers: seen.extend(zip(ticks.tolist(), numbers.tolist(), strict=True)))
    lengths_ps = np.array([1_000_000_000, 100_000, 100_000, 2_000_000_000, 500_000])
    potential_v = np.array([-1.0, -1.8, -1.8, -1.8, -1.0])
    bench.apply_potential(lengths_ps, potential_v, potential_v)
    bench.clock.sleep(0.01)
    # first the step from rest at 0 V to -1 V, which does not cross the threshold
    assert seen == [(1_000_000_000 // TICK_PS, 1), (3_000_200_000 // TICK_PS, 2)]


def test_cells_of_their_own_lengths_hold_when_they_should():
    bench = bench_with(Cell())
    bench.apply_potential(
        np.array([2_000_000, 500_000, 10_000_000]), np.array([-1.0, -2.0, -3.0]), np.zeros(3)
    )
    seen = []
    for at_us in (0.0, 1.9, 2.1, 2.4, 2.6, 11.0, 50.0):
        bench.clock.sleep(at_us * 1e-6 - bench.clock.now())
        seen.append(bench.applied_potential_v)
    assert seen == [-1.0, -1.0, -2.0, -2.0, -3.0, -3.0, -3.0]
    truth = bench.truth()["potential_pieces"][-1]
    np.testing.assert_allclose(truth["cell_s"], [2e-6, 0.5e-6, 10e-6])


def test_an_unknown_cell_is_a_key_error():
    with pytest.raises(KeyError, match="bathtub"):
        make_bench("blank", seed=1, speed=math.inf, cell="bathtub")
