"""Takes slmsuite's place where it is not installed: its names and signatures, and nothing of its own.

`test_slmsuite_screen.py` holds the signatures against those of slmsuite 0.5 where that is installed.
"""

import logging


def configure_logging(level=logging.INFO, stream=None):
    logging.getLogger("slmsuite").setLevel(level)
