"""PDL 800-D: a laser driver without a remote interface, set by the operator and checked by the sync rate."""

from __future__ import annotations

from collections.abc import Callable

from ..base import Identity, InstrumentError, Limits, OutOfRangeError
from ..pulsed_laser import LaserLock, PulsedLaser

INTENSITY = Limits(0.0, 1.0)
SYNC_RATE_AGREEMENT = 0.01


class PDL800D(PulsedLaser):
    """A laser that the operator sets and switches at the front panel.

    `ask` shows a question to the operator and returns the answer; what was asked and answered is kept
    in `answers`. Whether the laser emits is what the operator said last.
    """

    manual = True
    repetition_rates_hz = (80e6, 40e6, 20e6, 10e6, 5e6, 2.5e6)
    """Internal rates; not confirmed from a vendor's page for the 800-D."""

    def __init__(self, ask: Callable[[str], str], *, name: str = "PDL 800-D") -> None:
        self.name = name
        self.answers: list[tuple[str, str]] = []
        self._ask = ask
        self._connected = False
        self._lock = LaserLock.UNLOCKED
        self._rate_hz = 0.0
        self._intensity = 0.0

    def connect(self) -> Identity:
        """Have the operator switch the laser off; raises InstrumentError without a confirmation."""
        if not self._connected:
            self._connected = True
            self.make_safe()
        return Identity("PicoQuant", "PDL 800-D", version="set by hand")

    def disconnect(self) -> None:
        """Have the operator switch the laser off, unless it is."""
        try:
            self.make_safe()
        finally:
            self._connected = False

    def make_safe(self) -> None:
        """Have the operator switch the laser off, unless the operator said that it is.

        Raises InstrumentError when nobody confirms; without a terminal that is at once.
        """
        if self._connected and self._lock is LaserLock.UNLOCKED:
            self._confirm(f"Switch the {self.name} OFF (key to 0)")
            self._lock = LaserLock.HARD

    def settings(self) -> dict[str, object]:
        """What the operator said, as a run file records it."""
        return {
            "identity": "PicoQuant PDL 800-D, set by hand",
            "repetition_rate_hz": self._rate_hz,
            "intensity": self._intensity,
            "operator": [list(pair) for pair in self.answers],
        }

    @property
    def repetition_rate_hz(self) -> float:
        """Get the pulse repetition rate in hertz that the operator confirmed (float)."""
        if not self._rate_hz:
            raise InstrumentError(f"{self.name}: nobody has set a repetition rate yet")
        return self._rate_hz

    def set_pulses(self, repetition_rate_hz: float, intensity: float) -> None:
        """Have the operator set repetition rate in hertz and intensity as a fraction (0 to 1) of the knob.

        Raises OutOfRangeError for a rate that the laser does not have, before anything is asked, and
        InstrumentError without a confirmation.
        """
        if repetition_rate_hz not in self.repetition_rates_hz:
            rates = ", ".join(f"{rate_hz:g}" for rate_hz in self.repetition_rates_hz)
            raise OutOfRangeError(f"repetition_rate_hz = {repetition_rate_hz!r} is none of {rates}")
        INTENSITY.check(intensity, "intensity")
        rate = f"{repetition_rate_hz / 1e6:g} MHz"
        self._confirm(f"Set the {self.name} to {rate} (internal) and its intensity to {100 * intensity:g} %")
        self._rate_hz, self._intensity = repetition_rate_hz, intensity

    @property
    def lock(self) -> LaserLock:
        """Get whether the laser is off, as the operator said last."""
        return self._lock

    def unlock(self) -> None:
        """Have the operator switch the laser on; raises InstrumentError without a confirmation."""
        self._lock = LaserLock.UNLOCKED  # from the question on it may be
        self._confirm(f"Switch the {self.name} ON")

    def check_sync_rate(self, measured_hz: float) -> None:
        """Compare with the rate that the counter measures; raises InstrumentError beyond 1 %."""
        stated_hz = self.repetition_rate_hz
        if not abs(measured_hz - stated_hz) < SYNC_RATE_AGREEMENT * stated_hz:
            raise InstrumentError(
                f"{self.name} should run at {stated_hz:g} Hz, but the counter measures {measured_hz:g} Hz: "
                "check the rate switch and the sync cable"
            )

    def _confirm(self, request: str) -> None:
        """Ask for something to be done at the front panel; anything but a yes is a refusal."""
        question = f"{request}. Done? [yes/no] "
        try:
            answer = self._ask(question).strip()
        except EOFError:
            answer = ""
        self.answers.append((question, answer))
        if answer.lower() not in ("y", "yes"):
            raise InstrumentError(f"nobody confirmed: {request}")
