"""The main job on the twin, through the real drivers, from the command line to the run file."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from qdlab.formats.run_file import read_run_file, recover_run
from qdlab.procedures.record import RunRecord

from .conftest import read_json

SUMMARY_KEYS = {
    *("kind", "status", "photons", "duration_s", "mean_rate_hz", "cycles", "x0", "x_minus"),
    *("gamma_auger_ratio", "gamma_auger_ratio_err", "at_vertex", "lifetime_enhancement"),
    *("lifetime_enhancement_err", "intensity_drop", "intensity_drop_err", "flid", "potential_alignment"),
}


def words_of(run, monkeypatch_words: list[np.ndarray]):
    return np.concatenate(monkeypatch_words)


@pytest.fixture
def recorded_words(monkeypatch):
    """Every word that a run writes, as the card gave it."""
    words: list[np.ndarray] = []
    append = RunRecord.append_words

    def keep(self, block):
        words.append(block.copy())
        append(self, block)

    monkeypatch.setattr(RunRecord, "append_words", keep)
    return lambda: np.concatenate(words)


def test_a_run_ends_finished_with_file_picture_and_rows(short_run):
    ended, path = short_run()
    assert ended.status == 0, ended.err
    assert path.suffix == ".h5"
    assert path.with_suffix(".png").stat().st_size > 50_000
    assert len(path.with_suffix(".csv").read_text().splitlines()) > 5
    assert not path.with_suffix(".part").exists()
    run = read_run_file(path)
    assert run.status == "finished"
    assert len(run.photons.sync) > 50_000
    assert [r.about["technique"] for r in run.potentiostat] == ["Hold", "CyclicVoltammetry"]


def test_the_json_has_exactly_the_promised_keys(short_run, qdlab, tmp_path):
    _, path = short_run()
    assert qdlab("analyze", path, "--json", tmp_path / "a.json", "--figure", tmp_path / "a.png").status == 0
    summary = read_json(tmp_path / "a.json")
    assert set(summary) == SUMMARY_KEYS
    assert summary["kind"] == "voltammetry_flid"
    assert summary["status"] == "finished"
    assert summary["cycles"] == 1
    assert summary["potential_alignment"]["source"] == "marker"
    assert set(summary["at_vertex"]) == {"potential_v", "lifetime_ns", "lifetime_err_ns", "rate_hz"}
    assert set(summary["flid"]) == {"bin_s", "n_bins"}
    assert (tmp_path / "a.png").exists()


def test_the_run_file_keeps_the_vendors_files_and_every_setting(short_run):
    _, path = short_run()
    with h5py.File(path) as file:
        cv = file["user/qdlab/potentiostat/0001"]
        names = set(cv["vendor"])
        macro = next(n for n in names if n.endswith(".mcr"))
        assert bytes(cv["vendor"][macro][:])[4:].decode().count("tech=cv") == 1
        assert any(n.endswith(".txt") for n in names)
        header = json.loads(file["user/qdlab"].attrs["header"])
        assert "dot" in file["user/qdlab/truth"]
    assert header["parameters"]["scan_rate_v_s"] == 1.0
    assert header["seed"] == 1
    assert header["instruments"]["laser"].endswith("[SIMULATED]")
    assert set(header["settings"]) == {"laser", "counter", "potentiostat"}
    assert "[calibration]" in header["station_toml"]


def test_the_same_seed_gives_the_same_words_at_any_speed(short_run, recorded_words):
    short_run("--set", "hold_s=1", "--set", "scan_rate_v_s=4")
    fast = recorded_words()
    short_run("--set", "hold_s=1", "--set", "scan_rate_v_s=4", "--speed", "25")
    both = recorded_words()
    np.testing.assert_array_equal(both[len(fast) :], fast)


def test_another_seed_gives_other_words(short_run, recorded_words):
    short_run()
    first = recorded_words()
    short_run("--seed", "2")
    second = recorded_words()[len(first) :]
    assert not np.array_equal(first[: len(second)], second[: len(first)])


def test_without_a_comparator_the_potential_comes_from_the_clock_and_says_so(short_run, qdlab, tmp_path):
    shipped = Path(__file__).parents[2] / "configs" / "charging_simulated.toml"
    text = shipped.read_text()
    start, end = text.index("[markers]"), text.index("[calibration]")
    station = tmp_path / "no_markers.toml"
    station.write_text(text[:start] + text[end:])
    _, path = short_run("--station", station)
    qdlab("analyze", path, "--json", tmp_path / "a.json")
    alignment = read_json(tmp_path / "a.json")["potential_alignment"]
    assert alignment["source"] == "clock"
    assert alignment["uncertainty_s"] > 0.05


def test_an_exported_matched_pair_shows_the_same_photons(short_run, qdlab, tmp_path):
    _, path = short_run()
    run = read_run_file(path)
    for mode in (2, 3):
        out = tmp_path / f"t{mode}.ptu"
        assert qdlab("export", path, out, "--to", "ptu", "--tttr-mode", mode).status == 0
        assert qdlab("analyze", out, "--json", tmp_path / f"t{mode}.json").status == 0
    t2, t3 = read_json(tmp_path / "t2.json"), read_json(tmp_path / "t3.json")
    assert t3["time_sum"] == int(run.photons.sync.sum())
    assert t2["photons"] == t3["photons"]
    assert t2["markers"] == t3["markers"] != {}
    assert t2["time_sum"] == t3["time_sum"] * 16_000 + t3["dtime_sum"]


def test_exports_never_overwrite(short_run, qdlab, tmp_path):
    _, path = short_run()
    out = tmp_path / "taken.ptu"
    out.write_text("mine")
    ended = qdlab("export", path, out, "--to", "ptu")
    assert ended.status == 2
    assert out.read_text() == "mine"


def test_the_exported_tables_and_photon_hdf5_hold_the_photons(short_run, qdlab, tmp_path):
    _, path = short_run()
    run = read_run_file(path)
    assert qdlab("export", path, tmp_path / "tables", "--to", "csv").status == 0
    trace = np.loadtxt(tmp_path / "tables" / "trace.csv", delimiter=",", skiprows=1)
    assert trace[:, 1].sum() == len(run.photons.sync)
    assert {"flid.csv", "decay.csv"} <= {p.name for p in (tmp_path / "tables").iterdir()}
    assert qdlab("export", path, tmp_path / "photons.h5", "--to", "photon-hdf5").status == 0
    with h5py.File(tmp_path / "photons.h5") as file:
        np.testing.assert_array_equal(file["photon_data/timestamps"][:], run.photons.sync)


def test_show_tells_what_is_in_a_run(short_run, qdlab):
    _, path = short_run()
    page = qdlab("show", path).out
    for word in (
        "voltammetry_flid",
        "finished",
        "SIMULATED",
        "Hold",
        "CyclicVoltammetry",
        "Pt quasi-reference",
    ):
        assert word in page


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_interrupt_ends_the_run_as_aborted_with_its_data(tmp_path):
    process = start_run(tmp_path)
    wait_for_words(tmp_path)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    run = read_run_file(Path(out.strip().splitlines()[-1]))
    assert run.status == "aborted"
    assert len(run.photons.sync) > 1000


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_what_was_on_disk_survives_a_killed_program(tmp_path):
    process = start_run(tmp_path)
    part = wait_for_words(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    words = (part / "photons.u32").stat().st_size // 4
    run = read_run_file(recover_run(part))
    assert run.status == "recovered"
    assert 0.5 * words < len(run.photons.sync) <= words


def start_run(out: Path) -> subprocess.Popen[str]:
    """A run of 5 s of rig time per second, in a process of its own."""
    command = ("run", "cv_flid", "--speed", "5", "--out", str(out))
    return subprocess.Popen(
        [sys.executable, "-m", "qdlab.procedures.cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_words(folder: Path) -> Path:
    for _ in range(600):
        for spool in folder.glob("*.part/photons.u32"):
            if spool.stat().st_size > 400_000:
                return spool.parent
        time.sleep(0.1)
    raise AssertionError("the run recorded nothing in a minute")
