"""A 4f line with a pixelated mask in its Fourier plane: from the field at each column to the shaped pulse."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtr

from .dimer_ensemble import RAD_PER_FS, Laser
from .pulses import Pulse, decompose

_NM_CM = 1e7
_SAMPLES_PER_COLUMN = 3
_REACH_FWHM = 1.5  # of the laser's spectrum, either side
_FWHM_OF_SIGMA = 2.3548200450309493


@dataclass(frozen=True)
class FourF:
    """Which column each wavelength of the laser falls on, and how large its spot is there.

    Columns are equidistant in wavelength rather than in frequency, so the replicas that pixelation makes,
    one per window T = 1/(frequency step of a column), are smeared out in time.
    """

    columns: int = 1272
    wavelength_nm: tuple[float, ...] = (550.0, 100.0, -1.5, 0.3)
    """Coefficients of the wavelength against u, constant first; u is -1 and 1 at the outer columns."""
    spot_columns: float = 1.0
    """Full width at half maximum of the focus of one wavelength, in columns; 0 is a point."""
    residual_centre_cm: float = 18_200.0
    residual_fs: tuple[float, ...] = (80.0, 200.0)
    """Spectral phase of the line itself: GDD in fs2, TOD in fs3, ..."""
    laser: Laser = field(default_factory=Laser)

    @property
    def column_wavelength_nm(self) -> NDArray[np.float64]:
        """Wavelength in nm at the centre of each column."""
        return self._wavelength_nm(np.arange(self.columns, dtype=np.float64))

    def column_at(self, wavenumber_cm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where a wavenumber falls, in columns, 0 at the centre of the first (nan beside the panel)."""
        column = np.linspace(-0.5, self.columns - 0.5, 8 * self.columns + 1)
        wavelength_nm = self._wavelength_nm(column)
        return np.interp(_NM_CM / wavenumber_cm, wavelength_nm, column, left=np.nan, right=np.nan)

    def passed(
        self, columns: NDArray[np.complex128], wavenumber_cm: NDArray[np.float64]
    ) -> NDArray[np.complex128]:
        """M(w) at any wavenumbers for a field of one value per column; 0 for light that misses the panel."""
        return self._spots(wavenumber_cm) @ columns * self._residual(wavenumber_cm)

    def pulses(self, columns: NDArray[np.complex128]) -> tuple[Pulse, ...]:
        """The pulses that such a field makes of one laser pulse; replicas are among them."""
        mask = self._grid_spots @ columns * self._grid_residual
        return decompose(mask, self.grid_cm, self._grid_power)

    @cached_property
    def grid_cm(self) -> NDArray[np.float64]:
        """Uniform wavenumbers where panel and laser overlap."""
        edges_cm = np.sort(_NM_CM / self.column_wavelength_nm[[0, -1]])
        reach_cm = _REACH_FWHM * self.laser.fwhm_cm
        low_cm = max(edges_cm[0], self.laser.centre_cm - reach_cm)
        high_cm = min(edges_cm[1], self.laser.centre_cm + reach_cm)
        return np.linspace(low_cm, high_cm, _SAMPLES_PER_COLUMN * self.columns)

    @cached_property
    def _grid_spots(self) -> csr_array:
        return self._spots(self.grid_cm)

    @cached_property
    def _grid_residual(self) -> NDArray[np.complex128]:
        return self._residual(self.grid_cm)

    @cached_property
    def _grid_power(self) -> NDArray[np.float64]:
        return self.laser.amplitude(self.grid_cm) ** 2

    def _wavelength_nm(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        u = 2 * column / (self.columns - 1) - 1
        return np.asarray(np.polynomial.polynomial.polyval(u, self.wavelength_nm), np.float64)

    def _residual(self, wavenumber_cm: NDArray[np.float64]) -> NDArray[np.complex128]:
        w = RAD_PER_FS * (wavenumber_cm - self.residual_centre_cm)
        phase, factorial = np.zeros_like(w), 1.0
        for n, fs in enumerate(self.residual_fs, start=2):
            factorial *= n
            phase += fs * w**n / factorial
        return np.exp(1j * phase)

    def _spots(self, wavenumber_cm: NDArray[np.float64]) -> csr_array:
        """Share of each column in the focus of each wavenumber (sparse [wavenumbers, columns])."""
        at = self.column_at(wavenumber_cm)
        (on,) = np.nonzero(np.isfinite(at))
        nearest = np.rint(at[on]).astype(np.int64)
        sigma = self.spot_columns / _FWHM_OF_SIGMA
        reach = int(np.ceil(4 * sigma))
        column = nearest[:, None] + np.arange(-reach, reach + 1)
        if sigma:
            distance = column - at[on, None]
            share = ndtr((distance + 0.5) / sigma) - ndtr((distance - 0.5) / sigma)
        else:
            share = np.ones(column.shape)
        row = np.broadcast_to(on[:, None], column.shape)
        inside = (column >= 0) & (column < self.columns)
        shape = (len(wavenumber_cm), self.columns)
        return csr_array((share[inside], (row[inside], column[inside])), shape=shape)
