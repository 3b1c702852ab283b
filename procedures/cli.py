"""The command line: `qdlab run`, `gui`, `analyze`, `show`, `export`, `reproduce` and the others.

Heavy imports stay inside the commands, so that `qdlab --help` answers at once.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="qdlab",
    help="Runs a quantum-dot laboratory on the real instruments or on their physics twin.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
station_app = typer.Typer(
    help="Look at a station's instruments, or switch everything off.", no_args_is_help=True
)
app.add_typer(station_app, name="station")

Out = Annotated[Path, typer.Option("--out", help="Folder for the run's files.")]
PumpProbeRun = Annotated[
    Path | None,
    typer.Option("--pump-probe", help="A pump-probe run that gives the phase of a 2DES scan's maps."),
]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the simulated bench.")]
Speed = Annotated[str | None, typer.Option("--speed", help="Of the simulated bench: real, max, or a factor.")]


@app.command()
def run(
    experiment: Annotated[str, typer.Argument(help="Experiment TOML, or the name of a shipped one.")],
    station: Annotated[
        str | None, typer.Option("--station", help="Station TOML or name of a shipped one.")
    ] = None,
    out: Out = Path("runs"),
    overrides: Annotated[list[str] | None, typer.Option("--set", help="key=value, may be repeated.")] = None,
    seed: Seed = None,
    speed: Speed = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="Fault of an emulator to switch on.")
    ] = None,
    override: Annotated[
        str | None, typer.Option("--override", help="Why to go beyond the station's [limits].")
    ] = None,
) -> None:
    """Run an experiment; the last line of the output is the run file's path."""
    from .cli_run import run_and_report

    raise typer.Exit(
        run_and_report(
            experiment,
            station=station,
            out=out,
            overrides=overrides or (),
            seed=seed,
            speed=_speed(speed),
            faults=fault or (),
            override=override,
        )
    )


@app.command()
def analyze(
    file: Annotated[
        Path,
        typer.Argument(help="A run file, a .ptu, a .wt5, a NeXus file, a PyCMDS .data, or a CHI text file."),
    ],
    json: Annotated[Path | None, typer.Option("--json", help="Write the results as one JSON object.")] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw the results into this PNG, SVG or PDF.")
    ] = None,
    pump_probe: PumpProbeRun = None,
) -> None:
    """Analyze a recording and print what was found."""
    from .cli_files import analyze_file

    analyze_file(file, json, figure, pump_probe)


@app.command()
def show(
    file: Annotated[
        Path,
        typer.Argument(help="A run file, a .ptu, a .wt5, a NeXus file, a PyCMDS .data, or a CHI text file."),
    ],
) -> None:
    """Show what is in a file, in a page."""
    from .cli_files import show_file

    show_file(file)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A run file, a .ptu, or a file of spectra.")],
    out: Annotated[Path, typer.Argument(help="The file (csv: the folder) to write; must not exist.")],
    to: Annotated[str, typer.Option("--to", help="photon-hdf5, ptu, wt5, nexus, or csv.")],
    tttr_mode: Annotated[int, typer.Option("--tttr-mode", help="For ptu: 2 or 3.")] = 3,
    pump_probe: PumpProbeRun = None,
) -> None:
    """Write a recording in another format."""
    from .cli_files import export_file

    export_file(file, to, out, tttr_mode, pump_probe)


@app.command()
def reproduce(
    paper: Annotated[str, typer.Argument(help="morozov or hamilton")],
    out: Out = Path("reproduced"),
    quick: Annotated[bool, typer.Option("--quick", help="Shorter runs, under a minute.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail where a found value misses.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the simulated bench.")] = 1,
) -> None:
    """Repeat a paper's figures on the twin, and say how close they come."""
    from .cli_reproduce import reproduce_and_report

    raise typer.Exit(reproduce_and_report(paper, out, quick=quick, check=check, seed=seed))


@app.command()
def gui(
    path: Annotated[
        str | None, typer.Argument(help="A station (TOML or name), or a run file to open.")
    ] = None,
) -> None:
    """Open the lab window."""
    from ..gui.app import run_gui

    raise typer.Exit(run_gui(path))


@app.command()
def recover(
    path: Annotated[Path, typer.Argument(help="The .part folder of a run that did not end.")],
) -> None:
    """Make a whole run file of what an interrupted run left."""
    from ..formats.run_file import recover_run

    print(recover_run(path))


@station_app.command("check")
def station_check(
    station: Annotated[str, typer.Argument(help="Station TOML or name.")], seed: Seed = None
) -> None:
    """Connect every instrument, say who answered and what it may do, and disconnect."""
    from .cli_station import check_station

    raise typer.Exit(check_station(station, seed))


@station_app.command("safe")
def station_safe(station: Annotated[str, typer.Argument(help="Station TOML or name.")]) -> None:
    """Everything off, now: laser locked, measurement stopped, cell off."""
    from .cli_station import make_station_safe

    raise typer.Exit(make_station_safe(station))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def emulate(
    context: typer.Context,
    instrument: Annotated[
        str, typer.Argument(help="chi760, e545, or station with its TOML; any instrument with --list-faults.")
    ],
    list_faults: Annotated[bool, typer.Option("--list-faults", help="Name its faults and end.")] = False,
) -> None:
    """Run an emulated instrument, or a whole emulated station, as a program of its own."""
    if list_faults:
        from .cli_faults import list_faults as print_faults

        print_faults(instrument)
        return
    if instrument == "chi760":
        from ..sim.emulators.chi760.__main__ import main as emulated
    elif instrument == "e545":
        from ..sim.emulators.e545_program import main as emulated
    elif instrument == "station":
        from .emulated_station import main as emulated
    else:
        raise typer.BadParameter(f"{instrument!r} is not one of: chi760, e545, station")
    raise typer.Exit(emulated(context.args))


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback with every error.")] = False,
) -> None:
    """Options before the command."""
    if debug:
        import logging

        logging.basicConfig(level=logging.INFO)
    if version:
        from importlib.metadata import version as version_of

        print(version_of("qdlab"))
        raise typer.Exit


def main() -> None:
    """The console script: errors are one sentence on standard error, with their exit status."""
    try:
        app()
    except Exception as error:
        status, message = _explain(error)
        if "--debug" in sys.argv or message is None:
            raise
        print(f"qdlab: {message}", file=sys.stderr)
        sys.exit(status)


def _explain(error: Exception) -> tuple[int, str | None]:
    """Exit status and sentence of an error that a person can act on; None for a defect of ours."""
    from ..formats.errors import FileFormatError
    from ..instruments.base import InstrumentError, VendorSoftwareMissingError
    from .errors import QdlabError

    match error:
        case QdlabError():
            return error.exit_status, str(error)
        case FileFormatError() | VendorSoftwareMissingError() | FileNotFoundError() | FileExistsError():
            return 2, str(error)
        case IsADirectoryError() | PermissionError():
            return 2, str(error)
        case InstrumentError():
            return 1, str(error)
        case _:
            return 1, None


def _speed(text: str | None) -> float | None:
    if text is None or text in ("real", "max"):
        return {None: None, "real": 1.0, "max": math.inf}[text]
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not (math.isfinite(speed) and speed > 0):
        from .errors import RefusedError

        raise RefusedError(f"--speed {text!r}: must be real, max, or a factor greater than 0")
    return speed


if __name__ == "__main__":
    main()
