"""Wavenumbers and femtoseconds."""

W = 1.883651567308853e-4
"""2 pi c: angular frequency in rad/fs of one cm-1."""
FS_PER_CM = 33356.40951981521
"""Period in fs of 1 cm-1; a beat of w2 cm-1 has the period FS_PER_CM / w2."""
