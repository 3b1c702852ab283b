"""Recorded multidimensional spectra, and what the commands do with them."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from qdlab.analysis.twodes.spectra import Maps
from qdlab.formats.errors import FileFormatError
from qdlab.formats.nexus_data import read_nexus
from qdlab.formats.pycmds import read_kent, read_pycmds
from qdlab.formats.wt5 import read_wt5, write_wt5
from qdlab.procedures.cli_files import analyze_file, export_file, kind_of, show_file
from qdlab.procedures.errors import RefusedError
from qdlab.procedures.spectra import maps_as_gridded, maps_of_gridded, spectra_of

SHARED = Path(os.environ.get("QDLAB_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "twodes"
needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no recorded spectra at {SHARED}")
PEROVSKITE, PYCMDS = SHARED / "perovskite_TA.wt5", SHARED / "PyCMDS_w2_w1_000.data"
KENT = SHARED / "PbSe_2D_delay_B"


@pytest.fixture(scope="module")
def wright_tools():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("WrightTools", reason="WrightTools is not installed (extra wt5)")


# ---- recorded files ----


@needs_shared_data
def test_the_transient_absorption_of_a_perovskite_is_read():
    (data,) = read_wt5(PEROVSKITE)
    assert data.axes == (("w1=wm", "eV"), ("w2", "eV"), ("d2", "fs"))
    assert (data.kind, data.source) == ("PyCMDS", "TA ultra high res.data")
    assert len(data.channels) == 10
    grid = data.gridded()
    assert grid.shape == (52, 52, 13)
    # direction 0 of the arrays is w2, direction 1 is w1
    np.testing.assert_array_equal(grid.signals["dOD"], data.channels["dOD"].transpose(1, 0, 2))
    for axis in grid.axes[:2]:
        assert axis.values[[0, -1]] == pytest.approx([2.17, 1.5376], abs=1e-6)
    dod = grid.signals["dOD"]
    assert (np.nanmin(dod), np.nanmax(dod)) == pytest.approx((-0.0495345, 0.0499457), rel=1e-5)
    assert np.isnan(dod).sum() == 608


@needs_shared_data
def test_an_acquisition_of_pycmds_is_read():
    file = read_pycmds(PYCMDS)
    assert len(file.columns) == 38
    assert file.header["label"][23] == "22'"
    grid = file.gridded()
    assert [(axis.name, axis.units) for axis in grid.axes] == [("w2", "cm-1"), ("w1", "cm-1")]
    assert grid.shape == (81, 81)
    assert list(grid.signals) == ["signal_mean", "signal_std", "signal_diff"]
    for axis in grid.axes:
        # the laser was where the point says, within what is left of rounding in nm
        nm = file.columns[axis.name].reshape(81, 81)
        place = nm[:, 0] if axis.name == "w2" else nm[0]
        np.testing.assert_allclose(1e7 / place, axis.values, rtol=1e-6)


@needs_shared_data
def test_a_two_delay_scan_of_kent_is_read_point_by_point():
    grid = read_kent(KENT.iterdir())
    assert grid.shape == (101, 101)
    for axis in grid.axes:
        np.testing.assert_allclose(axis.values, np.linspace(-1, 1, 101), atol=3e-4)
    rows = np.loadtxt(KENT / "D1_D2__w1w2wm_7000_2VL_1V_versmallstep_200shots_1")
    assert grid.signals["signal"][-1, -1] == rows[0, 5]
    assert grid.signals["OPA1"][-2, -1] == rows[1, 6]
    with pytest.raises(FileFormatError, match="fill no grid of 1 x 1; check axes and tolerances"):
        read_kent(KENT.iterdir(), tolerance_ps=0.1)


@needs_shared_data
@pytest.mark.filterwarnings("ignore")
def test_wright_tools_reads_the_same(wright_tools):
    with wright_tools.open(PEROVSKITE) as data:
        (ours,) = read_wt5(PEROVSKITE)
        for name in data.channel_names:
            np.testing.assert_array_equal(data[name][:], ours.channels[name])
        for k, axis in enumerate(data.axes):
            np.testing.assert_array_equal(axis[:], ours.axis(k))
    with wright_tools.data.from_PyCMDS(PYCMDS, verbose=False) as data:
        ours = read_pycmds(PYCMDS).gridded()
        for name, values in ours.signals.items():
            np.testing.assert_array_equal(data[name][:], values)
    with wright_tools.data.from_KENT(
        sorted(KENT.iterdir()), ignore=["w1", "w2", "wm"], delay_tolerance=0.001, verbose=False
    ) as data:
        ours = read_kent(KENT.iterdir(), axes=("d2", "d1"))
        assert data.axis_names == ("d2", "d1")
        assert data.shape == ours.shape
        # it interpolates to where it takes the delays to be; we keep the points
        difference = np.abs(data["signal"][1:-1, 1:-1] - ours.signals["signal"][1:-1, 1:-1])
        assert np.median(difference) < 1e-3 * np.ptp(ours.signals["signal"])
        assert difference.max() < 5e-3 * np.ptp(ours.signals["signal"])


@needs_shared_data
@pytest.mark.filterwarnings("ignore")
def test_a_recorded_file_goes_through_our_writer_into_wright_tools(tmp_path, wright_tools):
    (data,) = read_wt5(PEROVSKITE)
    write_wt5(tmp_path / "again.wt5", data.gridded())
    with wright_tools.open(tmp_path / "again.wt5") as again, wright_tools.open(PEROVSKITE) as original:
        assert again.units == original.units
        np.testing.assert_array_equal(again["dOD"][:], original["dOD"][:].transpose(1, 0, 2))


@needs_shared_data
def test_a_cut_acquisition_is_refused_or_told_missing(tmp_path):
    lines = PYCMDS.read_text().splitlines(keepends=True)
    path = tmp_path / "cut.data"
    path.write_text("".join(lines[:-100]))
    assert np.isnan(read_pycmds(path).gridded().signals["signal_mean"]).sum() == 100
    path.write_text("".join(lines)[:-60])
    with pytest.raises(FileFormatError, match="cut or damaged"):
        read_pycmds(path)
    path.write_text("".join(line for line in lines if not line.startswith("# kind")))
    with pytest.raises(FileFormatError, match="header lacks kind"):
        read_pycmds(path)
    path.write_text("".join(line for line in lines if not line.startswith("# w1 points")))
    with pytest.raises(FileFormatError, match="do not agree: 'w1 points'"):
        read_pycmds(path).gridded()


@needs_shared_data
@pytest.mark.parametrize("source", [PEROVSKITE, PYCMDS])
def test_the_commands_take_recorded_files(tmp_path, capsys, source):
    path = tmp_path / source.name
    shutil.copyfile(source, path)
    before = path.read_bytes()
    analyze_file(path, tmp_path / "found.json", tmp_path / "found.png")
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["kind"] == kind_of(path)
    assert (tmp_path / "found.png").stat().st_size > 10_000
    show_file(path)
    for to, name in (("wt5", "out.wt5"), ("nexus", "out.nxs"), ("csv", "out")):
        export_file(path, to, tmp_path / name, 3)
    told = capsys.readouterr().out
    assert "strongest at" in told
    assert str(tmp_path / "out.nxs") in told
    expected = spectra_of(path, kind_of(path))[0]
    for other in (spectra_of(tmp_path / "out.wt5", "wt5")[0], read_nexus(tmp_path / "out.nxs")[0]):
        for name, values in expected.signals.items():
            np.testing.assert_array_equal(other.signals[name], values)
    with pytest.raises(RefusedError, match="holds no photons"):
        export_file(path, "ptu", tmp_path / "out.ptu", 3)
    assert path.read_bytes() == before


# ---- maps of 2DES ----


def some_maps():
    rng = np.random.default_rng(3)
    fields = rng.normal(size=(2, 3, 4, 5)) + 1j * rng.normal(size=(2, 3, 4, 5))
    w1, w3 = 17000.0 + 40 * np.arange(4), 16800.0 + 20 * np.arange(5)
    return Maps(8.0 * np.arange(3), w1, w3, fields[0], fields[1])


@pytest.mark.parametrize("to", ["wt5", "nexus"])
def test_maps_go_out_and_come_back(tmp_path, to):
    path, maps = tmp_path / "maps.wt5", some_maps()
    write_wt5(path, maps_as_gridded(maps))
    export_file(path, to, tmp_path / "out", 3)
    assert kind_of(tmp_path / "out") == to
    found = maps_of_gridded(spectra_of(tmp_path / "out", to)[0])
    for name in ("t2_fs", "w1_cm", "w3_cm", "rephasing", "nonrephasing", "absorptive"):
        np.testing.assert_array_equal(getattr(found, name), getattr(maps, name))


def test_maps_become_a_table_for_each_t2(tmp_path):
    maps = some_maps()
    write_wt5(tmp_path / "maps.wt5", maps_as_gridded(maps))
    export_file(tmp_path / "maps.wt5", "csv", tmp_path / "out", 3)
    names = sorted(file.name for file in (tmp_path / "out" / "maps").iterdir())
    assert names == ["0000_t2_0fs.csv", "0001_t2_8fs.csv", "0002_t2_16fs.csv"]
    table = np.genfromtxt(tmp_path / "out" / "maps" / names[1], delimiter=",", names=True)
    assert table.dtype.names == (
        "w1_cm",
        "w3_cm",
        "absorptive",
        "rephasing_re",
        "rephasing_im",
        "nonrephasing_re",
        "nonrephasing_im",
    )
    np.testing.assert_allclose(table["rephasing_im"].reshape(4, 5), maps.rephasing[1].imag, rtol=1e-8)
    np.testing.assert_array_equal(table["w3_cm"].reshape(4, 5)[2], maps.w3_cm)


def test_other_data_are_no_maps(tmp_path):
    data = maps_as_gridded(some_maps())
    with pytest.raises(RefusedError, match="maps of 2DES have the signals"):
        maps_of_gridded(type(data)(data.name, data.axes[::-1], {"a": np.zeros((5, 4, 3))}))


def test_a_name_that_promises_too_much_is_refused(tmp_path):
    path = tmp_path / "a.wt5"
    path.write_bytes(b"something else")
    with pytest.raises(FileFormatError, match="is not what its name says"):
        kind_of(path)
    with pytest.raises(RefusedError, match="must be one of ptu, photon-hdf5, wt5, nexus, csv"):
        export_file(path, "xls", tmp_path / "b", 3)
