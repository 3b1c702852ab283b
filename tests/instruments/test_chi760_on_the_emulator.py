from dataclasses import dataclass, field

import numpy as np
import pytest

from qdlab.instruments.base import InstrumentError, Limits
from qdlab.instruments.chi import CHI760C
from qdlab.instruments.chi import errors as e
from qdlab.instruments.potentiostat import (
    CyclicVoltammetry,
    Hold,
    LinearSweep,
    OpenCircuit,
    PotentialSteps,
)
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.chi760 import DataLimits, EmulatedChi760, SubprocessChi760, TextFormat
from qdlab.sim.physics.cell import Cell, CellParameters

CV = CyclicVoltammetry(0.0, -1.0, 0.5, cycles=2)
ENDS = {
    "chi_port_locked": (e.ProgramDialogError, "com port"),
    "chi_link_failed": (e.ProgramDialogError, "Link failed"),
    "chi_dialog_on_start": (e.ProgramDialogError, "electrode not connected"),
    "chi_dialog_on_save": (e.ProgramDialogError, "Can not write"),
    "chi_link_lost_in_run": (e.ProgramDialogError, "Link failed"),
    "chi_crash_in_run": (e.ProgramCrashedError, "0 of 2 results"),
    "chi_hang": (e.ProgramTimeoutError, "has not ended"),
    "chi_truncated_result": (e.ResultIncompleteError, "of 30 rows"),
    "chi_missing_result": (e.ResultMissingError, r"r001\.txt, r002\.txt"),
    "chi_stopped_early": (e.ResultIncompleteError, "after 18 of 30 rows"),
    "chi_wrong_technique": (e.ResultMismatchError, "technique"),
}
HINDER_SAFING = {
    "chi_port_locked",
    "chi_link_failed",
    "chi_dialog_on_start",
    "chi_link_lost_in_run",
    "chi_hang",
}
"""Faults that hit the safe macro as well, so that nobody can tell the cell's state: it must be said."""
WARNED = {"chi_overload": "clipped", "chi_wrong_polarity": "Current Polarity"}


@dataclass
class Table:
    """A bench with nothing on it but the cell (what the emulated box needs)."""

    faults: frozenset[str] = frozenset()
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    seed: int = 1
    cell: Cell = field(default_factory=lambda: Cell(CellParameters(), seed=1))
    applied_v: float | None = None

    def apply_potential(self, cell_ps, applied_v, interface_v):
        self.applied_v = float(applied_v[-1])

    def open_cell(self):
        self.applied_v = None


def rig(folder, *faults, launcher=EmulatedChi760, polarity="anodic_positive", **installation):
    table = Table(faults=frozenset(faults))
    chi = CHI760C(
        launcher(table, polarity=polarity, **installation),
        clock=table.clock,
        work_dir=folder,
        potential_limits_v=Limits(-2.0, 1.0),
        current_polarity=polarity,
    )
    return table, chi


def finish(run, clock):
    while not run.done():
        clock.sleep(0.05)
    return run.result()


PROGRAMS = pytest.mark.parametrize(
    "installation",
    [
        {"form": TextFormat()},
        {"form": TextFormat(digits=6)},
        {"form": TextFormat(dialect="old", separator="\t")},
        {"form": TextFormat(charge=True, time=True)},
        {"polarity": "cathodic_positive"},
        {"launcher": SubprocessChi760},
    ],
    ids=["four digits", "six digits", "old with TAB", "charge and time", "cathodic positive", "own process"],
)


@PROGRAMS
def test_every_technique_runs_on_every_installation(tmp_path, installation):
    table, chi = rig(tmp_path, **installation)
    program = [
        Hold(0.0, 3.0, quiet_s=1.0),
        CV,
        LinearSweep(0.0, -1.0, 0.5),
        PotentialSteps(((0.0, 0.5), (-1.0, 0.25)), cycles=2),
        OpenCircuit(2.0),
    ]
    with chi:
        run = chi.start(program)
        hold, cv, lsv, step, ocp = finish(run, table.clock)
        assert run.planned_s == pytest.approx(table.clock.now(), abs=3.0)
    assert [r.technique for r in (hold, cv, lsv, step, ocp)] == program
    assert [len(r.time_s) for r in (hold, cv, lsv, step, ocp)] == [
        30,
        4000,
        1000,
        150,
        19,
    ]  # OCPT loses one row
    assert [w for r in (hold, cv, lsv, step) for w in r.warnings] == []
    capacitive_a = 10e-6 * 0.5  # 10 uF/cm2 on 1 cm2, 0.5 V/s
    assert np.median(cv.current_a[200:900]) == pytest.approx(-capacitive_a, rel=0.05)
    assert np.median(cv.current_a[1100:1900]) == pytest.approx(capacitive_a, rel=0.05)
    assert table.applied_v is None


def test_the_rows_of_the_text_get_their_full_digits_from_the_bin(tmp_path):
    table, chi = rig(tmp_path, form=TextFormat())
    with chi:
        (record,) = finish(chi.start([CV]), table.clock)
    printed = np.array([float(f"{i:.3e}") for i in record.current_a])
    assert np.any(printed != record.current_a)
    np.testing.assert_allclose(printed, record.current_a, rtol=6e-4)


def test_a_coarse_interval_with_midpoint_labels_is_still_the_ramp_asked_for(tmp_path):
    table, chi = rig(tmp_path)
    with chi:
        (record,) = finish(
            chi.start([CyclicVoltammetry(0.0, -1.0, 0.5, sample_interval_v=0.01)]), table.clock
        )
    assert record.complete
    assert record.potential_v[0] == pytest.approx(-0.005)


def test_blocks_are_planned_within_the_points_of_the_installation(tmp_path):
    table, chi = rig(tmp_path, limits=DataLimits(data_length=128_000))
    technique = CyclicVoltammetry(0.0, -2.0, 5.0, sample_interval_v=0.002, cycles=40)
    with chi:
        records = finish(chi.start([technique]), table.clock)
    assert [r.first_cycle for r in records] == [0, 20]
    assert [len(r.time_s) for r in records] == [40_000, 40_000]


def test_an_installation_with_a_shorter_data_length_is_found_out(tmp_path):
    table, chi = rig(tmp_path, limits=DataLimits(data_length=3000))
    with chi:
        run = chi.start([CV])
        while not run.done():
            table.clock.sleep(0.05)
        with pytest.raises(e.ResultMismatchError, match="Sample Interval"):
            run.result()


def test_the_cell_stays_on_between_the_runs_of_a_sequence(tmp_path):
    table, chi = rig(tmp_path)
    with chi:
        run = chi.start([Hold(-0.5, 3.0), Hold(-0.5, 3.0)])
        seen = []
        while not run.done():
            table.clock.sleep(0.05)
            seen.append(table.applied_v)
    first = seen.index(-0.5)
    assert all(v == -0.5 for v in seen[first : first + 126])
    assert table.applied_v is None


@pytest.mark.parametrize("fault", sorted(ENDS))
def test_a_fault_ends_the_run_in_its_own_error_and_the_cell_off(tmp_path, fault):
    error, message = ENDS[fault]
    table, chi = rig(tmp_path, fault)
    chi.connect()
    run = chi.start([Hold(0.0, 3.0), CV])
    with pytest.raises(error, match=message):
        finish(run, table.clock)
    run.partial_result()
    if fault in HINDER_SAFING:
        with pytest.raises(InstrumentError, match="press the cell switch"):
            chi.disconnect()
    else:
        chi.disconnect()
    assert table.applied_v is None
    assert table.clock.now() < 120.0


@pytest.mark.parametrize("fault", sorted(WARNED))
def test_a_fault_that_spares_the_data_is_said_in_the_record(tmp_path, fault):
    table, chi = rig(tmp_path, fault)
    with chi:
        _, cv = finish(chi.start([Hold(0.0, 3.0), CV]), table.clock)
    assert any(WARNED[fault] in warning for warning in cv.warnings)
