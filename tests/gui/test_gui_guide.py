"""docs/gui.md: its pictures exist and are what the script makes, its commands parse, its sequences expand."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from pymeasure.experiment import Parameter

from qdlab.gui.sequences import expand
from qdlab.procedures.cli import app
from qdlab.procedures.config import locate
from qdlab.procedures.experiment import load_experiment

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "gui.md").read_text(encoding="utf-8")
PICTURES = re.findall(r"!\[[^]]+]\(([^)]+)\)", GUIDE)
COMMANDS = re.findall(r"^    qdlab (.+?)(?: {2,}#.*)?$", GUIDE, re.MULTILINE)
SEQUENCES = re.findall(r"`(\w+ = [^`]+)`", GUIDE)


@pytest.fixture
def script():
    """docs/make_screenshots.py as a module."""
    spec = importlib.util.spec_from_file_location("make_screenshots", DOCS / "make_screenshots.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_picture_is_there_of_the_said_size_and_together_they_are_small(script):
    assert sorted(PICTURES) == sorted(f"images/gui_{scene}.png" for scene in script.SCENES)
    for picture in PICTURES:
        with Image.open(DOCS / picture) as image:
            assert image.size == script.SIZE, picture
    sizes = [(DOCS / picture).stat().st_size for picture in PICTURES]
    assert max(sizes) < 200e3
    assert sum(sizes) < 2e6


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_guide_parse(command):
    group = typer.main.get_group(app)
    with group.make_context("qdlab", [*shlex.split(command)], resilient_parsing=True) as context:
        name, found, rest = group.resolve_command(context, shlex.split(command))
        assert found is not None, command
        found.make_context(name, rest, parent=context).close()


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_sequences_of_the_guide_expand(sequence):
    _, procedure = load_experiment(locate("cv_flid"))
    parameters: dict[str, Parameter] = procedure.parameter_objects()
    assert len(expand(sequence, parameters)) > 1


def test_a_picture_keeps_its_frequent_colours_and_has_256_at_most(script):
    many = Image.radial_gradient("L").convert("RGB")
    many.paste((212, 0, 0), (0, 0, 128, 128))
    palette = script.with_palette(many)
    assert len(palette.getcolors()) <= 256
    assert palette.convert("RGB").getpixel((10, 10)) == (212, 0, 0)


@pytest.mark.slow
def test_the_script_makes_the_picture_of_the_window_as_it_opens(script, tmp_path):
    command = [sys.executable, DOCS / "make_screenshots.py", "start", "--out", tmp_path]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    with Image.open(tmp_path / "gui_start.png") as image:
        assert image.size == script.SIZE
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels == (212, 0, 0)).all(axis=-1).sum() > 2000  # the red stop
