"""The time."""

from datetime import datetime


def now() -> int:
    """Unix time in seconds."""
    return int(datetime.now().timestamp())
