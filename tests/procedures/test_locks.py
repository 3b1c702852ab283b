"""Two programs cannot hold one instrument or write one run; what a dead process held is free again."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from qdlab.formats import processes
from qdlab.formats.errors import FileFormatError
from qdlab.formats.file_lock import FileLock, HeldError
from qdlab.formats.processes import birth_of, end_program, processor_s_of
from qdlab.formats.run_file import recover_run
from qdlab.procedures import instrument_lock
from qdlab.procedures.errors import RefusedError
from qdlab.procedures.instrument_lock import InstrumentLocks
from qdlab.procedures.record import RunRecord, new_record

TABLE = SimpleNamespace(driver="pdl828", connection="default", serial="42")
HOLD = "import sys; from pathlib import Path; from qdlab.formats.file_lock import FileLock\n"
HOLD += "lock = FileLock(Path(sys.argv[1]), 'the laser'); lock.acquire(); print('held', flush=True); input()"


@pytest.fixture
def other_process():
    """Another process that holds a lock until it is killed."""
    processes = []

    def hold(path):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(instrument_lock, "lock_folder", lambda: tmp_path)
    return tmp_path


def test_a_lock_names_who_holds_it_since_when_and_what(tmp_path, other_process):
    process = other_process(tmp_path / "a.lock")
    with pytest.raises(
        HeldError, match=f"the laser is in use by process {process.pid} on .+ since 20"
    ) as held:
        FileLock(tmp_path / "a.lock", "the laser").acquire()
    assert str(tmp_path / "a.lock") in str(held.value)
    assert json.loads((tmp_path / "a.lock").read_text())["what"] == "the laser"


def test_a_killed_process_holds_nothing(tmp_path, other_process):
    process = other_process(tmp_path / "a.lock")
    process.kill()
    process.wait()
    lock = FileLock(tmp_path / "a.lock", "the laser")
    before = lock.acquire()
    assert before is not None
    assert before.pid == process.pid
    lock.release()


def test_who_let_go_in_order_is_forgotten(tmp_path):
    lock = FileLock(tmp_path / "a.lock", "the laser")
    assert lock.acquire() is None
    lock.release()
    assert lock.acquire() is None
    assert lock.acquire() is None  # held already
    lock.release()
    lock.release()


@pytest.mark.parametrize("left", [b"", b"\x00\xff", b"[]", b'{"pid": 1}', b'{"program": [1]}', b"7" * 5000])
def test_a_lock_file_with_anything_in_it_is_taken(tmp_path, left):
    (tmp_path / "a.lock").write_bytes(left)
    lock = FileLock(tmp_path / "a.lock", "the laser")
    assert lock.acquire() is None
    lock.release()


def test_a_program_that_outlived_its_starter_is_known_and_ended(tmp_path):
    program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    code = (
        "import os, sys; from pathlib import Path; from qdlab.formats.file_lock import FileLock\n"
        "lock = FileLock(Path(sys.argv[1]), 'it'); lock.acquire()\n"
        "lock.note_program(int(sys.argv[2])); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.lock"), str(program.pid)])
    lock = FileLock(tmp_path / "a.lock", "it")
    before = lock.acquire()
    assert before is not None
    assert before.program is not None
    assert before.program[0] == program.pid
    assert end_program(before.program)
    program.communicate()
    assert not end_program(before.program)
    lock.release()


def test_another_process_with_a_used_again_id_is_left_alone(monkeypatch):
    killed = []
    monkeypatch.setattr(processes.os, "kill", lambda *arguments: killed.append(arguments))
    assert birth_of(os.getpid())
    assert not end_program((os.getpid(), "an earlier birth"))
    assert not end_program((os.getpid(), ""))
    assert killed == []


def test_the_processor_time_of_a_process_tells_whether_it_works():
    before_s = processor_s_of(os.getpid())
    sum(k * k for k in range(1_000_000))
    assert processor_s_of(os.getpid()) > before_s + 0.01
    assert processor_s_of(2**30) is None


# ---- instruments ----


def test_an_instrument_held_by_another_process_is_refused_with_its_owner(folder, other_process):
    (lock,) = InstrumentLocks([TABLE])._locks
    process = other_process(lock.path)
    with pytest.raises(RefusedError, match=f"in use by process {process.pid}"):
        InstrumentLocks([TABLE]).acquire()
    process.kill()
    process.wait()
    with InstrumentLocks([TABLE]):
        pass


def test_parts_of_one_process_share_a_lock_until_the_last_lets_go(folder, other_process):
    first, second = InstrumentLocks([TABLE]), InstrumentLocks([TABLE])
    first.acquire()
    second.acquire()
    first.release()
    with pytest.raises(HeldError):
        FileLock(second._locks[0].path, "it").acquire()
    second.release()
    other_process(second._locks[0].path)


def test_simulated_and_manual_connections_need_no_lock(folder):
    tables = [SimpleNamespace(driver="x", connection=c) for c in ("simulated", "manual")]
    with InstrumentLocks(tables):
        assert list(folder.iterdir()) == []


def test_what_was_taken_is_given_back_when_the_next_is_held(folder, other_process):
    other = SimpleNamespace(driver="e545", connection="COM3")
    locks = InstrumentLocks([TABLE, other])
    other_process(locks._locks[1].path)
    with pytest.raises(RefusedError):
        locks.acquire()
    other_process(locks._locks[0].path)


# ---- runs ----

HEADER = {"kind": "x", "warnings": []}


def test_a_run_that_goes_on_cannot_be_recovered(tmp_path):
    record = RunRecord(tmp_path / "run", HEADER)
    with pytest.raises(FileFormatError, match=f"in use by process {os.getpid()}"):
        recover_run(record.folder)
    record.finish("failed", "for the test")
    assert recover_run(record.folder).exists()


def test_two_programs_that_begin_in_one_second_write_two_runs(tmp_path, monkeypatch):
    names = iter([tmp_path / "a", tmp_path / "a", tmp_path / "b"])
    monkeypatch.setattr("qdlab.procedures.record.new_run_stem", lambda folder, name: next(names))
    first = new_record(tmp_path, "x", HEADER)
    second = new_record(tmp_path, "x", HEADER)
    assert (first.stem.name, second.stem.name) == ("a", "b")
    for record in (first, second):
        record.finish("failed", "for the test")
