import math
from pathlib import Path

import numpy as np

from qdlab.procedures.station import Station, make_bench
from qdlab.sim.coherence_bench import CoherenceBench
from qdlab.sim.physics.pulses import Pulse


def bench(path: Path) -> CoherenceBench:
    made = make_bench(Station.load(path), 3, math.inf, ())
    assert isinstance(made, CoherenceBench)
    return made


def test_a_station_plants_phonons_when_it_says_so(small_station, tmp_path):
    still = bench(small_station(tmp_path, "coherence_simulated"))
    with_phonons = ("phonons = false", "phonons = true")
    shaking = bench(small_station(tmp_path, "coherence_simulated", with_phonons))
    assert "phonons" not in still.truth()["sample"]
    modes = shaking.truth()["sample"]["phonons"]["modes"]
    assert [mode["frequency_cm"] for mode in modes] == [220.0, 20.0]
    pump, probe, pixels = (Pulse(0.0, 1.0),), Pulse(76.0, 1.0), np.linspace(16500.0, 19500.0, 30)
    fields = [made.sample.signal_field(pump, probe, pixels) for made in (still, shaking)]
    assert np.abs(fields[1] - fields[0]).max() > 0.1 * np.abs(fields[0]).max()
