"""The station panel: one card per instrument."""
