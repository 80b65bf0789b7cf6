"""A part of all checks."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from .base import AbstractBucketer
from .percentage import AbstractPercentage, Percentage, PercentageFactory


class PercentageBucketer(AbstractBucketer):
    """A part of all checks, drawn again with each: one caller is in at one check and out at the next."""

    def __init__(self, percentage: AbstractPercentage | float | None = None) -> None:
        if percentage is None:
            percentage = Percentage()
        elif isinstance(percentage, (int, float)):
            percentage = Percentage(percentage)
        elif not hasattr(percentage, "value"):
            raise TypeError(f"a percentage is a number or a Percentage, not {type(percentage).__name__}")
        self._percentage = percentage

    @classmethod
    def get_type(cls) -> str:
        """The name it is stored by."""
        return "PercentageBucketer"

    @property
    def percentage(self) -> float:
        """The part now, from 0 to 1."""
        return self._percentage.value

    def check(self, randomizer: Callable[[], float] = random.random, **checks: Any) -> bool:
        """Whether this check is in."""
        percentage = self._percentage.value
        return percentage != 0 and randomizer() <= percentage

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return {**super().to_dict(), "percentage": self._percentage.to_dict()}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> PercentageBucketer:
        """Reads the stored form."""
        return cls(percentage=_stored_percentage(fields))


def _stored_percentage(fields: dict[str, Any]) -> AbstractPercentage | None:
    stored = fields.get("percentage")
    return None if stored is None else PercentageFactory.create(stored)
