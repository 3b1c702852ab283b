"""Emulated instruments: each speaks the wire of the real one and asks the bench for its physics."""
