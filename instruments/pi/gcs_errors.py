"""Errors of PI controllers: numbers as the General Command Set defines them, meanings in our words."""

from __future__ import annotations

from ..base import InstrumentError

UNKNOWN_COMMAND = 2
UNALLOWABLE_MOVE = 5
STOPPED = 10

TEXTS: dict[int, str] = {
    1: "bad parameter syntax",
    2: "unknown command",
    3: "line too long",
    5: "move refused: servo off or axis not referenced",
    7: "position out of limits",
    8: "velocity out of limits",
    10: "stopped by a command",
    15: "invalid axis name",
    16: "unknown stage name",
    17: "parameter out of range",
    22: "axis given twice",
    23: "illegal axis or channel",
    24: "wrong number of parameters",
    25: "not a number",
    26: "parameter missing",
    27: "soft limit out of range",
    31: "no reference switch",
    32: "no limit switch",
    45: "referencing failed",
    49: "move to a limit failed",
    50: "reference mode is off",
    53: "motion in progress",
    54: "unknown parameter number",
    56: "wrong password",
    57: "illegal recorder channel",
    58: "illegal recorder option",
    59: "illegal recorder source",
    60: "parameter protected by the command level",
    61: "autozero is running",
    63: "initialisation is running",
    64: "parameter is read-only",
    66: "voltage out of limits",
    67: "wave too long",
    72: "an analogue input sets the target",
    73: "the wave generator is active",
    74: "autozero is disabled",
    75: "no wave selected",
    76: "interface buffer overrun",
    77: "not enough recorded data",
    78: "table is deactivated",
    79: "open-loop command with the servo on",
    84: "motor is off",
    88: "reference mode is on",
    96: "unknown stage name",
    98: "autozero failed",
    216: "axis stands on a limit switch",
    301: "send buffer overflow",
    302: "voltage out of limits",
    303: "open-loop command with the servo on",
    304: "receive buffer overflow",
    307: "receive timeout",
    400: "illegal wave index",
    401: "wave not defined",
    402: "illegal wave type",
    403: "wave too long",
    404: "illegal number of waves",
    405: "wave parameter out of range",
    406: "illegal wave generator mode",
    555: "unknown error",
    601: "memory fault",
    602: "voltage fault",
    603: "temperature fault: let the amplifier cool down",
    1005: "controller busy with referencing",
    1024: "motion error: position error too large",
    1090: "too many TCP clients",
}


class GcsError(InstrumentError):
    """A PI controller refused a command; `code` is the controller's error number."""

    def __init__(self, name: str, code: int, command: str) -> None:
        text = TEXTS.get(code, "see the controller's manual")
        super().__init__(f"{name}: error {code} ({text}) at {command!r}")
        self.code = code


class UnexpectedReplyError(InstrumentError):
    """What came back is not a reply to what was asked."""


class WrongControllerError(InstrumentError):
    """Another instrument than expected answers at this address."""
