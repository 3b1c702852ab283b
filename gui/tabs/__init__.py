"""Experiment tabs, one file each."""
