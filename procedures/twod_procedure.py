"""What every scan of maps shares, however it detects: t1 and its phases, t2, blocks and live maps."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.detection import Block, Detection
from ..analysis.twodes.phase_cycling import Scheme, scheme
from ..analysis.twodes.scan import ScanPlan, TwoDScanData
from ..analysis.twodes.spectra import Maps, RotatingFrame
from ..analysis.twodes.units import FS_PER_CM
from ..formats.nexus_data import nexus_entry
from ..instruments.pulse_shaper import PulseTrain
from .coherence_procedure import ShapedProcedure, check_band, check_t2_step
from .errors import RefusedError
from .parameters import choice, count, exact_float
from .rig import Rig
from .spectra import maps_as_gridded


class TwoDProcedure(ShapedProcedure, ABC):
    """Maps over t1 and t3 at each t2; subclasses write `preflight`, `begin_detection` and `measure_t2`."""

    pausable = True
    DATA_COLUMNS: ClassVar[list[str]] = ["t2 (fs)", "Measured t2 (fs)", "Signal"]

    t1_step_fs: float = exact_float("t1 step", units="fs", default=7.0, minimum=0.01, maximum=1e3)
    t1_points: int = count("t1 points", default=30, minimum=2, maximum=10_000)
    t2_start_fs: float = exact_float("First t2", units="fs", default=0.0, minimum=-1e6, maximum=1e7)
    t2_step_fs: float = exact_float("t2 step", units="fs", default=8.0, minimum=0.01, maximum=1e6)
    t2_points: int = count("t2 points", default=120, minimum=1, maximum=100_000)
    cycling: str = choice(
        "Phase cycling", "3x3x1", "4x4x1", "5x5x1", "pump-probe-4", "pump-probe-3", "pump-probe-2"
    )
    order: str = choice("Order of t1", "snake", "ascending", "random")
    lowest_cm: float = exact_float("Band from", units="1/cm", default=16200.0, minimum=1000.0, maximum=1e5)
    highest_cm: float = exact_float("Band to", units="1/cm", default=20200.0, minimum=1000.0, maximum=1e5)
    fastest_beat_cm: float = exact_float(
        "Fastest beat", units="1/cm", default=2000.0, minimum=1.0, maximum=1e5
    )
    allow_aliasing: int = count("Allow aliasing (0 or 1)", default=0, minimum=0, maximum=1)

    def __init__(self, **parameters: Any) -> None:
        self._lock = threading.Lock()
        super().__init__(**parameters)

    def t1_fs(self) -> NDArray[np.floating]:
        """Delays between pulses 1 and 2."""
        return self.t1_step_fs * np.arange(self.t1_points)

    def t2_fs(self) -> NDArray[np.floating]:
        """Delays between pulses 2 and 3."""
        return self.t2_start_fs + self.t2_step_fs * np.arange(self.t2_points)

    def scheme(self) -> Scheme:
        """The phase cycle."""
        return scheme(self.cycling)

    @property
    def band_cm(self) -> tuple[float, float]:
        """Where maps are made."""
        return self.lowest_cm, self.highest_cm

    def check_scan(self, rig: Rig) -> None:
        """Check band, steps of t1 and t2, travel and window; raises RefusedError or OutOfRangeError."""
        check_band(self.lowest_cm, self.highest_cm)
        if not self.allow_aliasing:
            self.check_sampling()
        first, last = float(self.t2_fs()[0]), float(self.t2_fs()[-1])
        self.trains(rig).check(float(self.t1_fs()[-1]), (first, last))

    def check_sampling(self) -> None:
        """Raise RefusedError where a step folds a frequency of the band onto another."""
        band_cm = self.highest_cm - self.lowest_cm
        widest_fs = FS_PER_CM / band_cm
        if self.t1_step_fs > widest_fs:
            raise RefusedError(
                f"t1_step_fs = {self.t1_step_fs:g} folds a band of {band_cm:.0f} cm-1 onto itself; take "
                f"{widest_fs:.3g} fs or less, a narrower band, or allow_aliasing = 1"
            )
        if self.t2_points > 1:
            check_t2_step(self.t2_step_fs, self.fastest_beat_cm)

    def perform(self) -> None:
        """Block by block: go to t2 and measure."""
        detection = self.begin_detection()
        frame = RotatingFrame(self.rotating_frame, self.carrier_cm)
        plan = ScanPlan(self.t1_fs(), self.scheme(), frame, detection, self.band_cm)
        with self._lock:
            self._scan = TwoDScanData(plan)
        trains = self.trains(self.rig)
        for number, t2_fs in enumerate(self.t2_fs().tolist()):
            self.checkpoint()
            measured_fs = trains.move_to(t2_fs)
            self.measure_t2(number, {"t2_fs": t2_fs, "measured_t2_fs": measured_fs})
        self._keep_maps()

    # ---- what subclasses write ----

    @abstractmethod
    def begin_detection(self) -> Detection:
        """Set the detector up, and write into the header what the analysis has to know of it."""

    @abstractmethod
    def measure_t2(self, number: int, place: dict[str, float]) -> None:
        """Measure at the t2 of this number, and `keep` what was measured at this place as it comes."""

    def settings(self, number: int) -> Iterator[tuple[int, int, PulseTrain]]:
        """Every t1 and phase step in the chosen order: their indices, and the pulses."""
        order, t2_fs, trains = np.arange(self.t1_points), float(self.t2_fs()[number]), self.trains(self.rig)
        if self.order == "random":
            order = np.random.default_rng(number).permutation(order)
        elif self.order == "snake" and number % 2:
            order = order[::-1]
        for i in order.tolist():
            for j, phases in enumerate(self.scheme().phases_rad):
                yield i, j, trains.train(float(self.t1_fs()[i]), t2_fs, phases)

    def keep(self, name: str, stored: Mapping[str, Any], block: Block, **columns: float) -> None:
        """Store a piece of the measurement, and show the block at its t2 as far as it goes."""
        self.record.add_group(name, stored)
        with self._lock:
            assert self._scan is not None
            self._scan.add(block)
            self.pieces += 1
        self.emit_row(
            {
                "t2 (fs)": block.t2_fs,
                "Measured t2 (fs)": stored["measured_t2_fs"],
                "Signal": float(np.std(block.counts, axis=1).mean()),
                **columns,
            }
        )

    # ---- live ----

    def live_maps(self) -> Maps | None:
        """Maps of the last t2 so far, from any thread; None before the first."""
        with self._lock:
            return self._scan.maps(last=1) if self._scan and len(self._scan) else None

    def live_series(self) -> Maps | None:
        """Maps of all t2 so far, from any thread; None before the first."""
        with self._lock:
            return self._scan.maps() if self._scan and len(self._scan) else None

    pieces = 0
    """How much of the scan `live_maps` knows: more whenever it has changed."""
    _scan: TwoDScanData | None = None

    # ---- inside ----

    def _keep_maps(self) -> None:
        """Store the maps as NXdata, for viewers that open the run file as it is."""
        maps = self.live_series()
        assert maps is not None
        self.record.add_group("maps", nexus_entry(maps_as_gridded(maps)))
