"""The fault matrix of the 2DES instruments: each driver by itself, on its emulator."""

from __future__ import annotations

from .row import Row

STOPPED = "carriage stopped"
STILL = "nothing of it moves"
DARK = "pump dark"


def driver(fault: str, run: str, ended: str, says: str, data: str, rig: str = STOPPED) -> Row:
    """A driver of 2DES by itself."""
    return Row(fault, run, ended, None if ended == "no error" else 1, says, rig, data)


_BROKE = "...: the connection broke; check cable and power, then connect again"
_HELD = (
    "...: the connection was closed before a single reply, so another program probably holds the controller, "
    "which takes one client; close that program"
)

COHERENCE = (
    # ---- delay stages ----
    driver("esp_not_found", "ESP30x stage", "ReplyTimeoutError", "...: no reply within 3 s", "0 of 5 delays"),
    driver(
        "esp_wrong_controller",
        "ESP30x stage",
        "WrongControllerError",
        "Newport ESP30x: 'ESP999 Version 1.0' answers, not an ESP300 or ESP301; check the address",
        "0 of 5 delays",
    ),
    driver("esp_held_elsewhere", "ESP30x stage", "LinkHeldError", _HELD, "0 of 5 delays"),
    driver("esp_link_dropped", "ESP30x stage", "LinkDroppedError", _BROKE, "0 of 5 delays", "CARRIAGE MOVES"),
    driver("esp_link_back", "ESP30x stage", "LinkDroppedError", _BROKE, "0 of 5 delays"),
    driver(
        "esp_garbage",
        "ESP30x stage",
        "UnexpectedReplyError",
        "'?!;.1' came where a number was expected: the line is disturbed",
        "0 of 5 delays",
    ),
    driver("esp_late_reply", "ESP30x stage", "no error", "", "5 of 5 delays"),
    driver(
        "esp_half_reply", "ESP30x stage", "ReplyTimeoutError", "...: no reply within 3 s", "0 of 5 delays"
    ),
    driver("esp_other_reply", "ESP30x stage", "no error", "", "5 of 5 delays"),
    driver(
        "esp_stuck",
        "ESP30x stage",
        "NotOnTargetError",
        "Newport ESP30x: not settled within 10 s, at ... mm instead of ... mm; see whether something blocks "
        "the carriage",
        "0 of 5 delays",
    ),
    driver(
        "esp_motor_off",
        "ESP30x stage",
        "InstrumentError",
        "Newport ESP30x: the motor of axis 1 stays off; see the controller's front panel",
        "0 of 5 delays",
    ),
    driver(
        "esp_homing_fails",
        "ESP30x stage",
        "NotReferencedError",
        "Newport ESP30x: homing at the home switch did not succeed (errors [120]); see whether the carriage "
        "is blocked, and whether the stage has that switch",
        "0 of 5 delays",
    ),
    driver(
        "esp_in_inches",
        "ESP30x stage",
        "InstrumentError",
        "Newport ESP30x: axis 1 counts in inches; set it to millimetres (SN2)",
        "0 of 5 delays",
    ),
    driver(
        "pi_linear_not_found",
        "PI linear stage",
        "InstrumentError",
        "PI linear stage: no GCS controller answers at ...; check power, cable and baud rate",
        "0 of 5 delays",
    ),
    driver(
        "pi_linear_wrong_controller",
        "PI linear stage",
        "WrongControllerError",
        "PI linear stage: '...E-517...' answers at ..., not a ...; check the address",
        "0 of 5 delays",
    ),
    driver("pi_linear_held_elsewhere", "PI linear stage", "LinkHeldError", _HELD, "0 of 5 delays"),
    driver(
        "pi_linear_link_dropped",
        "PI linear stage",
        "LinkDroppedError",
        _BROKE,
        "0 of 5 delays",
        "CARRIAGE MOVES",
    ),
    driver("pi_linear_link_back", "PI linear stage", "LinkDroppedError", _BROKE, "0 of 5 delays"),
    driver(
        "pi_linear_garbage",
        "PI linear stage",
        "UnexpectedReplyError",
        "'?!;.1' came where a number was expected: the line is disturbed",
        "0 of 5 delays",
    ),
    driver("pi_linear_late_reply", "PI linear stage", "no error", "", "5 of 5 delays"),
    driver(
        "pi_linear_half_reply",
        "PI linear stage",
        "UnexpectedReplyError",
        "PI linear stage: the end of ..., the reply to '#7', is lost",
        "0 of 5 delays",
    ),
    driver("pi_linear_other_reply", "PI linear stage", "no error", "", "5 of 5 delays"),
    driver(
        "pi_linear_stuck",
        "PI linear stage",
        "NotOnTargetError",
        "PI linear stage: not settled within 10 s, at ... mm instead of ... mm; see whether something blocks "
        "the carriage",
        "0 of 5 delays",
    ),
    driver(
        "pi_linear_servo_off",
        "PI linear stage",
        "ServoOffError",
        "PI linear stage: the servo stays off; see whether the stage is plugged in",
        "0 of 5 delays",
    ),
    driver(
        "pi_linear_servo_trips",
        "PI linear stage",
        "ServoOffError",
        "PI linear stage: the servo of axis 1 is off, so 'MOV 1 ...' was refused; switch it on, and check "
        "the SERVO switch at the front",
        "0 of 5 delays",
    ),
    driver(
        "pi_linear_no_switch",
        "PI linear stage",
        "GcsError",
        "PI linear stage: error 31 (no reference switch) at 'FRF 1'",
        "0 of 5 delays",
    ),
    driver(
        "pi_linear_reference_fails",
        "PI linear stage",
        "NotReferencedError",
        "PI linear stage: referencing at the reference switch did not succeed; see whether the carriage is "
        "blocked, and whether the stage has that switch",
        "0 of 5 delays",
    ),
    # ---- the spectrometer ----
    driver(
        "obp_not_found",
        "spectrometer",
        "LinkError",
        "Ocean Optics spectrometer: no HDX answers at ...; check address, cable, power, and that no other "
        "program holds it",
        "0 of 20 spectra",
        STILL,
    ),
    driver("obp_saturated", "spectrometer", "no error", "", "20 of 20 spectra, 20 saturated", STILL),
    driver("obp_link_dropped", "spectrometer", "no error", "", "20 of 20 spectra", STILL),
    driver("obp_wrong_checksum", "spectrometer", "no error", "", "20 of 20 spectra", STILL),
    driver("obp_late_reply", "spectrometer", "no error", "", "20 of 20 spectra", STILL),
    driver(
        "obp_no_answer",
        "spectrometer",
        "ReplyTimeoutError",
        "Ocean Optics spectrometer: no reply to an exchange within 2 s",
        "9 of 20 spectra",
        STILL,
    ),
    driver(
        "obp_refuses",
        "spectrometer",
        "SpectrometerError",
        "Ocean Optics spectrometer: refused: Device not ready for given message type",
        "0 of 20 spectra",
        STILL,
    ),
    # ---- the lock-in ----
    driver(
        "sr830_not_found",
        "lock-in",
        "ReplyTimeoutError",
        "...: no reply within 1 s",
        "0 of 5 readings",
        STILL,
    ),
    driver(
        "sr830_overload",
        "lock-in",
        "InstrumentError",
        "SR830: overloaded (...INPUT_OVERLOAD...); choose a larger sensitivity",
        "0 of 5 readings",
        STILL,
    ),
    driver(
        "sr830_reference_lost",
        "lock-in",
        "InstrumentError",
        "SR830: the reference is lost; check the chopper and its cable",
        "0 of 5 readings",
        STILL,
    ),
    driver(
        "sr830_garbage",
        "lock-in",
        "InstrumentError",
        "SR830: ... came where X and Y were expected",
        "0 of 5 readings",
        STILL,
    ),
    # ---- the shapers ----
    driver(
        "lcos_screen_missing",
        "LCOS shaper",
        "InstrumentError",
        "there is no screen 'emulated'; found: 'built-in'",
        "asked 0, -150 fs; came nothing",
        DARK,
    ),
    driver(
        "lcos_screen_scaled",
        "LCOS shaper",
        "InstrumentError",
        "LCOS shaper: screen emulated is scaled by 1.5; set its scaling to 100 % in the system's display "
        "settings",
        "asked 0, -150 fs; came nothing",
        DARK,
    ),
    driver("lcos_frame_not_shown", "LCOS shaper", "no error", "", "asked 0, -150 fs; came nothing", DARK),
    driver("lcos_half_frame", "LCOS shaper", "no error", "", "asked 0, -150 fs; came 0, -150 fs", DARK),
    driver(
        "lcos_slow_settle", "LCOS shaper", "no error", "", "asked 0, -150 fs; came 0, -100, -150 fs", DARK
    ),
    driver(
        "lcos_phase_reversed",
        "LCOS shaper",
        "no error",
        "",
        "asked 0, -150 fs; came no train of pulses",
        DARK,
    ),
    driver(
        "dazzler_not_running",
        "Dazzler",
        "InstrumentError",
        "Dazzler: the Dazzler program did not take ...request.txt within 3 s: is it running, and is this its "
        "default directory?",
        "asked 0, -150 fs; came nothing",
        DARK,
    ),
    driver("dazzler_deaf", "Dazzler", "no error", "", "asked 0, -150 fs; came nothing", DARK),
    driver("dazzler_skips_phase", "Dazzler", "no error", "", "asked 0, -150 fs; came 150, 0, -150 fs", DARK),
    # ---- light on the table of 2DES, which no driver sees ----
    driver(
        "lo_blocked",
        "light on the table",
        "no error",
        "",
        "local oscillator x 0.0, scatter x 162.4, drift x 1.0, probe +0.0 fs",
        STILL,
    ),
    driver(
        "pump_scatters",
        "light on the table",
        "no error",
        "",
        "local oscillator x 1.0, scatter x 8.2, drift x 1.0, probe +0.0 fs",
        STILL,
    ),
    driver(
        "laser_drifts",
        "light on the table",
        "no error",
        "",
        "local oscillator x 1.0, scatter x 2.3, drift x 6.2, probe +0.0 fs",
        STILL,
    ),
    driver(
        "t2_zero_shifted",
        "light on the table",
        "no error",
        "",
        "local oscillator x 1.0, scatter x 1.0, drift x 1.0, probe -12.3 fs",
        STILL,
    ),
)
