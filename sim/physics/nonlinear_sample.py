"""A sample in four-wave mixing: the field that any train of pump pulses and a probe pulse make in it.

The signal is bilinear in the pump pulses and linear in the probe. Every pair of pump pulses counts, also a
pulse with itself (the pump-probe background), and every order in time: R when the pulse that acts conjugated
comes first, N when it is second, Q when it is last. Pulses are taken as shorter than the delays.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._response_interpolate import TAPS, add_terms, list_terms, tap_table
from .dimer_ensemble import RAD_PER_FS, Ensemble, quasi_homodimers
from .dimer_truth import dephasing_truth
from .exact_response import ExactResponse
from .phonons import Phonons
from .pulses import Pulse
from .reference_response import Conditions
from .response_cubes import STEP3_FS, Reach, cached_cubes, t3_axis_fs

SAMPLES = {"dimers_3.0_9": (3.0, 0.09), "dimers_2.8_5": (2.8, 0.05), "dimers_2.8_9": (2.8, 0.09)}
"""Mean diameter (nm) and relative standard deviation of the ensembles by name."""
LEAST = 1e-4
"""Pairs of pulses below this share of the strongest pair are left out."""
FARTHEST = Reach(1000.0, 5000.0)
"""No cube is made for longer delays, fs."""

Complex = NDArray[np.complex128]
Setting = tuple[Sequence[Pulse], Pulse]


class NonlinearSample:
    """An ensemble of dimers and its third-order response.

    The responses are computed once for delays within `reach`, or read from the cache in `cache_dir` (the
    user's cache by default); a longer delay makes them anew, up to `FARTHEST`. Fields are scaled so that
    R at t1 = t2 = 0 with pulses of amplitude 1 has the maximum 1 in modulus.
    """

    def __init__(
        self,
        name: str,
        ensemble: Ensemble,
        conditions: Conditions | None = None,
        *,
        reach: Reach | None = None,
        cache_dir: Path | None = None,
    ):
        self.name, self.ensemble = name, ensemble
        self.conditions = conditions or Conditions()
        self._cache_dir = cache_dir
        self._table = tap_table()
        self._pixels: tuple[bytes, NDArray[np.complex64]] | None = None
        self._scale = 1.0
        self._load(reach or Reach())
        around = self.conditions.frame_cm + np.arange(-3000.0, 3001.0, 10.0)
        zero = self._cubes.rephasing[TAPS // 2 - 1, TAPS // 2 - 1].view(np.complex64)
        self._scale = 1 / float(np.abs(zero @ self._spectrum_of(around)).max())

    @classmethod
    def named(
        cls,
        name: str,
        *,
        dimers: int = 4000,
        seed: int,
        phonons: bool = False,
        reach: Reach | None = None,
        cache_dir: Path | None = None,
    ) -> NonlinearSample:
        """Make one of `SAMPLES`, with the default `Phonons` or none. Raises KeyError for an unknown name."""
        mean_nm, dispersion = SAMPLES[name]
        ensemble = quasi_homodimers(mean_nm, dispersion, dimers, seed=seed)
        on = Conditions(phonons=Phonons() if phonons else None)
        return cls(f"{name}, {dimers} dimers, seed {seed}", ensemble, on, reach=reach, cache_dir=cache_dir)

    def signal_field(
        self, pump: Sequence[Pulse], probe: Pulse, wavenumber_cm: NDArray[np.float64]
    ) -> NDArray[np.complex64]:
        """Signal S(w3) at the pixels (complex64 [px]): transform with exp(i w t), t counted from the probe.

        Raises ValueError for delays beyond `FARTHEST` and for pulses that are not finite.
        """
        return self.signal_fields([(pump, probe)], wavenumber_cm)[0]

    def signal_fields(
        self, settings: Sequence[Setting], wavenumber_cm: NDArray[np.float64]
    ) -> NDArray[np.complex64]:
        """`signal_field` of many settings (pump, probe) at once (complex64 [settings, px])."""
        spectrum = self._spectrum_of(wavenumber_cm)
        first = np.zeros((len(settings), len(spectrum)), dtype=np.complex64)
        later: list[tuple[int, float, NDArray[np.complex64]]] = []
        for k, (pump, probe) in enumerate(settings):
            lines = self._lines(pump, probe)
            first[k] = lines[0]
            for pulse, line in zip(pump, lines[1:], strict=True):
                if line.any():
                    later.append((k, pulse.delay_fs - probe.delay_fs, line))
        fields = first @ spectrum
        for k, delay_fs, line in later:  # the signal begins with a pump pulse that comes behind the probe
            fields[k] += (line @ spectrum) * np.exp(1j * RAD_PER_FS * delay_fs * wavenumber_cm)
        return fields

    def exact(self, pump: Sequence[Pulse], probe: Pulse, wavenumber_cm: NDArray[np.float64]) -> Complex:
        """`signal_field` from every pathway in double precision (complex128 [px]): the measure of it."""
        terms, factors = self._terms(pump, probe)
        t3 = t3_axis_fs()
        spectrum = self._scale * _transform(t3, wavenumber_cm - self.conditions.frame_cm)
        field = np.zeros(len(wavenumber_cm), dtype=np.complex128)
        for last in np.unique(terms[:, 3]):
            mine = terms[:, 3] == last
            delay_fs = pump[int(last)].delay_fs - probe.delay_fs if last >= 0 else 0.0
            line = self._exact.signal(terms[mine, :3], factors[mine], STEP3_FS, len(t3))
            field += (line @ spectrum) * np.exp(1j * RAD_PER_FS * delay_fs * wavenumber_cm)
        return field

    def truth(self) -> dict[str, object]:
        """What is planted: the sample, its decay times, the numbers of `dephasing_truth`, phonons if any."""
        on = self.conditions
        planted = {
            "sample": self.name,
            "dimers": len(self.ensemble),
            **on.dephasing._asdict(),
            **dephasing_truth(self.ensemble, on.laser, on.dephasing),
        }
        return planted if on.phonons is None else {**planted, "phonons": on.phonons.truth()}

    def _load(self, reach: Reach) -> None:
        self._cubes = cached_cubes(self.ensemble, self.conditions, reach, self._cache_dir)
        self._axes = self._cubes.axes

    def _grow(self, t1_fs: float, t2_fs: float) -> None:
        """Make cubes that hold longer delays, with room for more."""
        if t1_fs > FARTHEST.t1_fs or t2_fs > FARTHEST.t2_fs:
            raise ValueError(
                f"t1 = {t1_fs:.0f} fs, t2 = {t2_fs:.0f} fs is beyond the sample's {FARTHEST.t1_fs:.0f} and "
                f"{FARTHEST.t2_fs:.0f} fs: scan shorter delays"
            )
        present = Reach(*self._cubes.reach)
        wanted = Reach(
            max(present.t1_fs, min(1.25 * t1_fs, FARTHEST.t1_fs)),
            max(present.t2_fs, min(1.25 * t2_fs, FARTHEST.t2_fs)),
        )
        self._load(Reach(*(100.0 * np.ceil(length / 100) for length in wanted)))

    def _terms(self, pump: Sequence[Pulse], probe: Pulse) -> tuple[NDArray[np.float64], Complex]:
        """Kind, t1, t2, last pulse [terms, 4] and factors of all that makes the signal."""
        count = len(pump)
        terms = np.empty((count * count + count * (count + 1) // 2, 4))
        factors = np.empty(len(terms), dtype=np.complex128)
        delays = np.array([pulse.delay_fs for pulse in (*pump, probe)], dtype=np.float64)
        amplitudes = np.array([pulse.amplitude for pulse in (*pump, probe)], dtype=np.complex128)
        if not (np.isfinite(delays).all() and np.isfinite(amplitudes).all()):
            raise ValueError("a pulse has a delay or an amplitude that is not finite")
        made = list_terms(
            terms,
            factors,
            delays[:-1],
            amplitudes[:-1],
            delays[-1],
            amplitudes[-1],
            RAD_PER_FS * self.conditions.frame_cm,
            self._falls,
            LEAST,
        )
        return terms[:made], factors[:made]

    @property
    def _falls(self) -> tuple[float, float]:
        decay = self.conditions.dephasing
        return 1 / decay.optical_fs, 1 / decay.double_quantum_fs

    def _lines(self, pump: Sequence[Pulse], probe: Pulse) -> NDArray[np.complex64]:
        """Signals over t3 by the pulse that comes last: the probe, then each of the pump ([1 + pump, t3])."""
        terms, factors = self._terms(pump, probe)
        while True:
            lines = np.zeros((1 + len(pump), self._cubes.rephasing.shape[2] // 2), dtype=np.complex64)
            outside = add_terms(lines, terms, factors, tuple(self._cubes[:3]), self._axes, self._table)
            if outside < 0:
                return lines
            self._grow(terms[:, 1].max(), terms[:, 2].max())

    def _spectrum_of(self, wavenumber_cm: NDArray[np.float64]) -> NDArray[np.complex64]:
        """Matrix from t3 to pixels, scaled; the last one is kept."""
        pixels = np.ascontiguousarray(wavenumber_cm, dtype=np.float64)
        key = pixels.tobytes()
        if self._pixels is None or self._pixels[0] != key:
            matrix = self._scale * _transform(t3_axis_fs(), pixels - self.conditions.frame_cm)
            self._pixels = (key, matrix.astype(np.complex64))
        return self._pixels[1]

    @cached_property
    def _exact(self) -> ExactResponse:
        return ExactResponse(self.ensemble, self.conditions)


def _transform(t3_fs: NDArray[np.float64], offset_cm: NDArray[np.float64]) -> Complex:
    """Half-line Fourier integral over t3, its first sample halved ([t3, px])."""
    weight = np.full(len(t3_fs), STEP3_FS)
    weight[0] /= 2
    return weight[:, None] * np.exp(1j * RAD_PER_FS * np.outer(t3_fs, offset_cm))
