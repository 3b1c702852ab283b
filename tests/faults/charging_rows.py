"""The fault matrix of the charging rig: whole runs, as `qdlab run` does them."""

from __future__ import annotations

from .row import Row

SAFE = "laser locked, cell off, stage stopped"
SCANS_ON = "laser locked, cell off, STAGE MOVES"
MACRO = "files of the program"
IMAGE = "lines of a scan; image"


def failed(
    fault: str, says: str, data: str = "", photons_s: float | None = None, exit_status: int = 1
) -> Row:
    """A voltammetry that fails with the rig safe."""
    return Row(fault, "voltammetry", "failed", exit_status, says, SAFE, data, photons_s)


def warned(fault: str, says: str) -> Row:
    """A voltammetry that ends as planned, with a warning."""
    whole = "Hold: 20 rows; CyclicVoltammetry: 4000 rows"
    return Row(fault, "voltammetry", "finished", 0, says, SAFE, whole, 11.0)


def refused(fault: str, says: str) -> Row:
    """A scan that fails before it has begun."""
    return Row(fault, "scan", "failed", 1, says, SAFE)


_PRESS = "; potentiostat: press the cell switch of the CHI 760C: its cell may still be on ..."
_BROKE = "...: the connection broke; check cable and power, then connect again"
_UNSURE = f"{_BROKE}; stage: PI E-545: a scan may still be running: {_BROKE}"
_HELD = (
    "...: the connection was closed before a single reply, so another program probably holds the controller, "
    "which takes one client; close that program"
)
_TOUCHES = "PI E-545: in line ... of a scan axis x went from ...: see whether something touches the stage"


CHARGING = (
    # ---- the potentiostat's program ----
    failed(
        "chi_never_starts",
        "the CHI program ended after ... s although its runs need 6.0 s; 0 of 2 results are there" + _PRESS,
        MACRO,
        1.0,
    ),
    failed(
        "chi_port_locked",
        "the CHI program shows a window and waits: 'Error: Can not open com port'; switch the instrument on, "
        "check its cable and COM port, and start again" + _PRESS,
        MACRO,
        4.0,
    ),
    failed(
        "chi_link_failed",
        "the CHI program shows a window and waits: 'Error: Link failed'; switch the instrument on, check its "
        "cable and COM port, and start again" + _PRESS,
        MACRO,
        4.0,
    ),
    failed(
        "chi_dialog_on_start",
        "the CHI program shows a window and waits: 'Warning: Reference or counter electrode not connected. "
        "Continue?'; answer or remove its cause in the program, then start again" + _PRESS,
        MACRO,
        4.0,
    ),
    failed(
        "chi_dialog_on_save",
        "the CHI program shows a window and waits: 'Warning: Can not write file ...r001.txt'; answer or "
        "remove its cause in the program, then start again",
        MACRO,
        6.0,
    ),
    failed(
        "chi_link_lost_in_run",
        "the CHI program shows a window and waits: 'Error: Link failed'; switch the instrument on, check its "
        "cable and COM port, and start again" + _PRESS,
        MACRO,
        5.0,
    ),
    failed(
        "chi_crash_in_run",
        "the CHI program ended after ... s although its runs need 6.0 s; 0 of 2 results are there",
        MACRO,
        5.0,
    ),
    failed(
        "chi_hang",
        "the CHI program has not ended after 59 s, 0 of 2 results are there; look at its window and at the "
        "instrument" + _PRESS,
        MACRO,
        59.0,
    ),
    failed(
        "chi_truncated_result",
        "i-t r001: stopped or cut after 6 of 20 rows",
        f"Hold: 6 rows, partial; CyclicVoltammetry: 2349 rows, partial; {MACRO}",
        9.0,
    ),
    failed(
        "chi_missing_result",
        "the CHI program ended but left no r001.txt, r002.txt in ...chi0001",
        MACRO,
        9.0,
    ),
    failed(
        "chi_stopped_early",
        "i-t r001: stopped or cut after 12 of 20 rows",
        f"Hold: 12 rows, partial; CyclicVoltammetry: 2400 rows, partial; {MACRO}",
        7.0,
    ),
    failed(
        "chi_wrong_technique",
        "r001.txt: the technique is 'Cyclic Voltammetry', not 'Amperometric i-t Curve'",
        f"Hold: 1000 rows, partial; CyclicVoltammetry: 4000 rows, partial; {MACRO}",
        9.0,
    ),
    warned(
        "chi_overload",
        "potentiostat: 7 of 20 points are clipped at the range of 1e-05 A/V; take 0.0001 A/V next; "
        "potentiostat: 1333 of 4000 points are clipped at the range of 1e-05 A/V; take 0.0001 A/V next",
    ),
    warned(
        "chi_wrong_polarity",
        "potentiostat: the charging current has the wrong sign for current polarity 'anodic_positive': "
        "compare Setup > System > Current Polarity of the CHI program with the station file",
    ),
    # ---- the photon counter ----
    failed(
        "th260_fifo_overrun",
        "TimeHarp 260: FiFo overrun: the count rate is higher than the computer can read; attenuate the "
        "light; the laser was locked",
        MACRO,
        0.99,
        exit_status=3,
    ),
    failed(
        "th260_sync_lost",
        "TimeHarp 260: sync lost: check that the laser runs and that its trigger output is connected; the "
        "laser was locked",
        MACRO,
        0.99,
        exit_status=3,
    ),
    failed(
        "th260_hardware_error",
        "TimeHarp 260: hardware error: the board raised SYSTEM_ERROR; the board says: ...",
        MACRO,
        0.99,
    ),
    failed("th260_dll_error", "TimeHarp 260: TH260_ReadFiFo failed: DMA_FAIL (-24)...", MACRO, 0.99),
    failed(
        "th260_start_fails",
        "TH260_StartMeas failed: STATUS_FAIL (-48); close the program and power the computer off and on; "
        "the board says: ...",
        "",
        0.0,
    ),
    failed(
        "th260_open_fails", "no board could be opened: check that it is seated and its driver is installed"
    ),
    failed(
        "th260_busy",
        "no board could be opened; TH260_OpenDevice failed: DEVICE_LOCKED (-11); another program may hold "
        "the board: close it",
    ),
    failed(
        "th260_no_photons",
        "not one photon in 2 s, not even a dark count: check that the detectors are on, connected and open",
        MACRO,
        2.0,
    ),
    failed(
        "th260_record_storm",
        "detector 0 counted ... Hz, above its limit of 5e+06 Hz; the laser was locked: reduce its intensity",
        MACRO,
        1.0,
        exit_status=3,
    ),
    warned(
        "th260_events_dropped",
        "the counter dropped events: the rate was too high for it at some time; attenuate the light",
    ),
    # ---- the laser driver ----
    failed("sepia_not_found", "PDL 828: no frame could be opened: is it on and plugged in?"),
    failed("sepia_busy", "PDL 828: no frame could be opened: ...LIB: USB device busy or blocked (-9004)"),
    failed(
        "sepia_firmware_error",
        "PDL 828: ...start-up failed: FW: CRC of module data wrong (-1004), slot 200, ...; switch it off "
        "and on again",
    ),
    failed("sepia_no_head", "PDL 828: no laser head on the SLM 828 in slot 200"),
    failed("sepia_soft_lock_refused", "PDL 828: SEPIA2_SCM_SetLaserSoftLock failed: ... (-9910)"),
    failed("sepia_hard_locked", "PDL 828 stays locked: check its key, interlock and power"),
    failed(
        "sepia_usb_gone",
        "PDL 828: SEPIA2_SCM_SetLaserSoftLock failed: LIB: unknown USB handle (-9006); laser: PDL 828 may "
        "still emit, turn its key to off: ...",
    ),
    failed(
        "sepia_wrong_rate",
        "the counter sees a sync rate of 1.25e+06 Hz, but the laser is set to 2.5e+06 Hz: check the sync "
        "cable and the laser's settings",
    ),
    # ---- the piezo stage ----
    refused(
        "e545_not_found",
        "PI E-545: no GCS controller answers at ...; check power, cable and baud rate",
    ),
    refused(
        "e545_wrong_controller",
        "PI E-545: '...C-863.12...' answers at ..., not a E-517 or E-518 or E-545; check the address",
    ),
    refused("e545_held_elsewhere", _HELD),
    refused("e545_stays_offline", "PI E-545: axis x stays offline; set the front panel to remote control"),
    refused("e545_servo_off", "PI E-545: axis x: the servo stays off; set the SERVO switch at the front ..."),
    refused(
        "e545_not_referenced",
        "PI E-545: 'MOV ...' was refused although the servo is on: axis ... is not referenced; reference or "
        "autozero it",
    ),
    refused("e545_garbage", "PI E-545: POS? was answered with garbage: ..."),
    refused("e545_half_reply", "PI E-545: the end of 'B=', the reply to 'ONT?', is lost"),
    refused(
        "e545_other_reply",
        "PI E-545: says that it has settled, but that ... is at ... um instead of ... um: the line is "
        "disturbed, or something touches the stage",
    ),
    Row("e545_axis_stuck", "scan", "failed", 1, _TOUCHES, SAFE, IMAGE, 1.0),
    Row("e545_servo_trips", "scan", "failed", 1, _TOUCHES, SAFE, IMAGE, 1.0),
    Row("e545_link_dropped", "scan", "failed", 1, _UNSURE, SCANS_ON, "image", 0.5),
    Row("e545_link_back", "scan", "failed", 1, _BROKE, SAFE, "image", 0.5),
    Row("e545_late_reply", "scan", "finished", 0, "", SAFE, IMAGE, 3.0),
)
