"""The operator `>=`."""

from typing import Any, cast

from .interface import AbstractOperator


class GreaterThanOrEqualToOperator(AbstractOperator):
    """The attribute is not less than the value."""

    SYMBOL = "gte"

    def compare(self, expected: Any, actual: Any) -> bool:
        """Whether it holds."""
        return cast(bool, expected >= actual)
