"""Every fault of the emulators ends a run in its status, with the cell off and the laser locked."""

import pytest

from qdlab.formats.run_file import read_run_file
from qdlab.procedures.station import Station
from qdlab.sim.samples import all_faults

FINISHES = {"chi_overload": "range", "chi_wrong_polarity": "polarity", "th260_events_dropped": "dropped"}
"""Faults that a run survives, and the word that must stand in its warnings."""
INTERLOCKS = {"th260_fifo_overrun", "th260_sync_lost", "th260_record_storm"}
"""Faults that an interlock ends: exit status 3."""


@pytest.fixture
def rig(monkeypatch):
    """The rig of the run, kept for a look at its bench after the run."""
    built = []
    build = Station.build

    def keep(self, **options):
        built.append(build(self, **options))
        return built[-1]

    monkeypatch.setattr(Station, "build", keep)
    return lambda: built[-1]


WITHOUT_STAGE = sorted(name for name in all_faults() if not name.startswith("e545_"))
"""This station has no stage; the faults of one are in tests/instruments/test_e545.py."""


@pytest.mark.parametrize("fault", WITHOUT_STAGE)
def test_a_fault_ends_the_run_in_its_status_and_leaves_the_rig_safe(short_run, rig, fault):
    ended, path = short_run("--fault", fault)
    run = read_run_file(path)
    if word := FINISHES.get(fault):
        assert any(word in warning for warning in run.header["warnings"])
        assert word in ended.err
    expected = "finished" if fault in FINISHES else "failed"
    assert run.status == expected, ended.err
    assert ended.status == (0 if expected == "finished" else 3 if fault in INTERLOCKS else 1)
    if expected == "failed":
        assert len(run.header["status_reason"]) > 20
        assert run.header["status_reason"] in ended.err
    assert not rig().bench.light.emitting
    assert rig().bench.applied_potential_v == rig().bench.cell.rest_potential_v
