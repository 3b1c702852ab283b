"""Numbers as a person reads them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A duration in hours, minutes and seconds, such as "1 min 34 s"."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {s:02d} s" if minutes else f"{s} s"


def size(n_bytes: float) -> str:
    """A size on disk, such as "45 MB"."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.3g} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"
