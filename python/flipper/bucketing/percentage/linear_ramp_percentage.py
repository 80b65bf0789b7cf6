"""A part that changes with time."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from .base import AbstractPercentage


class LinearRampPercentage(AbstractPercentage):
    """Goes from `initial_value` to `final_value`, up or down, within `ramp_duration` seconds from `initial_time`, in Unix seconds;
    from now, if that is not given. Before and after it is the one or the other."""

    def __init__(
        self,
        initial_value: float = 0.0,
        final_value: float = 1.0,
        ramp_duration: float = 3600,
        initial_time: float | None = None,
    ) -> None:
        self._initial_value = initial_value
        self._final_value = final_value
        self._ramp_duration = ramp_duration
        self._initial_time = datetime.now() if initial_time is None else datetime.fromtimestamp(initial_time)

    @classmethod
    def get_type(cls) -> str:
        """The name it is stored by."""
        return "LinearRampPercentage"

    @property
    def value(self) -> float:
        """The part now."""
        # First, so that values that are no numbers raise at any time.
        slope = self.slope if self._ramp_duration > 0 else self._final_value - self._initial_value
        elapsed = self.dt
        if self._ramp_duration <= 0 or elapsed >= self._ramp_duration:
            return self._final_value
        if elapsed <= 0:
            return self._initial_value
        return slope * elapsed + self._initial_value

    @property
    def slope(self) -> float:
        """The change in a second."""
        return (self._final_value - self._initial_value) / self._ramp_duration

    @property
    def dt(self) -> float:
        """The seconds since the start."""
        # In UTC: two local times are an hour further apart, or nearer, where the clocks change in between.
        return (datetime.now().astimezone(timezone.utc) - self._initial_time.astimezone(timezone.utc)).total_seconds()

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return {
            **super().to_dict(),
            "initial_value": self._initial_value,
            "final_value": self._final_value,
            "ramp_duration": self._ramp_duration,
            "initial_time": int(self._initial_time.timestamp()),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> LinearRampPercentage:
        """Reads the stored form."""
        return cls(
            initial_value=fields.get("initial_value", 0.0),
            final_value=fields.get("final_value", 1.0),
            ramp_duration=fields.get("ramp_duration", 3600),
            initial_time=fields.get("initial_time"),
        )
