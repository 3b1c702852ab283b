from __future__ import annotations

import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdlab.formats.errors import FileFormatError
from qdlab.formats.gridded import GridAxis, Gridded, last_part
from qdlab.formats.spectral_units import CM_PER_EV, converted
from qdlab.formats.wt5 import is_wt5, read_wt5, write_wt5


def maps(name="maps", *, shape=(3, 4, 5), dtype=np.complex128, **about):
    rng = np.random.default_rng(1)
    axes = (
        GridAxis("t2", 8.0 * np.arange(shape[0]), "fs"),
        GridAxis("w1", 17000.0 + 40 * np.arange(shape[1]), "cm-1"),
        GridAxis("w3", 16800.0 + 20 * np.arange(shape[2]), "cm-1"),
    )
    rephasing = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    return Gridded(name, axes, {"absorptive": rephasing.real.copy(), "rephasing": rephasing}, about=about)


def assert_equal(found: Gridded, expected: Gridded):
    assert found.name == expected.name
    assert [(a.name, a.units) for a in found.axes] == [(a.name, a.units) for a in expected.axes]
    for one, other in zip(found.axes, expected.axes, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    assert list(found.signals) == list(expected.signals)
    for name, values in expected.signals.items():
        assert found.signals[name].dtype == values.dtype
        np.testing.assert_array_equal(found.signals[name], values)


# ---- our writer, our reader ----


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 5), (1, 1, 1), (4, 4, 4)])
def test_complex_maps_come_back_exactly(tmp_path, dtype, shape):
    path = tmp_path / "maps.wt5"
    data = maps(shape=shape, dtype=dtype)
    data.signals["rephasing"].flat[0] = complex(np.nan, -0.0)
    write_wt5(path, data)
    assert is_wt5(path)
    (found,) = read_wt5(path)
    assert_equal(found.gridded(), data)
    assert found.shape == shape


def test_several_data_make_a_collection(tmp_path):
    path = tmp_path / "scan.wt5"
    write_wt5(path, maps(), maps("beating"))
    assert [each.name for each in read_wt5(path)] == ["maps", "beating"]
    with h5py.File(path) as file:
        assert file.attrs["class"] == "Collection"
        assert file.attrs["item_names"].tolist() == [b"maps", b"beating"]


def test_two_data_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="different names"):
        write_wt5(tmp_path / "a.wt5", maps(), maps())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "source", ["/home/anna/data/run.h5", "C:\\Users\\Anna\\run.h5", "run.h5", "../anna/run.h5/"]
)
def test_where_data_came_from_is_told_without_folders(tmp_path, source):
    path = tmp_path / "maps.wt5"
    write_wt5(path, maps(source=source))
    (found,) = read_wt5(path)
    assert found.source == "run.h5"
    assert b"nna" not in path.read_bytes()
    with h5py.File(path, "r+") as file:
        file.attrs["source"] = source  # as WrightTools writes it
    assert read_wt5(path)[0].gridded().about["source"] == "run.h5"
    assert last_part(source) == "run.h5"


# ---- files that WrightTools can write ----


def wt5_file(path, axes, variables, channels):
    with h5py.File(path, "w") as file:
        file.attrs.update({"class": "Data", "name": "data", "__version__": "1.0.3"})
        file.attrs["axes"] = np.array([axis.encode() for axis in axes], "S")
        file.attrs["variable_names"] = np.array([name.encode() for name in variables], "S")
        file.attrs["channel_names"] = np.array([name.encode() for name in channels], "S")
        for name, (values, units) in variables.items():
            file[name] = values
            if units:
                file[name].attrs["units"] = units
        for name, values in channels.items():
            file[name] = values
    return path


def test_axes_need_not_be_in_the_order_of_the_array(tmp_path):
    path = wt5_file(
        tmp_path / "a.wt5",
        ["w1__e__wm {eV}", "w2 {eV}"],
        {
            "w2": (np.arange(3.0)[:, None], "eV"),
            "w1": (np.arange(2.0)[None], "eV"),
            "wm": (np.arange(2.0)[None], "eV"),
            "read": (np.array([[7.0]]), None),
        },
        {"signal": np.arange(6.0).reshape(3, 2), "pump": np.arange(3.0)[:, None]},
    )
    (data,) = read_wt5(path)
    grid = data.gridded()
    assert data.shape == (3, 2)
    assert [axis.name for axis in grid.axes] == ["w1", "w2"]
    np.testing.assert_array_equal(grid.signals["signal"], np.arange(6.0).reshape(3, 2).T)
    np.testing.assert_array_equal(grid.signals["pump"], np.tile(np.arange(3.0), (2, 1)))


def test_axes_may_be_sums_in_other_units(tmp_path):
    path = wt5_file(
        tmp_path / "a.wt5",
        ["2*w1-w2/2 {eV}", "d1 {ps}"],
        {
            "w1": (np.array([[8000.0], [9000.0]]), "wn"),
            "w2": (np.array([[1000.0], [1000.0]]), "nm"),
            "d1": (np.array([[-50.0, 0.0, 50.0]]), "fs"),
        },
        {"signal": np.zeros((2, 3))},
    )
    energy, delay = read_wt5(path)[0].gridded().axes
    np.testing.assert_allclose(energy.values, (np.array([16000.0, 18000]) - 5000) / CM_PER_EV)
    np.testing.assert_allclose(delay.values, [-0.05, 0, 0.05])
    assert (energy.name, delay.name) == ("_2_w1_w2_2", "d1")


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (["w1 {eV}"], "do not tell all"),
        (["w1 {eV}", "w1 {wn}"], "not straight lines"),
        (["both {None}", "w2 {eV}"], "not straight lines"),
        (["w1 {fs}", "w2 {eV}"], "eV cannot be converted into fs"),
        (["w9 {eV}", "w2 {eV}"], "w9"),
        (["w1**2 {eV}", "w2 {eV}"], "is not understood"),
        (["__import__('os') {eV}", "w2 {eV}"], "is not understood"),
    ],
)
def test_axes_that_cannot_be_followed_are_refused(tmp_path, axes, message):
    path = wt5_file(
        tmp_path / "a.wt5",
        axes,
        {
            "w1": (np.arange(3.0)[:, None], "eV"),
            "w2": (np.arange(2.0)[None], "eV"),
            "both": (np.arange(6.0).reshape(3, 2), None),
        },
        {"signal": np.zeros((3, 2))},
    )
    with pytest.raises(FileFormatError, match=message):
        read_wt5(path)[0].gridded()


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.wt5"
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"a\.wt5: is damaged or not a wt5 file"):
        read_wt5(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(FileFormatError, match="root is no wt5 data"):
        read_wt5(path)
    assert not is_wt5(path)
    write_wt5(path, maps())
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(FileFormatError, match="damaged"):
        read_wt5(path)
    write_wt5(path, maps())
    with h5py.File(path, "r+") as file:
        del file.attrs["axes"]
    with pytest.raises(FileFormatError, match="axes"):
        read_wt5(path)


# ---- grids and units ----


def test_signals_must_fit_their_axes():
    axis = GridAxis("t2", np.arange(3.0), "fs")
    with pytest.raises(ValueError, match=r"signal s has the shape \(2,\)"):
        Gridded("a", (axis,), {"s": np.zeros(2)})
    with pytest.raises(ValueError, match="differ in name"):
        Gridded("a", (axis,), {"t2": np.zeros(3)})
    with pytest.raises(ValueError, match="letters, digits"):
        Gridded("a", (axis,), {"s/t": np.zeros(3)})
    with pytest.raises(ValueError, match="a signal at least"):
        Gridded("a", (axis,), {})


@settings(deadline=None, max_examples=30)
@given(st.floats(1e2, 1e5), st.sampled_from(["cm-1", "eV", "meV", "nm", "THz", "GHz"]))
def test_units_go_there_and_back(value, units):
    there = converted(np.array([value]), "cm-1", units)
    np.testing.assert_allclose(converted(there, units, "cm-1"), value, rtol=1e-12)


def test_units_are_those_of_the_tables():
    assert converted(np.array([1.0]), "eV", "nm")[0] == pytest.approx(1239.8419843, rel=1e-9)
    assert converted(np.array([1.0]), "eV", "THz")[0] == pytest.approx(241.7989242, rel=1e-9)
    assert converted(np.array([1.0]), "ps", "fs")[0] == 1000.0


# ---- WrightTools as the peer ----


@pytest.fixture(scope="module")
def wright_tools():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("WrightTools", reason="WrightTools is not installed (extra wt5)")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_wright_tools_opens_what_we_write(tmp_path, wright_tools, dtype):
    data = maps(dtype=dtype)
    write_wt5(tmp_path / "maps.wt5", data)
    with wright_tools.open(tmp_path / "maps.wt5") as found:
        assert found.axis_expressions == ("t2", "w1", "w3")
        assert found.units == ("fs", "wn", "wn")
        assert found.shape == data.shape
        assert found.channel_names == tuple(data.signals)
        np.testing.assert_array_equal(found.channels[1][:], data.signals["rephasing"])
        found.convert("eV", verbose=False)
        np.testing.assert_allclose(found.axes[1].points * CM_PER_EV, data.axes[1].values, rtol=1e-8)
        assert found.at(t2=[8, "fs"]).shape == (4, 5)


@pytest.mark.filterwarnings("ignore")
def test_wright_tools_opens_a_collection_and_saves_it_again_for_us(tmp_path, wright_tools):
    write_wt5(tmp_path / "scan.wt5", maps(), maps("beating", shape=(2, 3, 4)))
    with wright_tools.open(tmp_path / "scan.wt5") as found:
        assert tuple(found.item_names) == ("maps", "beating")
        found.save(tmp_path / "again.wt5", verbose=False)
    for ours, theirs in zip(read_wt5(tmp_path / "scan.wt5"), read_wt5(tmp_path / "again.wt5"), strict=True):
        assert_equal(theirs.gridded(), ours.gridded())


@pytest.mark.filterwarnings("ignore")
def test_what_wright_tools_writes_is_read(tmp_path, wright_tools):
    expected = maps()
    data = wright_tools.Data(name="maps", source=[str(tmp_path / "raw.data")], kind="test")
    for k, axis in enumerate(expected.axes):
        shape = [1, 1, 1]
        shape[k] = -1
        units = "wn" if axis.units == "cm-1" else axis.units
        data.create_variable(axis.name, axis.values.reshape(shape), units=units)
    for name, values in expected.signals.items():
        data.create_channel(name, values)
    data.transform("t2", "w1", "w3")
    data.save(tmp_path / "maps.wt5", verbose=False)
    data.close()
    (found,) = read_wt5(tmp_path / "maps.wt5")
    assert_equal(found.gridded(), expected)
    assert found.kind == "test"
    assert str(tmp_path) not in str(found.gridded().about)
