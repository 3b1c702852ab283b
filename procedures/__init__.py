"""Stations, procedures, the life of a run, and the command line."""
