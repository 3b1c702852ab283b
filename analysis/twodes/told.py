"""Fitted times as people read them."""

UNDETERMINED = "undetermined"


def told_time(value_fs: float, error_fs: float, decimals: int = 0) -> str:
    """A fitted time and its standard error as text; one whose 95 % interval reaches zero is undetermined."""
    if not 1.96 * error_fs < value_fs:
        return UNDETERMINED
    return f"{value_fs:.{decimals}f} ± {error_fs:.{decimals}f}"
