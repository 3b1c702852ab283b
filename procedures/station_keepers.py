"""What is read from each instrument of a station and told to it by hand, one keeper per role.

A keeper is used by one thread at a time, which holds its `lock`. Limits are the driver's and the station
file's, the same as for runs: what is outside is refused before anything is sent.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..instruments.base import Device, InstrumentError, Limits, NotConnectedError
from ..instruments.photon_counter import PhotonCounter
from ..instruments.potentiostat import Hold, Potentiostat, PotentiostatRun
from ..instruments.pulsed_laser import LaserLock, PulsedLaser
from ..instruments.stage import AXES, Axis, MotionError, Position, Stage
from .drivers import SIMULATED, LaserTable
from .photon_procedure import counter_settings
from .station_snapshot import Number, RoleState

if TYPE_CHECKING:
    from .station_hold import StationHold

HOLD_S = Limits(1.0, 3600.0)
"""How long a potential may be held by hand."""
HOLD_INTERVAL_S = 0.1

D = TypeVar("D", bound=Device)


class Keeper(Generic[D]):
    """Keeps one instrument: connects it, reads it, does what a person asks for; the base of all roles."""

    urgent: tuple[str, ...] = ()
    """Verbs that wait for no other command: the driver allows them from any thread."""

    def __init__(self, role: str, device: D, hold: StationHold) -> None:
        self.role, self.device, self.hold = role, device, hold
        self.lock = threading.Lock()
        table = hold.rig.station.tables[role]
        self.state = RoleState(role, table.driver, simulated=table.connection == SIMULATED)

    @property
    def verbs(self) -> dict[str, Callable[..., Any]]:
        """What a person may ask for, by name."""
        return {"connect": self.connect, "disconnect": self.disconnect, "make_safe": self.make_safe}

    def connect(self) -> str:
        """Connect, prepare and identify the instrument; returns who answered."""
        try:
            identity = self.device.connect()
            self.prepare()
        except InstrumentError as error:
            self.state = replace(self.state, connected=False, error=str(error))
            raise
        simulated = self.state.simulated or identity.simulated
        text = str(replace(identity, simulated=False))
        self.state = replace(self.state, connected=True, identity=text, simulated=simulated, error="")
        return str(identity)

    def disconnect(self) -> None:
        """Make safe and disconnect the instrument."""
        self.state = replace(self.state, connected=False, words={}, numbers={}, curves={}, error="")
        self.device.disconnect()

    def make_safe(self) -> None:
        """Bring the instrument to its safe state."""
        self.device.make_safe()

    def refresh(self) -> None:
        """Read the instrument into `state`; what goes wrong becomes its error."""
        if not self.state.connected:
            return
        try:
            words, numbers = self.read()
        except InstrumentError as error:
            self.state = replace(self.state, error=str(error))
        else:
            self.state = replace(self.state, words=words, numbers=numbers, error="")

    # ---- what roles write ----

    def prepare(self) -> None:
        """Bring a freshly connected instrument to where it can be read."""
        self._settings = self.device.settings()

    def read(self) -> tuple[Mapping[str, str], Mapping[str, Number]]:
        """States and numbers, with cheap queries only; here those known since it was connected."""
        words = {key: value for key, value in self._settings.items() if isinstance(value, str)}
        numbers = {
            key: Number(key, float(value), "")
            for key, value in self._settings.items()
            if isinstance(value, int | float)
        }
        return words, numbers

    _settings: Mapping[str, object] = {}


class LaserKeeper(Keeper[PulsedLaser]):
    """The laser: locked until somebody unlocks it, which needs a counter that watches the detectors."""

    @property
    def verbs(self) -> dict[str, Callable[..., Any]]:
        """Lock, unlock, pulses."""
        return super().verbs | {"lock": self.make_safe, "unlock": self.unlock, "set_pulses": self.set_pulses}

    @property
    def _table(self) -> LaserTable:
        return self.hold.rig.laser_table

    def prepare(self) -> None:
        """Set rate and intensity as the station file says; the laser stays locked."""
        self.device.set_pulses(self._table.repetition_rate_hz, self._table.intensity)
        self.state = replace(self.state, choices={"repetition_rate_hz": self.device.repetition_rates_hz})

    def read(self) -> tuple[Mapping[str, str], Mapping[str, Number]]:
        """Lock, rate, intensity."""
        numbers = {
            "wavelength_nm": Number("wavelength", self._table.wavelength_nm, "nm"),
            "repetition_rate_hz": Number("repetition rate", self.device.repetition_rate_hz, "Hz"),
        }
        intensity = getattr(self.device, "intensity", None)
        if isinstance(intensity, float):
            numbers["intensity"] = Number("intensity", intensity, "", 0.0, 1.0)
        return {"lock": self.device.lock.value}, numbers

    @property
    def may_emit(self) -> bool:
        """Whether the laser was unlocked when it was read last."""
        return self.state.words.get("lock") == LaserLock.UNLOCKED.value

    def unlock(self) -> None:
        """Let the laser emit; raises InstrumentError without a counter that watches the rates."""
        if reason := self.hold.why_dark():
            raise InstrumentError(f"the laser stays locked: {reason}")
        self.hold.clear_alarm()
        self.device.unlock()

    def set_pulses(self, repetition_rate_hz: float, intensity: float) -> None:
        """Set repetition rate (Hz) and intensity (fraction, 0 to 1)."""
        self.device.set_pulses(repetition_rate_hz, intensity)


class CounterKeeper(Keeper[PhotonCounter]):
    """The photon counter: rates of its inputs and of the sync, on its meters."""

    read_at_s = -math.inf
    """When its rates were read last, on the rig's clock."""

    def prepare(self) -> None:
        """Set discriminators, delays and markers as runs do."""
        self.device.configure(counter_settings(self.hold.rig))

    def disconnect(self) -> None:
        """Lock the laser, then disconnect the counter."""
        self.hold.shut_off_if_lit("the counter was disconnected")
        super().disconnect()

    def read(self) -> tuple[Mapping[str, str], Mapping[str, Number]]:
        """Sync rate, count rates with their limit, warnings."""
        limit_hz = self.hold.rig.count_rate_limit_hz
        numbers = {"sync_rate_hz": Number("sync", self.device.sync_rate_hz, "Hz")}
        for channel, rate_hz in enumerate(self.device.count_rates_hz()):
            numbers[f"rate_{channel}_hz"] = Number(f"detector {channel}", rate_hz, "c/s", upper=limit_hz)
        self.read_at_s = self.hold.rig.clock.now()
        warnings = self.device.warnings()
        return ({"warning": " ".join(warnings)} if warnings else {}), numbers

    def too_bright(self) -> str:
        """The sentence of the first detector above its limit; empty when none is."""
        for number in self.state.numbers.values():
            if not number.within:
                return (
                    f"{number.name} counted {number.value:.3g} Hz, above its limit of {number.upper:.3g} Hz"
                )
        return ""


class PotentiostatKeeper(Keeper[Potentiostat]):
    """The potentiostat: a potential held for a while, or the cell off."""

    _run: PotentiostatRun | None = None
    _potential_v = math.nan
    _ends_s = math.nan
    _unsure = False

    @property
    def verbs(self) -> dict[str, Callable[..., Any]]:
        """Hold, cell off."""
        return super().verbs | {"hold": self.start_hold, "cell_off": self.make_safe}

    def prepare(self) -> None:
        """Nothing: the cell is off until a potential is held."""

    def start_hold(self, potential_v: float, hold_s: float = 600.0) -> None:
        """Hold a potential (V) for at most `hold_s` seconds, then the cell goes off.

        A hold that is going on is ended first. Raises OutOfRangeError before anything changes.
        """
        samples = round(HOLD_S.check(hold_s, f"{self.device.name}: hold_s") / HOLD_INTERVAL_S)
        program = [Hold(potential_v, samples * HOLD_INTERVAL_S, sample_interval_s=HOLD_INTERVAL_S)]
        self.device.check(program)
        self.make_safe()
        self._run = self.device.start(program)
        self._potential_v = potential_v
        self._ends_s = self.hold.rig.clock.now() + self._run.planned_s

    def make_safe(self) -> None:
        """Switch the cell off."""
        run, self._run = self._run, None
        self._unsure = True
        if run is not None:
            run.abort()
        self.device.make_safe()
        self._unsure = False

    def disconnect(self) -> None:
        """Switch the cell off and disconnect."""
        self._run, self._unsure = None, False
        super().disconnect()

    def read(self) -> tuple[Mapping[str, str], Mapping[str, Number]]:
        """Cell state, commanded potential and the time left."""
        run, lower_v, upper_v = self._run, *self.device.potential_limits_v
        potential_v = left_s = math.nan
        cell = "may be on" if self._unsure else "off"
        if run is not None and self._going_on(run):
            commanded_v = run.commanded_potential_v()
            potential_v = math.nan if commanded_v is None else commanded_v
            left_s = max(0.0, self._ends_s - self.hold.rig.clock.now())
            cell = f"on, {self._potential_v:+g} V" if commanded_v is not None else "starting"
        return {"cell": cell}, {
            "potential_v": Number("potential", potential_v, "V", lower_v, upper_v),
            "left_s": Number("left", left_s, "s"),
        }

    def _going_on(self, run: PotentiostatRun) -> bool:
        """Whether a hold is still going on; one that failed is ended, and the cell switched off."""
        try:
            if not run.done():
                return True
        except InstrumentError as error:
            self._run, self._unsure = None, True
            self.hold.submit(self.role, "cell_off", {})
            raise InstrumentError(f"the hold failed, the cell is being switched off: {error}") from error
        self._run = None
        return False


class StageKeeper(Keeper[Stage]):
    """The stage: where it is, go to a point, jog."""

    _target_um: tuple[float, ...] | None = None

    @property
    def verbs(self) -> dict[str, Callable[..., Any]]:
        """Go to, jog."""
        return super().verbs | {"move_to": self.move_to, "jog": self.jog, "stop": self.make_safe}

    def prepare(self) -> None:
        """Nothing: it holds where it is."""
        self._target_um = None

    def move_to(
        self, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> Position:
        """Go to a point and settle; axes that are not given stay. Raises OutOfRangeError before it moves."""
        wanted, here = (x_um, y_um, z_um), self._here_um()
        try:
            there = self.device.move_to(x_um=x_um, y_um=y_um, z_um=z_um)
        except MotionError:
            self._target_um = None
            raise
        self._target_um = tuple(old if um is None else um for um, old in zip(wanted, here, strict=True))
        return there

    def jog(self, axis: Axis, step_um: float) -> Position:
        """Go a step along an axis from where the stage was last sent, or from where it is."""
        if not self.state.connected:
            raise NotConnectedError(f"{self.device.name}: connect first")
        return self.move_to(**{f"{axis}_um": self._here_um()[AXES.index(axis)] + step_um})

    def make_safe(self) -> None:
        """Stop where it is."""
        self._target_um = None
        super().make_safe()

    def read(self) -> tuple[Mapping[str, str], Mapping[str, Number]]:
        """Position with its limits, and whether it has settled."""
        numbers = {
            f"{axis}_um": Number(axis, um, "um", *self.device.limits_um[axis])
            for axis, um in zip(AXES, self.device.position, strict=True)
        }
        return {"motion": "settled" if self.device.on_target else "moving"}, numbers

    def _here_um(self) -> tuple[float, ...]:
        return self._target_um or tuple(self.device.position)


KEEPERS: dict[str, type[Keeper[Any]]] = {
    "laser": LaserKeeper,
    "counter": CounterKeeper,
    "potentiostat": PotentiostatKeeper,
    "stage": StageKeeper,
}
"""Keepers by role; other roles have the plain one."""
