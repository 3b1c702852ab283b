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

from ..formats.run_file import write_run_file
from ..instruments.base import OutOfRangeError, VendorSoftwareMissingError
from .config import locate
from .errors import QdlabError, RefusedError
from .experiment import Experiment, load_experiment
from .record import RunRecord, check_folder, new_run_stem
from .rig import Rig
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
) -> PreparedRun:
    """Read, build and check everything; raises RefusedError before anything moves.

    `sample` puts another sample on the bench of a simulated station than its file says.
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
        check_folder(out, plan.disk_bytes)
    except (OutOfRangeError, VendorSoftwareMissingError) as error:
        rig.close()
        raise RefusedError(f"{experiment_path}: {error}") from error
    except BaseException:
        rig.close()
        raise
    return PreparedRun(about, experiment_path, procedure, where, rig, plan, out)


def execute_run(run: PreparedRun, watch: Callable[[RigProcedure], None], stop: threading.Event) -> RunOutcome:
    """Run in pymeasure's worker; `watch` is called ten times a second until it ends.

    Setting `stop` ends the run as aborted. Whatever happens, the rig is safe and the run file written
    when this returns.
    """
    procedure = run.procedure
    stem = new_run_stem(run.out, procedure.kind)
    procedure.rig = run.rig
    procedure.record = RunRecord(stem, _header(run))
    worker = Worker(Results(procedure, f"{stem}.csv"))
    worker.start()
    while worker.is_alive():
        watch(procedure)
        if stop.is_set():
            worker.stop()
        threading.Thread.join(worker, 0.1)
    path = write_run_file(procedure.record.folder, procedure.record.packing)
    return RunOutcome(
        procedure.status_name,
        procedure.status_reason,
        path,
        _exit_status(procedure),
        tuple(procedure.record.header["warnings"]),
    )


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
    }


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import version

    packages = ("qdlab", "pymeasure", "numpy", "h5py", "numba")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
