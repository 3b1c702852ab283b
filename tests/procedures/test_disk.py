"""A disk that runs full or takes nothing: the run ends early and keeps what it has, whole."""

import math
import shutil
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from qdlab.formats.photon_packing import WORDS_FILE
from qdlab.formats.run_file import read_run_file, recover_run, write_run_file
from qdlab.procedures import record as record_module
from qdlab.procedures.errors import DiskFullError, RefusedError
from qdlab.procedures.record import RESERVE_BYTES, RunRecord
from qdlab.procedures.run import execute_run, prepare_run

OVERRIDES = ("hold_s=10", "cycles=1")


def quota(monkeypatch, free_bytes):
    """The disk says that so much is free: a number, or a function that tells it."""
    tell = free_bytes if callable(free_bytes) else lambda: free_bytes
    monkeypatch.setattr(record_module.shutil, "disk_usage", lambda path: SimpleNamespace(free=tell()))


def test_the_reserve_ends_a_run_early_with_a_whole_run_file(tmp_path, monkeypatch):
    run = prepare_run("cv_flid", out=tmp_path, overrides=OVERRIDES, speed=math.inf)
    monkeypatch.setattr(record_module, "ASK_FREE_S", 0.0)
    looks = iter(range(10**6))
    quota(monkeypatch, lambda: 1e9 if next(looks) < 12 else RESERVE_BYTES)
    outcome = execute_run(run, lambda procedure: None, threading.Event())
    assert outcome.status == "failed"
    assert outcome.exit_status == 1
    assert "are needed to end the run in order, so it was ended early with what it has" in outcome.reason
    assert not run.rig.bench.light.emitting
    stored = read_run_file(outcome.path)
    assert len(stored.photons.words) == run.procedure.record.confirmed_words > 1000
    assert not list(tmp_path.glob("*.part"))


def test_a_run_that_does_not_fit_is_refused_before_anything_moves(tmp_path, monkeypatch):
    quota(monkeypatch, RESERVE_BYTES)
    with pytest.raises(RefusedError, match="a reserve of 200 MB"):
        prepare_run("cv_flid", out=tmp_path, overrides=OVERRIDES)


def test_rows_and_groups_keep_the_reserve_too(tmp_path, monkeypatch):
    record = RunRecord(tmp_path / "run", {"kind": "x", "warnings": []})
    monkeypatch.setattr(record_module, "ASK_FREE_S", 0.0)
    quota(monkeypatch, RESERVE_BYTES - 1)
    with pytest.raises(DiskFullError):
        record.add_group("block", {"counts": np.zeros(3)})
    with pytest.raises(DiskFullError):
        record.add_potentiostat([])
    record.finish("failed", "for the test")


LIMITED_RUN = """
import math, resource, sys, threading
from pathlib import Path
from qdlab.procedures.errors import DiskFullError
from qdlab.procedures.run import execute_run, prepare_run

run = prepare_run("cv_flid", out=Path(sys.argv[1]), overrides=("hold_s=30", "cycles=1"), speed=math.inf)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_200_000, 1_200_000))
try:
    execute_run(run, lambda procedure: None, threading.Event())
except DiskFullError as error:
    print(run.procedure.record.confirmed_words, run.rig.bench.light.emitting)
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of the file size")
def test_a_disk_that_takes_no_more_keeps_every_confirmed_word_for_recover(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED_RUN, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    confirmed, sentence = done.stdout.splitlines()
    words, emitting = confirmed.split()
    assert emitting == "False"
    assert "the disk takes no more words (File too large), so the run was ended early" in sentence
    assert "qdlab recover" in sentence
    (part,) = tmp_path.glob("*.part")
    run = read_run_file(recover_run(part))
    assert run.status == "failed"
    assert len(run.photons.words) == int(words) > 250_000


def test_nothing_is_written_behind_a_gap(tmp_path):
    record = RunRecord(tmp_path / "run", {"kind": "x", "warnings": []})
    spool, record._words = record._words, FullFile(record._words, room=10)
    with pytest.raises(DiskFullError):
        record._write_words(np.arange(3, dtype="<u4").view(np.uint8).data)
    with pytest.raises(DiskFullError):
        record._write_words(np.arange(1, dtype="<u4").view(np.uint8).data)
    record._words = spool
    record.finish("failed", "for the test")
    assert (record.folder / WORDS_FILE).stat().st_size == 0


class FullFile:
    """A file on a disk with room for a few bytes."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, content):
        if not self._room:
            raise OSError(28, "No space left on device")
        written = self._file.write(content[: self._room])
        self._room -= written
        return written

    def truncate(self, size):
        self._file.truncate(size)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_read_only_folder_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "runs"
    folder.mkdir()

    def refuse(self, content):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)  # root may write anywhere
    with pytest.raises(
        RefusedError, match="cannot write runs there: Permission denied; choose another --out"
    ):
        prepare_run("cv_flid", out=folder, overrides=OVERRIDES)


# ---- the run file is looked at before the part folder goes ----


@pytest.fixture
def part(tmp_path):
    """The part folder of a run that has ended, and its copy."""
    run = prepare_run("cv_flid", out=tmp_path, overrides=("hold_s=2", "cycles=0"), speed=math.inf)
    kept = tmp_path / "kept.part"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "qdlab.procedures.run.write_run_file", lambda folder, packing: shutil.copytree(folder, kept)
        )
        execute_run(run, lambda procedure: None, threading.Event())
    return kept


def test_a_run_file_with_other_words_is_not_moved_into_place(part, monkeypatch):
    import h5py

    replace = h5py.Group.create_dataset

    def spoil(self, name, *arguments, **keywords):
        dataset = replace(self, name, *arguments, **keywords)
        return Spoiled(dataset) if name == "words" else dataset

    monkeypatch.setattr(h5py.Group, "create_dataset", spoil)
    with pytest.raises(OSError, match="its words differ from"):
        write_run_file(part)
    assert part.exists()
    assert not part.with_suffix(".h5").exists()
    monkeypatch.undo()
    assert write_run_file(part).exists()
    assert not part.exists()


class Spoiled:
    """A dataset on a disk that turns one bit of what is written."""

    def __init__(self, dataset):
        self._dataset = dataset

    def __setitem__(self, key, words):
        words = words.copy()
        words[-1] ^= 1
        self._dataset[key] = words
