"""Stations, procedures, the life of a run, and the command line."""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())
