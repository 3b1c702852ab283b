"""One run from an experiment file to a run file, the same for the command line and for scripts."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymeasure.experiment import Results, Worker

from ..formats.run_file import GUARDIAN_LOG, write_run_file
from ..instruments.base import OutOfRangeError, VendorSoftwareMissingError
from .config import locate
from .errors import DiskFullError, QdlabError, RefusedError
from .experiment import Experiment, load_experiment
from .guardian import guarded
from .record import check_folder, new_record
from .rig import Rig
from .rig_limits import check_limits
from .rig_procedure import Plan, RigProcedure
from .station import Station


@dataclass(frozen=True)
class PreparedRun:
    """A run that passed preflight; nothing has moved yet."""

    experiment: Experiment
    experiment_path: Path
    procedure: RigProcedure
    station: Station
    rig: Rig
    plan: Plan
    out: Path
    overridden: dict[str, Any] | None = None
    """The limits that the run goes beyond, and the reason for that."""


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended and where its file is."""

    status: str
    reason: str
    path: Path
    exit_status: int
    warnings: tuple[str, ...]


def prepare_run(
    experiment: str,
    *,
    station: str | None = None,
    out: Path,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    speed: float | None = None,
    faults: Sequence[str] = (),
    ask: Callable[[str], str] = input,
    sample: str | None = None,
    override: str | None = None,
) -> PreparedRun:
    """Read, build and check everything; raises RefusedError before anything moves.

    `sample` puts another sample on the bench of a simulated station than its file says. `override` is the
    reason for going beyond the station's [limits]; the run file keeps it.
    """
    experiment_path = locate(experiment)
    about, procedure = load_experiment(experiment_path, overrides)
    where = Station.load(locate(station or about.station)).calibrated()
    if sample is not None:
        where = where.with_sample(sample)
    if missing := [role for role in procedure.needs if role not in where.tables]:
        raise RefusedError(
            f"{experiment_path}: {about.procedure} needs a {' and a '.join(missing)}, "
            f"which {where.path} has no table for"
        )
    try:
        rig = where.build(seed=seed, speed=speed, faults=faults, ask=ask)
    except VendorSoftwareMissingError as error:
        raise RefusedError(str(error)) from error
    try:
        plan = procedure.preflight(rig)
        exceeded = check_limits(procedure, rig, plan, override)
        check_folder(out, plan.disk_bytes)
    except (OutOfRangeError, VendorSoftwareMissingError) as error:
        rig.close()
        raise RefusedError(f"{experiment_path}: {error}") from error
    except BaseException:
        rig.close()
        raise
    overridden = {"reason": override, "exceeded": exceeded} if exceeded else None
    return PreparedRun(about, experiment_path, procedure, where, rig, plan, out, overridden)


def execute_run(run: PreparedRun, watch: Callable[[RigProcedure], None], stop: threading.Event) -> RunOutcome:
    """Run in pymeasure's worker; `watch` is called ten times a second until it ends.

    Setting `stop` ends the run as aborted, and so does an exception here, Ctrl-C for one. Whatever happens,
    the rig is safe when this returns, and the run file written. Where instruments outlive this process, a
    guardian watches it. Raises DiskFullError or OSError where the disk is full; the part folder then stays.
    """
    procedure = run.procedure
    procedure.rig = run.rig
    try:
        procedure.record = new_record(run.out, procedure.kind, _header(run))
        _guarded_work(run, watch, stop)
    except BaseException:
        run.rig.close()
        raise
    return RunOutcome(
        procedure.status_name,
        procedure.status_reason,
        _make_run_file(procedure),
        _exit_status(procedure),
        tuple(procedure.record.header["warnings"]),
    )


def _guarded_work(run: PreparedRun, watch: Callable[[RigProcedure], None], stop: threading.Event) -> None:
    """Run the worker to its end; the record of a run that did not begin is thrown away."""
    procedure, record = run.procedure, run.procedure.record
    try:
        with guarded(run.station, record.folder / GUARDIAN_LOG, procedure.stuck) as tell_safe:
            try:
                _work(procedure, Worker(Results(procedure, f"{record.stem}.csv")), watch, stop)
            finally:
                tell_safe(procedure.rig_is_safe)
    except BaseException:
        if record.ended:
            _make_run_file(procedure)
        else:
            record.discard()
        raise


def _make_run_file(procedure: RigProcedure) -> Path:
    record = procedure.record
    if record.refusal is not None:
        raise DiskFullError(
            f"{procedure.status_reason}; what was recorded is whole in {record.folder}: free space, then "
            f"make its run file with: qdlab recover {record.folder}"
        )
    return write_run_file(record.folder, record.packing)


def _work(
    procedure: RigProcedure, worker: Worker, watch: Callable[[RigProcedure], None], stop: threading.Event
) -> None:
    """Run the worker to its end, which an exception here brings nearer; a second one makes safe at once."""
    worker.start()
    try:
        while worker.is_alive():
            watch(procedure)
            if stop.is_set():
                worker.stop()
            threading.Thread.join(worker, 0.1)
    finally:
        worker.stop()
        try:
            threading.Thread.join(worker)
        except KeyboardInterrupt:
            procedure.stop_now()
            threading.Thread.join(worker)
            raise


def _exit_status(procedure: RigProcedure) -> int:
    match procedure.error:
        case None:
            return 0
        case QdlabError() as error:
            return error.exit_status
        case _:
            return 1


def _header(run: PreparedRun) -> dict[str, Any]:
    rig, procedure = run.rig, run.procedure
    bench = rig.bench
    return {
        "kind": procedure.kind,
        "warnings": [],
        "procedure": type(procedure).__name__,
        "parameters": procedure.parameter_values(),
        "experiment_toml": run.experiment_path.read_text(encoding="utf-8"),
        "station_toml": run.station.text,
        "station": json.loads(run.station.file.model_dump_json()),
        "title": run.experiment.title,
        "sample": run.experiment.sample,
        "versions": _versions(),
        "command": sys.argv,
        "simulated": run.station.simulated,
        "seed": bench.seed if bench else None,
        "faults": sorted(bench.faults.names) if bench else [],
        "overridden_limits": run.overridden,
    }


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import version

    packages = ("qdlab", "pymeasure", "numpy", "h5py", "numba")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
