"""Photons drawn from textbook distributions, without the simulator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from qdlab.analysis.decay_model import FWHM_PER_SIGMA, Background, Response

RESOLUTION_NS = 0.025
PERIOD_NS = 400.0
Sample = Callable[[np.random.Generator, float, int], NDArray[np.float64]]


@pytest.fixture
def response() -> Response:
    return Response(PERIOD_NS, 2.0, 0.4 / FWHM_PER_SIGMA)


@pytest.fixture
def background() -> Background:
    return Background(flat_rate_hz=150.0, prompt_rate_hz=230.0, prompt_lifetime_ns=0.3)


@pytest.fixture
def micro_times(response: Response) -> Sample:
    """Micro times in ns of `n` photons of one exponential, folded into the period."""

    def sample(rng: np.random.Generator, lifetime_ns: float, n: int) -> NDArray[np.float64]:
        late_ns = rng.exponential(lifetime_ns, n) + rng.normal(0.0, response.sigma_ns, n)
        return (late_ns + response.time_zero_ns) % PERIOD_NS

    return sample
