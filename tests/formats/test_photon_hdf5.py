from __future__ import annotations

import dataclasses
from datetime import datetime

import h5py
import numpy as np
import phconvert
import pytest
import tables

from qdlab.formats.errors import FileFormatError
from qdlab.formats.photon_hdf5 import (
    PhotonHdf5Writer,
    PhotonMeasurement,
    iter_photons,
    open_photon_hdf5,
    read_photon_hdf5,
)

T3 = PhotonMeasurement(
    timestamps_unit_s=4e-7,
    tcspc_unit_s=25e-12,
    laser_repetition_rate_hz=2.5e6,
    excitation_wavelength_nm=442.0,
    detection_wavelength_nm=630.0,
    description="a dot under bias",
    sample_name="CdSe/CdS, µ-batch 1",
    author="A. Author",
    author_affiliation="An Institute",
    created=datetime(2024, 2, 29, 12, 30, 1),
)
T2_PULSED = dataclasses.replace(T3, timestamps_unit_s=25e-12, tcspc_unit_s=None)
T2_CW = dataclasses.replace(T2_PULSED, laser_repetition_rate_hz=None)
ONE_DETECTOR = dataclasses.replace(T3, detectors=(1,))
CONVERTED = dataclasses.replace(
    T3,
    source_file="x.ptu",
    source_software="TimeHarp 260",
    source_created=datetime(2023, 1, 2),
    buffer_name="acetonitrile",
)
MEASUREMENTS = {
    "t3": T3,
    "t2 pulsed": T2_PULSED,
    "t2 continuous": T2_CW,
    "one detector": ONE_DETECTOR,
    "converted": CONVERTED,
}


def photons(measurement: PhotonMeasurement, n: int = 1000):
    rng = np.random.default_rng(n)
    nanotimes = rng.integers(0, 16000, n).astype(np.uint16)
    return (
        np.sort(rng.integers(0, 2**40, n)),
        None if measurement.tcspc_unit_s is None else nanotimes,
        rng.choice(measurement.detectors, n).astype(np.uint8),
    )


def write(path, measurement, *blocks, duration_s=None):
    with h5py.File(path, "w") as file:
        writer = PhotonHdf5Writer(file, measurement)
        for block in blocks:
            writer.append(*block)
        if duration_s is not None:
            writer.set_duration(duration_s)
        file.create_group("user/qdlab/settings").attrs["bias"] = -1.0


def assert_valid(path) -> None:
    with tables.open_file(str(path)) as file:
        phconvert.hdf5.assert_valid_photon_hdf5(file, require_rootformat=True)


@pytest.mark.parametrize("kind", MEASUREMENTS)
def test_files_are_valid_photon_hdf5_at_every_length(tmp_path, kind):
    measurement = MEASUREMENTS[kind]
    for n_blocks in range(3):
        path = tmp_path / f"{n_blocks}.h5"
        write(path, measurement, *[photons(measurement)] * n_blocks)
        assert_valid(path)


def test_the_validator_used_here_finds_a_missing_field(tmp_path):
    write(tmp_path / "a.h5", T3, photons(T3))
    with h5py.File(tmp_path / "a.h5", "a") as file:
        del file["/photon_data/measurement_specs/detectors_specs/split_ch2"]
    with pytest.raises(phconvert.hdf5.Invalid_PhotonHDF5, match="split_ch2"):
        assert_valid(tmp_path / "a.h5")


@pytest.mark.parametrize("kind", MEASUREMENTS)
def test_what_is_written_reads_back(tmp_path, kind):
    measurement = MEASUREMENTS[kind]
    given = photons(measurement)
    write(tmp_path / "a.h5", measurement, given, duration_s=12.5)
    read = read_photon_hdf5(tmp_path / "a.h5")
    for got, expected in zip(read.photons, given, strict=True):
        assert np.array_equal(got, expected) if expected is not None else got is None
    bins = None if measurement.tcspc_unit_s is None else 16000
    assert read.measurement == dataclasses.replace(measurement, tcspc_num_bins=bins)
    assert read.acquisition_duration_s == 12.5


def test_pytables_reads_the_photons(tmp_path):
    given = photons(T3, 200_000)
    write(tmp_path / "a.h5", T3, given)
    with tables.open_file(str(tmp_path / "a.h5")) as file:
        data = file.root.photon_data
        for node, expected, dtype in zip(
            (data.timestamps, data.nanotimes, data.detectors),
            given,
            ("int64", "uint16", "uint8"),
            strict=True,
        ):
            assert node.dtype == dtype
            assert np.array_equal(node[:], expected)


def test_blocks_give_the_same_photons_as_one_append(tmp_path):
    timestamps, nanotimes, detectors = photons(T3, 150_001)
    parts = [slice(a, a + 40_000) for a in range(0, 150_001, 40_000)]
    write(tmp_path / "a.h5", T3, *[(timestamps[p], nanotimes[p], detectors[p]) for p in parts])
    read = read_photon_hdf5(tmp_path / "a.h5")
    assert np.array_equal(read.photons.timestamps, timestamps)
    assert np.array_equal(read.photons.nanotimes, nanotimes)
    assert read.acquisition_duration_s == pytest.approx(timestamps[-1] * 4e-7)


def test_photons_are_read_in_blocks(tmp_path):
    given = photons(T3, 1000)
    write(tmp_path / "a.h5", T3, given)
    with open_photon_hdf5(tmp_path / "a.h5") as file:
        blocks = list(iter_photons(file, 300))
    assert [len(b.timestamps) for b in blocks] == [300, 300, 300, 100]
    assert np.array_equal(np.concatenate([b.detectors for b in blocks]), given[2])


def test_a_file_without_photons_reads_as_empty(tmp_path):
    write(tmp_path / "a.h5", T3)
    read = read_photon_hdf5(tmp_path / "a.h5")
    assert [len(column) for column in read.photons] == [0, 0, 0]
    assert read.acquisition_duration_s == 0


def test_a_file_of_the_reference_library_reads(tmp_path):
    timestamps, nanotimes, detectors = photons(T3)
    one = np.ones(1, np.uint8)
    content = {
        "description": "by phconvert",
        "photon_data": {
            "timestamps": timestamps,
            "nanotimes": nanotimes,
            "detectors": detectors,
            "timestamps_specs": {"timestamps_unit": 4e-7},
            "nanotimes_specs": {"tcspc_unit": 25e-12, "tcspc_num_bins": 16000, "tcspc_range": 4e-7},
            "measurement_specs": {
                "measurement_type": "generic",
                "laser_repetition_rate": 2.5e6,
                "detectors_specs": {"split_ch1": 0 * one, "split_ch2": one},
            },
        },
        "setup": {
            "num_pixels": 2,
            "num_spots": 1,
            "num_spectral_ch": 1,
            "num_polarization_ch": 1,
            "num_split_ch": 2,
            "modulated_excitation": False,
            "lifetime": True,
            "excitation_cw": [False],
            "excitation_alternated": [False],
            "laser_repetition_rates": [2.5e6],
            "excitation_wavelengths": [442e-9],
            "detection_wavelengths": [630e-9],
        },
        "identity": {"author": "A. Author", "author_affiliation": "An Institute"},
    }
    phconvert.hdf5.save_photon_hdf5(content, h5_fname=str(tmp_path / "a.h5"), close=True)
    read = read_photon_hdf5(tmp_path / "a.h5")
    assert np.array_equal(read.photons.timestamps, timestamps)
    assert np.array_equal(read.photons.nanotimes, nanotimes)
    assert np.array_equal(read.photons.detectors, detectors)
    assert (read.measurement.tcspc_unit_s, read.measurement.detectors) == (25e-12, (0, 1))
    assert (read.measurement.description, read.measurement.author) == ("by phconvert", "A. Author")


def test_the_photons_take_less_than_half_their_size(tmp_path):
    n = 200_000
    rng = np.random.default_rng(1)
    decay = (rng.exponential(42e-9 / 25e-12, n) % 16000).astype(np.uint16)
    block = np.cumsum(rng.integers(1, 150, n)), decay, rng.integers(0, 2, n).astype(np.uint8)
    write(tmp_path / "a.h5", T3, block)
    assert (tmp_path / "a.h5").stat().st_size < 11 * n / 2


@pytest.mark.parametrize(
    ("measurement", "message"),
    [
        (dataclasses.replace(T3, detectors=(0, 1, 2)), "one or two"),
        (dataclasses.replace(T3, detectors=()), "one or two"),
        (dataclasses.replace(T3, laser_repetition_rate_hz=None), "need a pulsed laser"),
    ],
)
def test_what_the_format_cannot_say_is_refused(tmp_path, measurement, message):
    with h5py.File(tmp_path / "a.h5", "w") as file, pytest.raises(ValueError, match=message):
        PhotonHdf5Writer(file, measurement)


def test_blocks_that_do_not_fit_the_measurement_are_refused(tmp_path):
    timestamps, nanotimes, detectors = photons(T3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        writer = PhotonHdf5Writer(file, T3)
        with pytest.raises(ValueError, match="tcspc_unit_s"):
            writer.append(timestamps, None, detectors)
        with pytest.raises(ValueError, match="equal lengths"):
            writer.append(timestamps, nanotimes[:-1], detectors)
        with pytest.raises(ValueError, match="holds photon data already"):
            PhotonHdf5Writer(file, T3)


def test_what_is_no_photon_hdf5_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(b"not HDF5")
    with pytest.raises(FileFormatError, match=r"a\.h5 is not an HDF5 file"):
        read_photon_hdf5(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(FileFormatError, match="lacks /photon_data/timestamps"):
        read_photon_hdf5(path)
    with pytest.raises(FileNotFoundError):
        read_photon_hdf5(tmp_path / "missing.h5")


def test_columns_of_unequal_length_are_refused(tmp_path):
    write(tmp_path / "a.h5", T3, photons(T3))
    with h5py.File(tmp_path / "a.h5", "a") as file:
        detectors = file["photon_data/detectors"]
        assert isinstance(detectors, h5py.Dataset)
        detectors.resize((999,))
    with pytest.raises(FileFormatError, match=r"detectors has 999 entries, .*timestamps has 1000"):
        read_photon_hdf5(tmp_path / "a.h5")
