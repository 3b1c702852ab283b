"""Photon energies and times from one unit into another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CM_PER_EV = 8065.543937349212
"""e / (100 h c), exact in the SI of 2019."""
CM_PER_THZ = 33.3564095198152
"""1e12 / (100 c): cyclic frequency."""
_CM_PER = {"cm-1": 1.0, "eV": CM_PER_EV, "meV": CM_PER_EV / 1e3, "THz": CM_PER_THZ, "GHz": CM_PER_THZ / 1e3}
_FS_PER = {"fs": 1.0, "ps": 1e3, "ns": 1e6}
_NM_CM = 1e7


def converted(values: NDArray[Any], units: str, into: str) -> NDArray[Any]:
    """Values in another unit of energy (cm-1, eV, meV, THz, GHz, vacuum nm) or time (fs, ps, ns).

    Raises ValueError for any other pair of different units.
    """
    if units == into:
        return values
    if units in _FS_PER and into in _FS_PER:
        return values * (_FS_PER[units] / _FS_PER[into])
    if {units, into} <= {*_CM_PER, "nm"}:
        with np.errstate(divide="ignore"):
            cm = _NM_CM / values if units == "nm" else values * _CM_PER[units]
            return _NM_CM / cm if into == "nm" else cm / _CM_PER[into]
    raise ValueError(f"{units or 'no unit'} cannot be converted into {into or 'no unit'}")
