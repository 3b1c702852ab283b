"""Pulse shapers: a liquid-crystal panel driven as a second monitor, and the Dazzler."""
