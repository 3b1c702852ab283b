"""`qdlab station check` and `qdlab station safe`."""

from __future__ import annotations

import sys

from ..instruments.base import InstrumentError
from .config import locate
from .guardian import make_safe_now
from .station import Station, open_rig
from .terminal import print_table


def check_station(name: str, seed: int | None) -> int:
    """Connect every instrument and print who answered; returns 1 when one did not."""
    station = Station.load(locate(name))
    failed = False
    with open_rig(station, seed=seed, speed=float("inf") if station.simulated else None) as rig:
        rows: dict[str, str] = {"station": f"{station.file.station.name} ({station.path})"}
        for role, device in rig.devices():
            try:
                rows[role] = str(device.connect())
            except InstrumentError as error:
                rows[role] = f"FAILED: {error}"
                failed = True
        if "potentiostat" in rows:
            low, high = rig.potentiostat.potential_limits_v
            against = station.file.station.reference_electrode
            rows["potential window"] = f"{low:g} to {high:g} V against {against}"
        if "laser" in rows:
            laser = rig.laser_table
            rows["laser"] += f"; {laser.wavelength_nm:g} nm, {laser.repetition_rate_hz:g} Hz"
        if "counter" in rows:
            rows["count rate limit"] = f"{rig.count_rate_limit_hz:g} Hz per detector"
    print_table(rows)
    return int(failed)


def make_station_safe(name: str) -> int:
    """Make every instrument safe that can be reached; returns 1 when something may still be on."""

    def tell(role: str, what: str) -> None:
        if what == "safe":
            print(f"{role}: safe")
        else:
            print(f"qdlab: {role}: {what}", file=sys.stderr)

    return int(bool(make_safe_now(Station.load(locate(name)), input, tell)))
