import math
from pathlib import Path

import numpy as np

from qdlab.procedures.config import locate
from qdlab.procedures.station import Station, make_bench
from qdlab.sim.coherence_bench import CoherenceBench
from qdlab.sim.physics.pulses import Pulse


def bench(text: str, folder: Path) -> CoherenceBench:
    path = folder / "station.toml"
    path.write_text(text.replace("dimers = 4000", "dimers = 60"), encoding="utf-8")
    made = make_bench(Station.load(path), 3, math.inf, ())
    assert isinstance(made, CoherenceBench)
    return made


def test_a_station_plants_phonons_when_it_says_so(tmp_path):
    shipped = locate("coherence_simulated").read_text(encoding="utf-8")
    still = bench(shipped, tmp_path)
    shaking = bench(shipped.replace("phonons = false", "phonons = true"), tmp_path)
    assert "phonons" not in still.truth()["sample"]
    modes = shaking.truth()["sample"]["phonons"]["modes"]
    assert [mode["frequency_cm"] for mode in modes] == [220.0, 20.0]
    pump, probe, pixels = (Pulse(0.0, 1.0),), Pulse(76.0, 1.0), np.linspace(16500.0, 19500.0, 30)
    fields = [made.sample.signal_field(pump, probe, pixels) for made in (still, shaking)]
    assert np.abs(fields[1] - fields[0]).max() > 0.1 * np.abs(fields[0]).max()
