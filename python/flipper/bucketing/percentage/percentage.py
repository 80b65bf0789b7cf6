"""A fixed part."""

from __future__ import annotations

from typing import Any, cast

from .base import AbstractPercentage


class Percentage(AbstractPercentage):
    """0 is no one, 0.25 a quarter, 1 all."""

    def __init__(self, value: float | None = 1.0) -> None:
        self._value = value

    @classmethod
    def get_type(cls) -> str:
        """The name it is stored by."""
        return "Percentage"

    @property
    def value(self) -> float:
        """The part."""
        # Stored flags may have no number here, which only a comparison finds out.
        return cast(float, self._value)

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return {**super().to_dict(), "value": self._value}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Percentage:
        """Reads the stored form."""
        return cls(value=fields.get("value"))
