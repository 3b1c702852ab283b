"""Run files that were damaged, cut, or made up: refused in a sentence, within bounds, and nothing is run."""

import json
import math
import shutil
import threading

import h5py
import numpy as np
import pytest

from qdlab.formats.errors import FileFormatError
from qdlab.formats.run_file import read_run_file
from qdlab.procedures.run import execute_run, prepare_run

OWN = "user/qdlab"


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A run file with photons, rows of the potentiostat, scans and images."""
    out = tmp_path_factory.mktemp("whole")
    overrides = ["pixels_x=8", "pixels_y=8"]
    run = prepare_run("confocal_scan", out=out, overrides=overrides, seed=1, speed=math.inf)
    return execute_run(run, lambda procedure: None, threading.Event()).path


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """A run file with records of the potentiostat."""
    out = tmp_path_factory.mktemp("swept")
    overrides = ["hold_s=0.5", "cycles=1", "scan_rate_v_s=4"]
    run = prepare_run("cv_flid", out=out, overrides=overrides, seed=1, speed=math.inf)
    return execute_run(run, lambda procedure: None, threading.Event()).path


def changed(source, path, change):
    """A copy of a run file made worse."""
    shutil.copy(source, path)
    with h5py.File(path, "r+") as file:
        change(file, file[OWN])
    return path


def replaced(own, name, values, **options):
    del own[name]
    own.create_dataset(name, data=values, **options)


def header_with(own, **values):
    header = json.loads(own.attrs["header"])
    for key, value in values.items():
        place, _, last = key.rpartition("__")
        (header[place] if place else header)[last] = value
    own.attrs["header"] = json.dumps(header)


def huge(own, name, dtype):
    del own[name]
    own.create_dataset(name, (1 << 40,), dtype, chunks=(1 << 16,))


def to_itself(file, own):
    own["images/0000/again"] = own["images/0000"]


HOSTILE = {
    "no header": lambda file, own: own.attrs.__delitem__("header"),
    "header is no JSON": lambda file, own: own.attrs.__setitem__("header", "{'a': __import__('os')}"),
    "header is a list": lambda file, own: own.attrs.__setitem__("header", "[]"),
    "header is deep": lambda file, own: own.attrs.__setitem__("header", "[" * 60_000),
    "header is a number": lambda file, own: own.attrs.__setitem__("header", 7),
    "kind is a number": lambda file, own: header_with(own, kind=3),
    "photons are no table": lambda file, own: header_with(own, photons=[1]),
    "a period of nothing": lambda file, own: header_with(own, photons__sync_period_s=0.0),
    "a period that is no number": lambda file, own: header_with(own, photons__sync_period_s=math.nan),
    "a period that is a text": lambda file, own: header_with(own, photons__sync_period_s="0.1"),
    "records of no counter": lambda file, own: header_with(own, photons__record_type=12),
    "a billion inputs": lambda file, own: header_with(own, photons__n_inputs=10**9),
    "a duration of ages": lambda file, own: file["acquisition_duration"].__setitem__((), 1e300),
    "a duration that is no number": lambda file, own: file["acquisition_duration"].__setitem__((), math.nan),
    "words of another type": lambda file, own: replaced(own, "words", own["words"][:].astype(float)),
    "words in two dimensions": lambda file, own: replaced(own, "words", np.zeros((3, 3), np.uint32)),
    "a trillion words": lambda file, own: huge(own, "words", np.uint32),
    "a trillion markers": lambda file, own: huge(own, "markers/timestamps", np.int64),
    "more marker times than bits": lambda file, own: replaced(own, "markers/bits", np.zeros(99, np.uint8)),
    "an index of nothing": lambda file, own: replaced(own, "words_overflow", np.zeros(0, np.int64)),
    "an index from far away": lambda file, own: own["words_overflow"].__setitem__(0, 1 << 61),
    "words that never end": lambda file, own: own["words"].__setitem__(slice(None), 0xFE0003FF),
    "more photons than it says": lambda file, own: own["words"].__setitem__(slice(None), 1),
    "a log that is a number": lambda file, own: replaced(own, "log", 3),
    "a group in the place of data": lambda file, own: (own.__delitem__("words"), own.create_group("words")),
    "data in the place of a group": lambda file, own: replaced(own, "markers", 3),
    "an image that contains itself": to_itself,
    "an image in another file": lambda file, own: own["images"].__setitem__(
        "0001", h5py.ExternalLink("/etc/hostname", "/")
    ),
    "an image behind a link": lambda file, own: own["images"].__setitem__("0001", h5py.SoftLink("/")),
    "words in another file": lambda file, own: (
        own.__delitem__("words"),
        own.create_dataset("words", (16,), np.uint32, external=[("/etc/hostname", 0, 64)]),
    ),
    "a trillion pixels": lambda file, own: own["images/0000"].create_dataset(
        "bomb", (1 << 20, 1 << 20), np.float64, chunks=(1024, 1024)
    ),
}


RECORDS = {
    "columns of different lengths": lambda record: replaced(record, "time_s", np.zeros(3)),
    "a column of texts": lambda record: replaced(record, "time_s", np.array([b"one", b"two"])),
    "a trillion rows": lambda record: huge(record, "current_a", np.float64),
    "about nothing": lambda record: record.attrs.__setitem__("about", "[3]"),
}


@pytest.fixture(scope="session")
def ended(whole, swept, tmp_path_factory, in_a_small_process):
    """How each hostile file ended, all read by one process."""
    folder = tmp_path_factory.mktemp("hostile")
    paths = {
        name: changed(whole, folder / f"{name.replace(' ', '_')}.h5", change)
        for name, change in HOSTILE.items()
    }
    for name, change in RECORDS.items():
        path = folder / f"{name.replace(' ', '_')}.h5"
        paths[name] = changed(swept, path, lambda file, own, change=change: change(own["potentiostat/0000"]))
    outcomes = in_a_small_process("run", whole, swept, *paths.values())
    assert outcomes.pop(str(whole)) == outcomes.pop(str(swept)) == "read"
    return {name: (path, outcomes[str(path)]) for name, path in paths.items()}


@pytest.mark.parametrize("name", [*HOSTILE, *RECORDS])
def test_a_run_file_made_worse_is_refused_in_a_sentence_with_its_name(ended, name):
    path, sentence = ended[name]
    assert sentence != "read"
    assert str(path) in sentence


def test_a_run_file_cut_anywhere_is_refused(whole, tmp_path, in_a_small_process):
    content = whole.read_bytes()
    paths = []
    for k, size in enumerate(np.linspace(0, len(content) - 1, 25).astype(int)):
        paths.append(tmp_path / f"cut{k}.h5")
        paths[-1].write_bytes(content[:size])
    ended = in_a_small_process("run", *paths)
    assert "read" not in ended.values()


def flipped(content, rng, folder, number):
    folder.mkdir()
    paths = []
    for k in range(number):
        raw = np.frombuffer(content, np.uint8).copy()
        at = rng.integers(0, len(raw), 1 << rng.integers(0, 8))
        raw[at] = rng.integers(0, 256, len(at))
        paths.append(folder / f"flipped{k}.h5")
        paths[-1].write_bytes(raw.tobytes())
    return paths


@pytest.mark.parametrize("seed", [1, *(pytest.param(s, marks=pytest.mark.slow) for s in range(2, 10))])
def test_flipped_bytes_neither_crash_nor_hang(whole, swept, tmp_path, in_a_small_process, seed):
    rng = np.random.default_rng(seed)
    paths = [
        path
        for k, source in enumerate((whole, swept))
        for path in flipped(source.read_bytes(), rng, tmp_path / str(k), 25)
    ]
    in_a_small_process("run", *paths)


def test_what_stands_in_a_file_is_never_run(whole, tmp_path):
    """A pickle in every place that could hold one stays bytes."""
    import pickle

    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    trap = np.frombuffer(pickle.dumps(Trap()), np.uint8)

    def set_traps(file, own):
        own["images/0000"].create_dataset("trap", data=trap)
        own["images/0000"].attrs["trap"] = np.void(trap.tobytes())
        own.attrs["trap"] = np.void(trap.tobytes())

    run = read_run_file(changed(whole, tmp_path / "trapped.h5", set_traps))
    (image,) = run.groups("images")
    assert image["trap"].tobytes() == trap.tobytes()
    assert not (tmp_path / "sprung").exists()


def test_a_folder_is_no_run_file(tmp_path):
    with pytest.raises(FileFormatError):
        read_run_file(tmp_path)
