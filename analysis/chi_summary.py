"""What `qdlab analyze` says of a CHI text export, as one JSON object."""

from __future__ import annotations

from ..formats.chi_text import ChiSegment, ChiText

FULL_SCALE_RATIO = 9.995
"""|current| / sensitivity from which a point reaches the full scale of 10, to within 0.05 %."""


def summarize_chi(text: ChiText) -> dict[str, object]:
    """The object of `qdlab analyze FILE --json` for a CHI text export; JSON types only.

    Potentials and currents are as printed in the file: its sign convention is not known from it. Keys that
    do not apply (no current, no sweep) are None. `overload_points` counts rows that reach
    10 x sensitivity.
    """
    potential_v = text.column("Potential")
    first_v, last_v = (
        (None, None) if potential_v is None or not len(potential_v) else potential_v[[0, -1]].tolist()
    )
    reached = text.points_at_or_above(FULL_SCALE_RATIO)
    return {
        "kind": "chi",
        "model": text.model,
        "technique": text.technique,
        "date": text.date.isoformat() if text.date else None,
        "columns": list(text.columns),
        "points": len(text.data),
        "parameters": dict(text.parameters),
        "first_potential_v": first_v,
        "last_potential_v": last_v,
        "scan_rate_v_s": text.scan_rate_v_s,
        "current_a": _current(text),
        "overload_points": None if reached is None else int(reached.sum()),
        "segments": [_segment(segment) for segment in text.segments],
        "complete": text.complete,
        "warnings": list(text.warnings),
    }


def _current(text: ChiText) -> dict[str, float] | None:
    if not text.current_columns or not len(text.data):
        return None
    current_a = text.data[:, text.current_columns[0]]
    return {
        "first": float(current_a[0]),
        "last": float(current_a[-1]),
        "max": float(current_a.max()),
        "min": float(current_a.min()),
        "mean": float(current_a.mean()),
    }


def _segment(segment: ChiSegment) -> dict[str, object]:
    return {
        "segment": segment.number,
        "label": segment.label,
        "channel": segment.channel,
        "peaks": [list(found) for found in segment.results],
    }
