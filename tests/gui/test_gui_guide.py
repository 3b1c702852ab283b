"""docs/gui.md: its pictures exist, its commands parse, its sequences expand."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "gui.md"
PICTURES = re.findall(r"!\[[^]]+]\((images/[^)]+)\)", GUIDE.read_text())
