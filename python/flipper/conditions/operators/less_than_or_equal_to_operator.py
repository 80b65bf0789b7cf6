"""The operator `<=`."""

from typing import Any, cast

from .interface import AbstractOperator


class LessThanOrEqualToOperator(AbstractOperator):
    """The attribute is not greater than the value."""

    SYMBOL = "lte"

    def compare(self, expected: Any, actual: Any) -> bool:
        """Whether it holds."""
        return cast(bool, expected <= actual)
