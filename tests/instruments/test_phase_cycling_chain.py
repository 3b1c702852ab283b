"""Phase cycling through the shaper: planted signals, through mask, frame and optics, come back as planted."""

from dataclasses import replace
from itertools import product as product_of

import numpy as np
import pytest

from qdlab.analysis.twodes.phase_cycling import REPHASING, SIGNATURES, scheme
from qdlab.instruments.pulse_shaper import RAD_FS_PER_CM, PulseTrain
from qdlab.instruments.shaper.frames import Diffraction
from qdlab.instruments.shaper.lcos import LcosShaper
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.shaper_screen import EmulatedScreen, Panel, exact_calibration

CARRIER_CM = 18_200.0
POPULATION = {"rephasing": (-1, 1, 1, -1), "nonrephasing": (1, -1, 1, -1), "double_quantum": (1, 1, -1, -1)}
PLANTED = {"rephasing": 1.0 - 0.4j, "nonrephasing": 0.3 + 0.8j, "double_quantum": -0.5 + 0.1j}
QUANTISATION = 0.01
"""Grey levels of eight bits in a sawtooth of 16 rows."""


class Table:
    """What an emulated shaper needs of the bench."""

    def __init__(self):
        self.clock, self.faults, self.shaper_mask, self.pump = SimulatedClock(), Faults(), None, ()

    def set_pump(self, pulses):
        self.pump = tuple(pulses)


@pytest.fixture(scope="module")
def shaper():
    table = Table()
    panel = Panel(bits=8, stop_rows=16)
    screen = EmulatedScreen(table, None, panel)
    calibration = replace(exact_calibration(screen.optics, panel), phase_sign=1)
    made = LcosShaper(
        screen, clock=table.clock, calibration=calibration, encoding=Diffraction(16, 1), rows=panel.rows
    )
    made.connect()
    yield table, made
    made.disconnect()


def frames(shaper, cycle, delays_fs, signal_of):
    """The signal of a planted set for every step of a cycle, with the phases that came out of the optics."""
    table, device = shaper
    found = []
    for phases in cycle.phases_rad:
        amplitude = 1.0 / len(delays_fs)
        device.set_pulses(
            PulseTrain(tuple(delays_fs), tuple(phases), (amplitude,) * len(delays_fs), 1.0, CARRIER_CM)
        )
        device.wait_settled()
        main = sorted(sorted(table.pump, key=lambda p: -abs(p.amplitude))[: len(delays_fs)])
        unit = [p.amplitude / amplitude * np.exp(1j * RAD_FS_PER_CM * CARRIER_CM * p.delay_fs) for p in main]
        found.append(signal_of(unit))
    return np.array(found)


def product(fields, signature):
    """Each field as often as it acts, conjugated where its sign is negative."""
    factors = [f**n if n >= 0 else np.conj(f) ** -n for f, n in zip(fields, signature, strict=True)]
    return np.prod(factors)


def test_twenty_seven_steps_bring_a_planted_set_back(shaper):
    cycle = scheme("1x3x3x3")
    measured = frames(
        shaper,
        cycle,
        (-250.0, -150.0, 0.0, 120.0),
        lambda fields: sum(PLANTED[name] * product(fields, a) for name, a in POPULATION.items()),
    )
    for name, signature in POPULATION.items():
        assert cycle.extract(measured, signature) == pytest.approx(PLANTED[name], abs=4 * QUANTISATION)


@pytest.mark.parametrize("name", ["3x3x1", "4x4x1"])
def test_three_pulses_bring_a_planted_set_back(shaper, name):
    cycle = scheme(name)
    measured = frames(
        shaper,
        cycle,
        (-250.0, -100.0, 0.0),
        lambda fields: sum(PLANTED[which] * product(fields, a) for which, a in SIGNATURES.items()),
    )
    for which, signature in SIGNATURES.items():
        assert cycle.extract(measured, signature) == pytest.approx(PLANTED[which], abs=3 * QUANTISATION)


COLLINEAR = [a for a in product_of(range(-2, 4), repeat=3) if sum(a) == 1 and sum(map(abs, a)) in (1, 3)]
"""All that three pulses of one beam radiate up to third order, pulses that act twice or thrice among it."""


@pytest.mark.parametrize("name", ["3x3x1", "4x4x1"])
def test_one_beam_of_three_pulses_adds_nothing_to_the_signals(shaper, name):
    """The phases of pulses 1 and 2 tell the rest apart as well, so that pulse 3 need not be stepped."""
    cycle, rng = scheme(name), np.random.default_rng(5)
    assert len(COLLINEAR) == 12
    planted = {a: complex(*rng.uniform(-1, 1, 2)) for a in COLLINEAR}
    measured = frames(
        shaper,
        cycle,
        (-250.0, -100.0, 0.0),
        lambda fields: sum(size * product(fields, a) for a, size in planted.items()),
    )
    for signature in SIGNATURES.values():
        assert cycle.aliases(signature) == []
        assert cycle.extract(measured, signature) == pytest.approx(planted[signature], abs=5 * QUANTISATION)


def test_two_phases_of_a_pulse_are_too_few_for_one_beam():
    """Then a signal in which pulse 3 acts twice comes through with R."""
    assert (1, -1, 1) in scheme("2x2x1").aliases(REPHASING)
    assert (-1, 0, 2) in scheme("3x1x1").aliases(REPHASING)


def test_the_predicted_alias_shows_with_three_steps_and_not_with_five(shaper):
    """A fifth-order signal (2, 1, -2) comes through with the rephasing one where a pulse has three steps."""
    higher = (2, 1, -2)
    assert higher in scheme("3x3x1").aliases(REPHASING, order=5)

    def with_fifth_order(fields):
        return PLANTED["rephasing"] * product(fields, REPHASING) + 0.2 * product(fields, higher)

    found = {
        name: scheme(name).extract(
            frames(shaper, scheme(name), (-250.0, -100.0, 0.0), with_fifth_order), REPHASING
        )
        for name in ("3x3x1", "5x5x1")
    }
    assert found["3x3x1"] == pytest.approx(PLANTED["rephasing"] + 0.2, abs=4 * QUANTISATION)
    assert found["5x5x1"] == pytest.approx(PLANTED["rephasing"], abs=4 * QUANTISATION)
