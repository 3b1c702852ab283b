"""Macro files as the emulated program reads and refuses them."""

from __future__ import annotations

import re
import struct

import pytest

from qdlab.sim.emulators.chi760.macro import MacroRefusedError, check, read_commands


def macro_bytes(lines: list[str], end: str = "\r\n") -> bytes:
    text = "".join(line + end for line in lines).encode("latin-1")
    return struct.pack("<I", len(text)) + text


def test_a_macro_is_read_in_any_case_with_any_separator_and_line_end():
    plain = check(read_commands(macro_bytes(["tech=cv", "ei=0.1", "el=-1", "qt=1e0", "run"])))
    lines = ["", "TECH : CV", " E I= 0.1 ; start", "el:-1#low", "; all comment", "qt = 1e0", "Run"]
    assert check(read_commands(macro_bytes(lines))) == plain
    assert check(read_commands(macro_bytes(lines, "\n"))) == plain


def test_a_length_beyond_the_text_is_tolerated_and_a_shorter_one_cuts_it():
    text = b"tech=cv\nbeep\nrun\n"
    assert [c.name for c in read_commands(struct.pack("<I", 611) + text)] == ["tech", "beep", "run"]
    assert [c.name for c in read_commands(struct.pack("<I", 10) + text)] == ["tech", "be"]


def test_without_the_length_the_first_four_characters_are_lost():
    assert read_commands(b"folder: x\nrun\n")[0].name == "er"
    with pytest.raises(MacroRefusedError, match="Can not read"):
        read_commands(b"run")


def test_nothing_after_end_is_read():
    assert check(read_commands(macro_bytes(["beep", "end", "nonsense"]))) == []


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["tech=xyz"], "unknown technique"),
        (["tech=dpv"], "does not have the technique dpv"),
        (["frobnicate"], "unknown command"),
        (["autosens"], "does not have the command autosens"),
        (["for: 3"], "does not have the command for"),
        (["tech=cv", "el=-10.1"], "el = -10.1 out of range"),
        (["tech=cv", "v=20000"], "out of range"),
        (["tech=cv", "si=0.0005"], "out of range"),
        (["tech=cv", "cl=2.5"], "out of range"),
        (["tech=cv", "sens=5e-6"], "out of range"),
        (["tech=cv", "sens=1"], "out of range"),
        (["tech=cv", "ei=zero"], "not a number"),
        (["tech=cv", "ei=nan"], "out of range"),
        (["tech=cv", "pn=x"], "neither p nor n"),
        (["tech=cv", "eh=0", "el=-0.005", "run"], "less than 0.01 V"),
        (["tech=cv", "eh=7", "el=-7", "run"], "exceeds 13.1 V"),
        (["tech=lsv", "ei=0", "ef=0", "run"], "less than 0.01 V"),
        (["tech=i-t", "si=1", "st=0.5", "run"], "shorter"),
        (["tech=step", "run"], "no step"),
        (["delay: 1.5"], "whole number"),
        (["forcequit"], "yesiamsure"),
        (["save: a"], "no data"),
        (["save: a.b"], "bad file name"),
        (["folder: /no/such/place"], "folder does not exist"),
    ],
)
def test_a_fault_is_refused_with_its_reason_although_the_rest_is_good(lines, says):
    good = ["tech=ocpt", "st=10", "si=0.1", "run", "save: b"] if lines[0] != "save: a" else []
    with pytest.raises(MacroRefusedError, match=re.escape(says)) as refusal:
        check(read_commands(macro_bytes([*good, *lines, "forcequit: yesiamsure"])))
    assert str(refusal.value).startswith(f"Line {len(good) + len(lines)}: ")
