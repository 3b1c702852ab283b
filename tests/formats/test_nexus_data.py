from __future__ import annotations

import warnings

import h5py
import numpy as np
import pytest

from qdlab.formats.errors import FileFormatError
from qdlab.formats.gridded import GridAxis, Gridded
from qdlab.formats.h5_tree import read_tree, write_tree
from qdlab.formats.nexus_data import is_nexus, mark_default, nexus_entry, read_nexus, write_nexus


def maps(name="maps"):
    rng = np.random.default_rng(2)
    axes = (
        GridAxis("t2", 8.0 * np.arange(3), "fs", "waiting time t2"),
        GridAxis("w1", 17000.0 + 40 * np.arange(4), "cm-1", "excitation wavenumber w1"),
        GridAxis("w3", 16800.0 + 20 * np.arange(5), "cm-1"),
    )
    field = rng.normal(size=(3, 4, 5)) + 1j * rng.normal(size=(3, 4, 5))
    signals = {"rephasing": field, "absorptive": field.real.copy()}
    return Gridded(name, axes, signals, "a scan", {"source": "/home/anna/run.h5"})


def followed(path):
    """What a viewer finds that knows the attributes of NeXus and nothing else."""
    with h5py.File(path) as file:
        group = file
        while group.attrs["NX_class"] != "NXdata":
            group = group[group.attrs["default"]]
        axes = [group[name] for name in group.attrs["axes"]]
        for k, name in enumerate(group.attrs["axes"]):
            assert group.attrs[f"{name}_indices"] == k
        assert group[group.attrs["signal"]].shape == tuple(len(axis) for axis in axes)
        return (
            group.attrs["title"],
            group[group.attrs["signal"]][()],
            [(axis[()], axis.attrs.get("units"), axis.attrs["long_name"]) for axis in axes],
        )


def test_attributes_lead_to_signal_and_axes(tmp_path):
    path, data = tmp_path / "maps.nxs", maps()
    write_nexus(path, data, maps("beating"))
    assert is_nexus(path)
    title, signal, axes = followed(path)
    assert title == "a scan: rephasing"
    np.testing.assert_array_equal(signal, data.signals["rephasing"])
    assert signal.dtype == np.complex128
    for (values, units, label), axis in zip(axes, data.axes, strict=True):
        np.testing.assert_array_equal(values, axis.values)
        assert units == axis.units
        assert label == axis.label
    assert axes[1][2] == "excitation wavenumber w1 (cm-1)"


def test_data_come_back_from_their_attributes(tmp_path):
    path = tmp_path / "maps.nxs"
    write_nexus(path, maps(), maps("beating"))
    found, beating = read_nexus(path)
    assert (found.name, beating.name, found.title) == ("maps", "beating", "a scan")
    assert list(found.signals) == ["rephasing", "absorptive"]
    for one, other in zip(found.axes, maps().axes, strict=True):
        assert (one.name, one.units, one.long_name) == (other.name, other.units, other.long_name)
    for name, values in maps().signals.items():
        np.testing.assert_array_equal(found.signals[name], values)


def test_no_folder_gets_into_the_file(tmp_path):
    path = tmp_path / "maps.nxs"
    write_nexus(path, maps())
    assert b"anna" not in path.read_bytes()
    assert str(tmp_path).encode() not in path.read_bytes()
    assert read_nexus(path)[0].about == {"source": "run.h5"}


def test_a_group_anywhere_can_be_what_is_shown(tmp_path):
    path = tmp_path / "run.h5"
    with h5py.File(path, "w") as file:
        write_tree(file.create_group("user/qdlab/maps/0000"), nexus_entry(maps()))
        mark_default(file, "/user/qdlab/maps/0000")
        file.attrs["NX_class"] = file["user"].attrs["NX_class"] = "NXroot"
        file["user/qdlab"].attrs["NX_class"] = file["user/qdlab/maps"].attrs["NX_class"] = "NXcollection"
    assert followed(path)[0] == "a scan: rephasing"
    assert read_nexus(path)[0].name == "user_qdlab_maps_0000"


def test_images_of_a_run_are_read_with_all_their_signals(tmp_path):
    path = tmp_path / "run.h5"
    image = {
        "NX_class": "NXdata",
        "signal": "rate",
        "auxiliary_signals": ["counts"],
        "axes": ["y", "x"],
        "rate": np.ones((2, 3)),
        "counts": np.ones((2, 3)),
        "x": np.arange(3.0),
        "y": np.arange(2.0),
    }
    with h5py.File(path, "w") as file:
        write_tree(file, {"images": [image, image], "broken": {"NX_class": "NXdata", "signal": "gone"}})
    found = read_nexus(path)
    assert [each.name for each in found] == ["images_0000", "images_0001"]
    assert list(found[0].signals) == ["rate", "counts"]


def test_what_cannot_be_read_is_refused(tmp_path):
    path = tmp_path / "a.nxs"
    path.write_bytes(b"no HDF5")
    with pytest.raises(FileFormatError, match=r"a\.nxs: is damaged or no NeXus"):
        read_nexus(path)
    with pytest.raises(ValueError, match="different names"):
        write_nexus(path, maps(), maps())
    data = maps()
    with h5py.File(path, "w") as file:
        write_tree(file.create_group("maps"), nexus_entry(data))
        del file["maps/absorptive/w1"]
        file["maps/absorptive/w1"] = np.arange(4.0)
    with pytest.raises(FileFormatError, match="differ in axis w1"):
        read_nexus(path)


def test_attributes_of_arrays_survive_in_a_tree(tmp_path):
    tree = {"x": np.arange(3.0), "x@units": "fs", "inner": {"y": np.ones(2), "y@long_name": "a name"}}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        write_tree(file, tree)
        assert file["x"].attrs["units"] == "fs"
        found = read_tree(file)
    assert found["x@units"] == "fs"
    assert found["inner"]["y@long_name"] == "a name"


def test_silx_takes_it_for_valid_data(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nxdata = pytest.importorskip("silx.io.nxdata", reason="silx is not installed")
    write_nexus(tmp_path / "maps.nxs", maps())
    with h5py.File(tmp_path / "maps.nxs") as file:
        found = nxdata.get_default(file)
        assert found is not None
        assert found.is_valid
        assert found.signal_name == "rephasing"
        assert found.signal.shape == (3, 4, 5)
        assert found.axes_names == ["waiting time t2 (fs)", "excitation wavenumber w1 (cm-1)", "w3 (cm-1)"]
