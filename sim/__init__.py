"""The physics twin: a bench with one clock, one seed and one truth, and emulated instruments on it."""
