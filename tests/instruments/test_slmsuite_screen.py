"""A panel behind slmsuite: our grey levels arrive as they are, and what its makers' modules do wrong is told.

Each test runs on slmsuite's own simulated panel where slmsuite is installed, and on a stand-in of the same
signatures anywhere.
"""

import gc
import importlib.util
import inspect
import logging
import sys
from datetime import date
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from qdlab.instruments.base import InstrumentError, NotConnectedError, VendorSoftwareMissingError
from qdlab.instruments.pulse_shaper import PulseTrain
from qdlab.instruments.shaper.calibration import GreyCurve, LcosCalibration
from qdlab.instruments.shaper.frames import Diffraction, PhaseOnly, pack
from qdlab.instruments.shaper.lcos import LcosShaper
from qdlab.instruments.shaper.slmsuite_screen import SlmsuiteScreen
from qdlab.procedures.coherence_drivers import LCOS
from qdlab.procedures.config import validated
from qdlab.procedures.drivers import Surroundings
from qdlab.procedures.errors import ConfigError
from qdlab.sim.bench import Faults
from qdlab.sim.clock import SimulatedClock
from qdlab.sim.emulators.shaper_screen import EmulatedScreen, Panel, exact_calibration

INSTALLED = importlib.util.find_spec("slmsuite") is not None
STAND_IN = Path(__file__).parent / "stand_in"
RESOLUTION = (320, 208)  # as slmsuite counts: columns, rows


def forget(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "slmsuite"]:
        monkeypatch.delitem(sys.modules, name)


def use_stand_in(monkeypatch):
    forget(monkeypatch)
    monkeypatch.syspath_prepend(STAND_IN)


@pytest.fixture(params=["slmsuite", "stand-in"] if INSTALLED else ["stand-in"])
def simulated(request, monkeypatch):
    """The module slmsuite.hardware.slms.simulated, of one or the other."""
    if request.param == "stand-in":
        use_stand_in(monkeypatch)
    yield importlib.import_module("slmsuite.hardware.slms.simulated")
    if request.param == "stand-in":
        for name in [name for name in sys.modules if name.split(".")[0] == "slmsuite"]:
            del sys.modules[name]


@pytest.fixture
def panel(simulated, monkeypatch):
    """A class of panel that keeps what reaches the call to the hardware; `fault` is done there."""

    class Kept(simulated.SimulatedSLM):
        frames: ClassVar[list[np.ndarray]] = []
        closed = 0
        fault = staticmethod(lambda display: None)

        def _set_phase_hw(self, display):
            Kept.fault(display)
            Kept.frames.append(display.copy())

        def close(self):
            Kept.closed += 1

    monkeypatch.setattr(simulated, "Kept", Kept, raising=False)
    return Kept


def opened(bits=8, **options):
    screen = SlmsuiteScreen("simulated.Kept", {"resolution": [*RESOLUTION], "bitdepth": bits, **options})
    return screen, screen.open()


def blank(dtype=np.uint8):
    return np.zeros(RESOLUTION[::-1], dtype)


# ---- frames ----


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (10, np.uint16), (12, np.uint16)])
def test_every_grey_level_reaches_the_hardware_as_it_is(panel, bits, dtype):
    screen, info = opened(bits)
    assert info == ("simulated.Kept", 320, 208, 1.0, bits)
    frame = np.random.default_rng(bits).permutation(np.arange(320 * 208) % 2**bits)
    frame = frame.astype(dtype).reshape(208, 320)
    screen.show(frame)
    assert panel.frames[-1].dtype == dtype
    assert np.array_equal(panel.frames[-1], frame)


def test_no_scaling_or_correction_of_slmsuite_touches_a_frame(panel):
    screen, _ = opened(8, wav_um=0.55, wav_design_um=0.8)
    screen._panel.source = {"phase": np.full((208, 320), 1.0)}
    frame = np.arange(320 * 208, dtype=np.uint32).astype(np.uint8).reshape(208, 320)
    screen.show(frame)
    assert np.array_equal(panel.frames[-1], frame)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("encoding", [Diffraction(16, 1), PhaseOnly()], ids=["diffraction", "phase only"])
def test_pulses_through_slmsuite_are_those_of_the_second_monitor(panel, bits, encoding):
    class Table:
        clock = SimulatedClock()
        faults = Faults(frozenset())
        shaper_mask = None

        def set_pump(self, pulses):
            self.pump = tuple(pulses)

    kind = Panel(bits=bits, stop_rows=16 if isinstance(encoding, Diffraction) else None)
    there = [(Table(), None), (Table(), None)]
    twins = [EmulatedScreen(table, panel=kind) for table, _ in there]
    calibration = exact_calibration(twins[0].optics, kind)
    panel.fault = staticmethod(lambda display: twins[1].show(pack(display, bits)))
    resolution = [twins[1].optics.columns, kind.rows]
    screens = [twins[0], SlmsuiteScreen("simulated.Kept", {"resolution": resolution, "bitdepth": bits})]
    train = PulseTrain.pair(150.0, (0.3, 2.0), rotating_frame=0.9, carrier_cm=18_200.0)
    for screen in screens:
        shaper = LcosShaper(
            screen, clock=Table.clock, calibration=calibration, encoding=encoding, rows=kind.rows
        )
        shaper.connect()
        shaper.set_pulses(train)
        shaper.wait_settled()
    assert np.array_equal(twins[0].frame, twins[1].frame)
    assert [pulse.delay_fs for pulse in there[1][0].pump] == pytest.approx([-150.0, 0.0], abs=0.010)
    assert there[0][0].pump == there[1][0].pump


def test_a_frame_of_another_size_is_refused_where_slmsuite_would_crop_it(panel):
    screen, _ = opened()
    shown = len(panel.frames)
    with pytest.raises(ValueError, match=r"is \(208, 320\), not \(210, 320\)"):
        screen.show(np.zeros((210, 320), np.uint8))
    assert len(panel.frames) == shown


# ---- the shaper on such a panel ----


def shaper_of(levels, columns=320, rows=208, bits=8):
    curves = tuple(GreyCurve(nm, np.linspace(0, 2.2 * np.pi * 650 / nm, levels)) for nm in (450.0, 650.0))
    calibration = LcosCalibration(
        date=date(2026, 5, 1),
        optics="test",
        columns=columns,
        wavelength_nm=(550.0, 100.0),
        grey=curves,
        residual_centre_cm=18_200.0,
    )
    screen = SlmsuiteScreen("simulated.Kept", {"resolution": [*RESOLUTION], "bitdepth": bits})
    clock = SimulatedClock()
    return LcosShaper(screen, clock=clock, calibration=calibration, encoding=Diffraction(16, 1), rows=rows)


def test_a_panel_of_twelve_bits_takes_its_own_levels(panel):
    shaper = shaper_of(4096, bits=12)
    assert shaper.connect().simulated
    shaper.show_grating(4095)
    assert np.array_equal(np.unique(panel.frames[-1]), [0, 4095])
    shaper.disconnect()
    assert panel.closed == 1


def test_a_panel_of_another_size_or_depth_is_refused_and_let_go(panel):
    for shaper, said in (
        (shaper_of(256, columns=318), "has 320 x 208 pixels, the panel 318 x 208"),
        (shaper_of(256, rows=200), "has 320 x 208 pixels, the panel 320 x 200"),
        (shaper_of(1024, bits=12), "has 4096 grey levels, the calibration 1024"),
    ):
        panel.closed = 0
        with pytest.raises(InstrumentError, match=said):
            shaper.connect()
        assert panel.closed == 1


def test_a_calibration_of_an_odd_number_of_levels_is_refused(panel):
    with pytest.raises(ValueError, match="256, 512, 1024, 2048, 4096 grey levels, not 300"):
        shaper_of(300)


# ---- what goes wrong at the maker's end ----


def test_a_frame_that_the_makers_software_refuses_is_told(panel):
    def refuse(display):
        raise RuntimeError("DMA\n  Failed")

    screen, _ = opened()
    panel.fault = staticmethod(refuse)
    with pytest.raises(InstrumentError, match=r"Kept did not show a frame \(RuntimeError: DMA Failed\)$"):
        screen.show(blank())


def test_a_frame_refused_by_a_warning_in_slmsuites_log_only_is_told(panel):
    def refuse(display):
        logging.getLogger("slmsuite.slmsuite.hardware.slms.santec").warning("Santec error %s", "SLM_BS")

    screen, _ = opened()
    panel.fault = staticmethod(refuse)
    with pytest.raises(InstrumentError, match=r"did not show a frame \(RuntimeError: Santec error SLM_BS\)"):
        screen.show(blank())
    panel.fault = staticmethod(lambda display: logging.getLogger("slmsuite").info("shown"))
    screen.show(blank())


def test_grey_levels_beyond_the_panels_depth_are_told(panel):
    screen, _ = opened(10)
    with pytest.raises(InstrumentError, match="did not show a frame"):
        screen.show(np.full((208, 320), 1024, np.uint16))


def test_a_panel_that_cannot_be_opened_or_closed_is_told(panel, monkeypatch):
    def refuse(display):
        raise OSError("no board")

    panel.fault = staticmethod(refuse)
    with pytest.raises(InstrumentError, match=r"cannot be opened \(OSError: no board\)") as told:
        opened()
    assert panel.closed == 1  # what was half open is closed, though the error is still held
    assert told.value.__cause__.args == ("no board",)
    panel.fault = staticmethod(lambda display: None)
    screen, _ = opened()
    monkeypatch.setattr(panel, "close", refuse_to_close)
    with pytest.raises(InstrumentError, match=r"did not close \(RuntimeError: busy\)"):
        screen.close()
    screen.close()


def refuse_to_close(self):
    raise RuntimeError("busy")


def test_nothing_is_shown_on_a_panel_that_is_not_open(panel):
    screen = SlmsuiteScreen("simulated.Kept", {"resolution": [*RESOLUTION]})
    screen.close()
    with pytest.raises(NotConnectedError, match="Kept is not open"):
        screen.show(blank())
    screen.open()
    screen.close()
    with pytest.raises(NotConnectedError):
        screen.show(blank())
    assert panel.closed == 1


def test_a_panel_is_closed_once_so_that_it_can_be_opened_anew(panel):
    screen, _ = opened()
    first = screen._panel
    screen.close()
    screen.open()
    del first  # slmsuite closes what Python drops
    gc.collect()
    assert panel.closed == 1
    screen.show(blank())


# ---- what is asked for wrongly ----


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("Santec", {}, "no panel 'Santec': give MODULE.CLASS, such as santec.Santec; its modules: .*sim"),
        ("no_maker.Panel", {}, "no panel 'no_maker.Panel': give MODULE.CLASS"),
        ("simulated.Simulated", {}, "no panel 'simulated.Simulated'; in simulated: .*SimulatedSLM"),
        ("slm.SLM", {}, "no panel 'slm.SLM'; in slm: none"),
        ("simulated.SimulatedSLM", {}, "missing a required argument: 'resolution'"),
        ("simulated.SimulatedSLM", {"resolution": [320, 208], "bit_depth": 8}, "takes no bit_depth; it"),
    ],
)
def test_a_class_or_an_option_that_slmsuite_does_not_have_is_refused(simulated, kind, options, said):
    with pytest.raises(ValueError, match=said):
        SlmsuiteScreen(kind, options)


def test_a_makers_software_that_is_missing_is_told_each_time(simulated):
    for _ in range(2):
        with pytest.raises(
            VendorSoftwareMissingError, match=r"slms\.holoeye: Holoeye SDK HEDS not installed\. Inst"
        ):
            SlmsuiteScreen("holoeye.Holoeye", {})


def test_without_slmsuite_the_extra_is_named(monkeypatch):
    forget(monkeypatch)
    monkeypatch.setitem(sys.modules, "slmsuite", None)
    with pytest.raises(VendorSoftwareMissingError, match=r"needs slmsuite .*pip install 'qdlab\[slmsuite\]'"):
        SlmsuiteScreen("santec.Santec", {})


def test_a_station_names_class_and_options(panel, tmp_path):
    calibration = shaper_of(256).calibration
    calibration.save(tmp_path / "lcos.toml")
    table = {
        "driver": "lcos",
        "connection": "slmsuite:simulated.Kept",
        "rows": 208,
        "calibration": "lcos.toml",
        "optics": "test",
        "optics_changed": date(2026, 4, 1),
        "panel": {"resolution": [*RESOLUTION], "bitdepth": 8},
    }
    around = Surroundings(SimulatedClock(), tmp_path, input, None, tmp_path)
    with LCOS.build(validated(LCOS.table, table, where="lab.toml"), around) as shaper:
        shaper.show_grating(17)
    assert any(np.array_equal(np.unique(frame), [0, 17]) for frame in panel.frames)
    table["connection"] = "slmsuite:simulated.Gone"
    with pytest.raises(ConfigError, match=r"\[shaper\]: slmsuite has no panel 'simulated.Gone'"):
        LCOS.build(validated(LCOS.table, table, where="lab.toml"), around)


# ---- the stand-in ----


def signatures():
    slm = importlib.import_module("slmsuite.hardware.slms.slm").SLM
    simulated = importlib.import_module("slmsuite.hardware.slms.simulated").SimulatedSLM
    functions = (slm.__init__, slm.set_phase, slm._set_phase_hw, slm.close, simulated.__init__)
    return [
        [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()] for f in functions
    ]


@pytest.mark.skipif(not INSTALLED, reason="slmsuite is not installed (extra slmsuite): stand-in only")
def test_the_stand_in_has_the_signatures_of_slmsuite(monkeypatch):
    wanted = signatures()
    with monkeypatch.context() as within:
        use_stand_in(within)
        found = signatures()
        for name in [name for name in sys.modules if name.split(".")[0] == "slmsuite"]:
            del sys.modules[name]
    assert found == wanted
