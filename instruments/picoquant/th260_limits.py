"""What a TimeHarp 260 accepts: ranges from the vendor's `th260defin.h` (version 3.2), and the check."""

from __future__ import annotations

from ..base import InstrumentError, Limits, OutOfRangeError
from ..photon_counter import CounterSettings, InputSettings, TttrMode
from .th260_board import BoardInfo
from .th260lib import Feature

SYNC_DIVIDERS = (1, 2, 4, 8)
CFD_LEVEL_MV = Limits(-1200, 0)
EDGE_LEVEL_MV = Limits(-1200, 1200)
CFD_ZERO_CROSS_MV = Limits(-40, 0)
OFFSET_PS = Limits(-99_999, 99_999)
DEAD_TIME_CODE = Limits(0, 7)
MARKER_HOLDOFF_NS = Limits(0, 25_500)
DURATION_S = Limits(0.001, 360_000)


def check_settings(settings: CounterSettings, board: BoardInfo) -> None:
    """Refuse what this board cannot do.

    Raises OutOfRangeError for a value outside its range, and InstrumentError for a missing option.
    """
    if settings.sync_divider not in SYNC_DIVIDERS:
        raise OutOfRangeError(f"sync_divider = {settings.sync_divider!r} is none of {SYNC_DIVIDERS}")
    if len(settings.inputs) > board.n_inputs:
        raise OutOfRangeError(f"{len(settings.inputs)} inputs are set, but the board has {board.n_inputs}")
    if settings.sync.dead_time_code is not None:
        raise OutOfRangeError("sync.dead_time_code: the sync input has no programmable dead time")
    _check_input(settings.sync, "sync", board)
    for channel, one in enumerate(settings.inputs):
        _check_input(one, f"inputs[{channel}]", board)
    Limits(0, board.max_binning).check(settings.binning, "binning")
    if settings.mode is TttrMode.T2 and settings.binning != 0:
        raise OutOfRangeError(f"binning = {settings.binning} has no meaning in T2 mode; use 0")
    MARKER_HOLDOFF_NS.check(settings.marker_holdoff_ns, "marker_holdoff_ns")
    if settings.mode is not TttrMode.HISTOGRAM:
        _require(Feature.TTTR, f"mode {settings.mode.name}", board)
    if any(settings.marker_enabled):
        _require(Feature.MARKERS, "marker_enabled", board)


def _check_input(one: InputSettings, what: str, board: BoardInfo) -> None:
    level_mv = CFD_LEVEL_MV if board.has_cfd else EDGE_LEVEL_MV
    level_mv.check(one.cfd_level_mv, f"{what}.cfd_level_mv")
    CFD_ZERO_CROSS_MV.check(one.cfd_zero_cross_mv, f"{what}.cfd_zero_cross_mv")
    OFFSET_PS.check(one.offset_ps, f"{what}.offset_ps")
    if one.dead_time_code is not None:
        _require(Feature.PROGRAMMABLE_DEAD_TIME, f"{what}.dead_time_code", board)
        DEAD_TIME_CODE.check(one.dead_time_code, f"{what}.dead_time_code")


def _require(feature: Feature, what: str, board: BoardInfo) -> None:
    if feature not in board.features:
        raise InstrumentError(
            f"{what} needs the option {feature.name}, which the {board.model} {board.serial} lacks"
        )
