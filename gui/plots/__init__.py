"""Plots: pure widgets that show arrays."""
