"""The lab window: what the physicist sees and does."""
