"""The named faults of the emulated CHI 760C."""

from __future__ import annotations

FAULTS: dict[str, str] = {
    "chi_never_starts": "The program ends as soon as it is started, without any window.",
    "chi_port_locked": "Another program holds the serial port: a dialog at the start, nothing runs.",
    "chi_link_failed": "The instrument does not answer: the dialog 'Link failed' at the start, nothing runs.",
    "chi_dialog_on_start": "A warning about the electrode leads waits before the first run, nothing runs.",
    "chi_dialog_on_save": "A dialog waits when the first result is to be saved; nothing is written.",
    "chi_link_lost_in_run": "The link breaks in a run: the dialog 'Link failed'; the box goes on by itself.",
    "chi_crash_in_run": "The program ends in the middle of the first run; the box goes on by itself.",
    "chi_hang": "The program stops reacting in the middle of the first run, without any dialog.",
    "chi_truncated_result": "The text result is cut off in the middle of a row.",
    "chi_missing_result": "The program quits without having written the text result.",
    "chi_overload": "The current leaves the range in the middle third of every run and is clipped.",
    "chi_stopped_early": "Somebody presses Stop after 60 % of the rows of every run; what is there is saved.",
    "chi_wrong_polarity": "The program is set to the other current polarity than it should be.",
    "chi_wrong_technique": "The saved result is that of another technique than the one that was run.",
}
"""Name and what happens; active when the name is among the bench's faults."""
