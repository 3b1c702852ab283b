"""2DES: scan t1 with the shaper and t2 with the delay stage, t3 by the spectrometer, with phase cycling."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..analysis.twodes.phase_cycling import Scheme, scheme
from ..analysis.twodes.scan import Block, ScanPlan, TwoDScanData
from ..analysis.twodes.spectra import Maps, RotatingFrame
from ..analysis.twodes.units import FS_PER_CM
from ..formats.nexus_data import nexus_entry
from ..instruments.pulse_shaper import BLANK
from .coherence_procedure import MOVE_S, CoherenceProcedure, check_band, check_t2_step
from .errors import RefusedError
from .parameters import choice, count, exact_float
from .rig import Rig
from .rig_procedure import Plan
from .spectra import maps_as_gridded

PHASE = "2D scan"


class TwoDScan(CoherenceProcedure):
    """Two-dimensional spectra over t1 and t3 at each t2."""

    kind = "twod_scan"
    pausable = True
    DATA_COLUMNS: ClassVar[list[str]] = ["t2 (fs)", "Measured t2 (fs)", "Signal", "LO counts"]

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

    def preflight(self, rig: Rig) -> Plan:
        """Check band, steps and travel; raises RefusedError or OutOfRangeError."""
        self._check_sampling()
        for t2 in (self.t2_fs()[0], self.t2_fs()[-1]):
            rig.delay.check(float(t2))
        for t1 in (0.0, float(self.t1_fs()[-1])):
            rig.shaper.check(self.pair(t1))
        settings = self.t1_points * self.scheme().steps
        return self.frames_plan(
            rig,
            self.t2_points * (settings + 1),
            self.t2_points * MOVE_S,
            f"{self.t2_points} t2 of {self.t1_points} t1 x {self.scheme().steps} phases, "
            f"t1 to {self.t1_fs()[-1]:g} fs, t2 {self.t2_fs()[0]:g} to {self.t2_fs()[-1]:g} fs",
        )

    def perform(self) -> None:
        """Block by block: move to t2, measure the local oscillator, then every t1 and phase."""
        self.set_up()
        self._prepare_scan()
        phases = self.scheme().phases_rad
        for number, t2 in enumerate(self.t2_fs()):
            self.checkpoint()
            measured_fs = self.rig.delay.move_to(float(t2))
            if number == 0:
                self.check_light(self._pixels, PHASE)
            lo = self.spectrum(BLANK, PHASE)[self._pixels].astype(np.float32)
            counts = np.empty((self.t1_points, len(phases), len(lo)), np.float32)
            times = np.empty(counts.shape[:2])
            for i in self._t1_order(number):
                for j, phase in enumerate(phases):
                    train = self.pair(float(self.t1_fs()[i]), phase)
                    counts[i, j] = self.spectrum(train, PHASE)[self._pixels]
                    times[i, j] = self.rig.clock.now()
            self._keep(float(t2), measured_fs, lo, counts, times)
        self._keep_maps()

    # ---- live ----

    def live_maps(self) -> Maps | None:
        """Maps of the last t2 so far, from any thread; None before the first."""
        with self._lock:
            return self._scan.maps(last=1) if self._scan and len(self._scan) else None

    def live_series(self) -> Maps | None:
        """Maps of all t2 so far, from any thread; None before the first."""
        with self._lock:
            return self._scan.maps() if self._scan and len(self._scan) else None

    _scan: TwoDScanData | None = None

    # ---- inside ----

    def _check_sampling(self) -> None:
        check_band(self.lowest_cm, self.highest_cm)
        if self.allow_aliasing:
            return
        band_cm = self.highest_cm - self.lowest_cm
        widest_fs = FS_PER_CM / band_cm
        if self.t1_step_fs > widest_fs:
            raise RefusedError(
                f"t1_step_fs = {self.t1_step_fs:g} folds a band of {band_cm:.0f} cm-1 onto itself; take "
                f"{widest_fs:.3g} fs or less, a narrower band, or allow_aliasing = 1"
            )
        if self.t2_points > 1:
            check_t2_step(self.t2_step_fs, self.fastest_beat_cm)

    def _prepare_scan(self) -> None:
        """Which pixels are kept, and what all blocks share."""
        margin_cm = 0.15 * (self.highest_cm - self.lowest_cm)
        self._pixels = self.keep_band(self.lowest_cm, self.highest_cm, margin_cm)
        plan = ScanPlan(
            t1_fs=self.t1_fs(),
            scheme=self.scheme(),
            frame=RotatingFrame(self.rotating_frame, self.carrier_cm),
            pixel_cm=1e7 / self.rig.detector.wavelength_nm[self._pixels],
            lo_lead_fs=self.rig.interferometer.lo_lead_fs,
            band_cm=(self.lowest_cm, self.highest_cm),
        )
        with self._lock:
            self._scan = TwoDScanData(plan)

    def _keep_maps(self) -> None:
        """Store the maps as NXdata, for viewers that open the run file as it is."""
        maps = self.live_series()
        assert maps is not None
        self.record.add_group("maps", nexus_entry(maps_as_gridded(maps)))

    def _t1_order(self, number: int) -> Iterator[int]:
        order = np.arange(self.t1_points)
        if self.order == "random":
            order = np.random.default_rng(number).permutation(order)
        elif self.order == "snake" and number % 2:
            order = order[::-1]
        yield from order.tolist()

    def _keep(
        self,
        t2_fs: float,
        measured_fs: float,
        lo: NDArray[np.floating],
        counts: NDArray[np.float32],
        times: NDArray[np.floating],
    ) -> None:
        self.record.add_group(
            "block",
            {
                "t2_fs": t2_fs,
                "measured_t2_fs": measured_fs,
                "counts": counts,
                "lo_counts": lo,
                "time_s": times,
            },
        )
        with self._lock:
            assert self._scan is not None
            self._scan.add(Block(t2_fs, counts, lo))
        spread = float(np.std(counts, axis=1).mean())
        self.emit_row(
            {
                "t2 (fs)": t2_fs,
                "Measured t2 (fs)": measured_fs,
                "Signal": spread,
                "LO counts": float(lo.mean()),
            }
        )
