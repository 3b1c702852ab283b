"""Measure an empty spot on a simulated station and print the numbers of its [calibration] table.

    python benchmarks/blank.py [station] [seconds]

First with the laser locked (dark counts), then unlocked (laser-synchronous background), through the same
drivers as any run. The prompt lifetime is the mean delay of the net counts behind the response's centre.
"""

import sys
from pathlib import Path

import numpy as np

from qdlab.formats.tttr import TttrDecoder
from qdlab.procedures.config import locate
from qdlab.procedures.photon_procedure import counter_settings
from qdlab.procedures.station import Station, open_rig


def count(rig, seconds: float):
    """Delays (ns) and detectors of the photons of one measurement."""
    rig.counter.configure(counter_settings(rig))
    decoder = TttrDecoder(rig.counter.record_type)
    rig.counter.start(seconds + 1)
    blocks = []
    for _ in range(round(seconds)):
        rig.clock.sleep(1.0)
        blocks.append(decoder.decode(rig.counter.take()))
    rig.counter.stop()
    resolution_ns = rig.counter.resolution_ps / 1000
    return (
        np.concatenate([b.dtime for b in blocks]) * resolution_ns,
        np.concatenate([b.channel for b in blocks]),
    )


def main(name: str = "charging_simulated", seconds: str = "60") -> None:
    text = locate(name).read_text().replace('sample = "batch_1"', 'sample = "blank"')
    path = Path(sys.argv[0]).with_name("blank_station.toml")
    path.write_text(text)
    duration_s = float(seconds)
    try:
        with open_rig(Station.load(path), speed=float("inf")) as rig:
            for _, device in rig.devices():
                device.connect()
            laser = rig.laser_table
            rig.laser.set_pulses(laser.repetition_rate_hz, laser.intensity)
            dark_ns, dark_channel = count(rig, duration_s)
            rig.laser.unlock()
            lit_ns, _ = count(rig, duration_s)
    finally:
        path.unlink()
    prompt = (len(lit_ns) - len(dark_ns)) / duration_s
    early = lit_ns < 10
    # counts of the flat background within the first 10 ns are taken off; the response adds no net delay
    period_ns = 1e9 / laser.repetition_rate_hz
    flat = len(dark_ns) * 10 / period_ns
    mean_ns = (lit_ns[early].sum() - flat * 5) / (early.sum() - flat)
    print(f"dark_rate_hz = {[round(float(np.sum(dark_channel == c)) / duration_s, 1) for c in (0, 1)]}")
    print(f"prompt_rate_hz = {prompt:.1f}")
    print(f"prompt mean delay {mean_ns:.3f} ns (time zero included)")
    print(f"blank_s = {duration_s}")


if __name__ == "__main__":
    main(*sys.argv[1:])
