"""2DES with t3 scanned: the views of a 2DES scan, on stations with a gate stage and a point detector."""

from __future__ import annotations

from typing import ClassVar

from .twod import TwoDTab


class TwoDT3Tab(TwoDTab):
    """The same maps and traces; a map comes when all t3 of its t2 are measured."""

    title: ClassVar[str] = "2DES, t3 scanned"
    experiments: ClassVar[tuple[str, ...]] = ("twod_scan_t3",)
    kinds: ClassVar[tuple[str, ...]] = ("twod_scan_t3",)
