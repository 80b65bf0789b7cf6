"""Errors of drivers."""

from __future__ import annotations

from typing import Any

from flipper.exceptions import FlipperError


def both(kind: type[FlipperError], driver: type[Exception], message: str, fields: dict[str, Any] | None = None) -> Exception:
    """An error of this package that is one of the driver too, for programs that catch those. `fields`: what the driver's has."""
    def reduce(self: Exception) -> Any:
        # For another process, in which no module has this class.
        return kind, (str(self),)

    joined: Any = type(kind.__name__, (kind, driver), {"__module__": kind.__module__, "__reduce__": reduce})
    # Without the driver's `__init__`, which takes other arguments.
    error: Exception = joined.__new__(joined, message)
    error.__dict__.update(fields or {})
    return error
