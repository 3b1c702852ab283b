"""From interference fringes with a local oscillator to the complex signal field.

Fourier-transform spectral interferometry (L. Lepetit, G. Cheriaux and M. Joffre, J. Opt. Soc. Am. B 12, 2467
(1995)): the local oscillator comes `lead_fs` before the signal, so that their cross term
`2 Re[conj(E_LO) S]` stands apart in the time domain from its mirror image and from all that is not fringed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import make_interp_spline
from scipy.signal.windows import tukey

from .units import W

SPLINE = 5
"""Degree of the interpolation: at 3 pixels per fringe a field is kept within 1 %, by cubics within 2 %."""
FEWEST_PIXELS = 2.5
"""Per fringe, where pixels are widest."""
WEAKEST_LO = 0.02
"""Where the local oscillator is weaker than this share of its maximum, nothing is told of the signal."""


@dataclass(frozen=True)
class Interferometer:
    """How fringes on the spectrometer's pixels become a field on an even axis of wavenumbers."""

    pixel_cm: NDArray[np.floating]
    """Wavenumber of each pixel, in any order of monotony."""
    lo_counts: NDArray[np.floating]
    """The local oscillator alone, dark subtracted, in the unit of the frames."""
    lead_fs: float
    """How long the local oscillator comes before the signal's zero of t3."""
    longest_t3_fs: float = 300.0
    """The signal is taken to be over by then."""
    before_fs: float = 60.0
    """Room left before zero, so that the signal's sharp start is not cut."""

    def __post_init__(self) -> None:
        if self.before_fs >= self.lead_fs:
            raise ValueError(
                f"lead_fs = {self.lead_fs:g}: the local oscillator must come at least {self.before_fs:g} fs "
                "before the signal, or their fringes cannot be told apart"
            )

    @cached_property
    def wavenumber_cm(self) -> NDArray[np.floating]:
        """Even axis of the fields, ascending, where the local oscillator is strong enough."""
        even = self._even_cm
        return even[self._lit]

    def fields(self, fringes: ArrayLike) -> NDArray[np.complexfloating]:
        """Complex signal S(w3) of fringes (counts without LO and dark), (..., pixels) to (..., wavenumbers).

        Fringes may be complex sums over a phase cycle: that gives the same sum of the fields. The scale is
        that of `|E_LO|` = square root of counts: `counts = |E_LO|^2 + 2 Re(conj(E_LO) S)`.
        """
        ordered = np.asarray(fringes)[..., self._order]
        even = make_interp_spline(self._pixel_order, ordered, k=SPLINE, axis=-1)(self._even_cm)
        amplitude = np.sqrt(np.maximum(self._lo_even, WEAKEST_LO * self._lo_even.max()))
        spectrum = np.where(self._lit, even / amplitude, 0.0)
        delays = np.fft.fft(spectrum, axis=-1) * self._gate
        field = np.fft.ifft(delays, axis=-1)[..., self._lit]
        undelayed = field * np.exp(-1j * W * self.wavenumber_cm * self.lead_fs)
        return undelayed.astype(complex)

    # ---- inside ----

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.pixel_cm)

    @cached_property
    def _pixel_order(self) -> NDArray[np.floating]:
        return self.pixel_cm[self._order]

    @cached_property
    def _even_cm(self) -> NDArray[np.floating]:
        """As fine as the finest pixels."""
        pixels = self._pixel_order
        step = float(np.min(np.diff(pixels)))
        return np.arange(pixels[0], pixels[-1], step)

    @cached_property
    def _widest_lit_cm(self) -> float:
        pixels = self._pixel_order
        middle = (pixels[1:] + pixels[:-1]) / 2
        lit = (middle > self.wavenumber_cm[0]) & (middle < self.wavenumber_cm[-1])
        return float(np.diff(pixels)[lit].max())

    @cached_property
    def _lo_even(self) -> NDArray[np.floating]:
        lo = np.asarray(self.lo_counts, float)[self._order]
        return make_interp_spline(self._pixel_order, lo, k=SPLINE)(self._even_cm)

    @cached_property
    def _lit(self) -> NDArray[np.bool_]:
        return self._lo_even > WEAKEST_LO * self._lo_even.max()

    @cached_property
    def _gate(self) -> NDArray[np.floating]:
        """One for fringes of the signal's delays, zero elsewhere, with soft edges.

        A delay tau of the signal after the local oscillator is the fringe exp(+i w tau), which numpy's
        forward transform shows at the positive frequency tau / 2 pi.
        """
        n = len(self._even_cm)
        step = W * (self._even_cm[1] - self._even_cm[0])
        delay_fs = 2 * np.pi * np.fft.fftfreq(n) / step
        first, last = self.lead_fs - self.before_fs, self.lead_fs + self.longest_t3_fs
        longest_fs = 2 * np.pi / (W * FEWEST_PIXELS * self._widest_lit_cm)
        if last > longest_fs:
            raise ValueError(
                f"fringes of {last:g} fs are finer than the spectrometer resolves ({longest_fs:.0f} fs): "
                "shorten lead_fs"
            )
        inside = (delay_fs >= first) & (delay_fs <= last)
        gate = np.zeros(n)
        gate[inside] = tukey(int(inside.sum()), 0.1)
        return gate
