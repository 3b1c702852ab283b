"""How a frequency between grid points is shared among its neighbours, so that few grid points stand for many pathways.

A term exp(i x t) with |t| <= h is a sum over four neighbouring grid frequencies times a factor s(t) that is the
same for all x: a non-uniform fast Fourier transform. Taps and s are those that leave the least error in the
mean square (J. A. Fessler and B. P. Sutton, IEEE Trans. Signal Process. 51, 560 (2003)).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import Chebyshev
from numpy.polynomial.polynomial import Polynomial
from numpy.typing import NDArray

TAPS = 4
DEGREE = 6
"""Of the polynomials in the fraction that replace the taps; they miss them by 1e-6."""
_OFFSETS = np.arange(TAPS) - (TAPS // 2 - 1)


class Taps(NamedTuple):
    """Taps for angles (grid spacing times time) between two bounds."""

    polynomials: NDArray[np.float32]
    """[DEGREE + 1, TAPS]; row d multiplies fraction**d."""
    angles: NDArray[np.float64]
    scaling: NDArray[np.float64]
    """s at `angles`."""

    def scaling_at(self, angle: NDArray[np.float64]) -> NDArray[np.float64]:
        """s at any angles within the bounds."""
        smooth = Chebyshev.fit(self.angles, np.log(self.scaling), 14)
        return np.exp(smooth(angle))
