"""`qdlab station check` and `safe`."""

from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "configs"


def test_check_says_who_answers_and_what_is_allowed(qdlab):
    ended = qdlab("station", "check", "charging_simulated")
    assert ended.status == 0
    for word in ("PDL 828", "TimeHarp 260 P", "CHI760C", "[SIMULATED]", "-2 to 0.6 V", "Pt quasi-reference"):
        assert word in ended.out


def test_safe_makes_every_instrument_safe(qdlab):
    ended = qdlab("station", "safe", "charging_simulated")
    assert ended.status == 0
    first, *others = ended.out.splitlines()
    assert first == "laser: safe"
    assert set(others) == {"counter: safe", "potentiostat: safe"}


def test_safe_does_what_it_can_when_one_instrument_is_missing(qdlab, tmp_path):
    text = (SHIPPED / "charging_simulated.toml").read_text()
    broken = tmp_path / "broken.toml"
    broken.write_text(text.replace('connection = "simulated"\ncount', 'connection = "/no/such.so"\ncount'))
    ended = qdlab("station", "safe", broken)
    assert ended.status == 1
    assert ended.out.splitlines() == ["laser: safe", "potentiostat: safe"]
    assert "/no/such.so" in ended.sentence
