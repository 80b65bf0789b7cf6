"""Percentages by the type that they are stored by."""

from __future__ import annotations

from typing import Any

from flipper import exceptions

from .base import AbstractPercentage
from .linear_ramp_percentage import LinearRampPercentage
from .percentage import Percentage


class PercentageFactory:
    """Makes percentages of their stored form."""

    PERCENTAGE_MAP: dict[str, Any] = {
        LinearRampPercentage.get_type(): LinearRampPercentage,
        Percentage.get_type(): Percentage,
    }

    InvalidPercentageTypeError = exceptions.InvalidPercentageTypeError

    @classmethod
    def create(cls, fields: dict[str, Any]) -> AbstractPercentage:
        """The percentage of this stored form."""
        type_name: Any = ""
        try:
            type_name = fields["type"]
            percentage: AbstractPercentage = cls.PERCENTAGE_MAP[type_name].from_dict(fields)
        except KeyError:
            raise cls.InvalidPercentageTypeError(f"Percentage type not supported: {type_name}") from None
        return percentage
