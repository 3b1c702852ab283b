"""Pure, seeded physics without input or output."""
