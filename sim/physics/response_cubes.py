"""The responses R, N and Q of an ensemble on grids of delays, made once and kept on disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from ._response_interpolate import TAPS
from .dimer_ensemble import Ensemble
from .reference_response import Conditions
from .response_engine import double_quantum, rephasing_and_nonrephasing

STEP1_FS, STEP2_FS, STEP3_FS = 4.0, 4.0, 4.0
"""Steps of t1, t2, t3: with eight taps the error between grid points is below 2e-4 of the maximum."""
DOUBLED_STEP2_FS = 2.0
"""Of t2 in Q, where frequencies spread twice as far."""
T3_FS = 400.0
_FALLEN = 9.3
"""The double quantum is over after so many decay times (1e-4)."""
_KEPT = 8
"""Files in the cache; the oldest go first."""
_CODE = (
    "_response_interpolate",
    "_response_populations",
    "_response_problem",
    "_response_spread",
    "_response_taps",
    "dimer_ensemble",
    "dimer_states",
    "phonons",
    "reference_response",
    "response_cubes",
    "response_engine",
)


class Reach(NamedTuple):
    """The longest delays that cubes can answer for, in fs."""

    t1_fs: float = 420.0
    t2_fs: float = 1320.0


class Cubes(NamedTuple):
    """Responses per dimer, float32 [t2, t1, 2 t3] with Re and Im in turn."""

    rephasing: NDArray[np.float32]
    nonrephasing: NDArray[np.float32]
    double_quantum: NDArray[np.float32]
    reach: NDArray[np.float64]

    @property
    def axes(self) -> NDArray[np.float64]:
        """First t2, step, number, first t1, step, number, of each cube (float64 [3, 6])."""
        first = 1 - TAPS // 2
        steps = (STEP2_FS, STEP2_FS, DOUBLED_STEP2_FS)
        return np.array(
            [
                (first * step2, step2, cube.shape[0], first * STEP1_FS, STEP1_FS, cube.shape[1])
                for cube, step2 in zip(self[:3], steps, strict=True)
            ]
        )


def t3_axis_fs() -> NDArray[np.float64]:
    """Detection times of the cubes."""
    return np.arange(0, T3_FS, STEP3_FS)


def make_cubes(ensemble: Ensemble, conditions: Conditions, reach: Reach) -> Cubes:
    """Compute the cubes for delays from 0 to `reach`; the grids begin before zero, for the taps."""
    t1, t2 = _axis(STEP1_FS, reach.t1_fs), _axis(STEP2_FS, reach.t2_fs)
    doubled = _axis(DOUBLED_STEP2_FS, min(reach.t2_fs, _FALLEN * conditions.dephasing.double_quantum_fs))
    both = rephasing_and_nonrephasing(ensemble, t1, t2, t3_axis_fs(), conditions, oversampling=2.0)
    q = double_quantum(ensemble, t1, doubled, t3_axis_fs(), conditions, oversampling=2.0)
    r, n, q = (np.ascontiguousarray(cube).view(np.float32) for cube in (*both, q))
    return Cubes(r, n, q, np.array(reach))


def cached_cubes(ensemble: Ensemble, conditions: Conditions, reach: Reach, folder: Path | None) -> Cubes:
    """Read the cubes from `folder` (the user's cache by default), or make and write them.

    Ensemble, conditions, reach and the code that makes them tell files apart; a damaged file is made anew.
    """
    folder = folder or user_cache_path("qdlab") / "responses"
    path = folder / f"{_key(ensemble, conditions, reach)}.npz"
    try:
        with path.open("rb") as file, np.load(file) as stored:
            cubes = Cubes(**stored)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        path.unlink()
    else:
        return cubes
    cubes = make_cubes(ensemble, conditions, reach)
    _write(path, cubes)
    return cubes


def _axis(step: float, reach: float) -> NDArray[np.float64]:
    """Times from half the taps before zero to half the taps behind `reach`."""
    last = int(np.ceil(reach / step)) + TAPS // 2
    return np.arange(1 - TAPS // 2, last + 1, dtype=np.float64) * step


def _key(ensemble: Ensemble, conditions: Conditions, reach: Reach) -> str:
    rates = conditions.rates_per_fs
    told = (conditions._replace(rates_per_fs=None), reach, None if rates is None else rates.tolist())
    digest = hashlib.sha256(repr(told).encode())
    for numbers in (ensemble.energy_cm, ensemble.dipole, ensemble.pair_energy_cm, ensemble.pair_dipole):
        digest.update(np.ascontiguousarray(numbers).tobytes())
    for module in _CODE:
        digest.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    return digest.hexdigest()[:24]


def _write(path: Path, cubes: Cubes) -> None:
    """Write a file that is either there as a whole or not at all, and drop the oldest ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **cubes._asdict())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    files = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)
    for old in files[:-_KEPT]:
        old.unlink(missing_ok=True)
