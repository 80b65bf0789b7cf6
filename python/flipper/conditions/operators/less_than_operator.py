"""The operator `<`."""

from typing import Any, cast

from .interface import AbstractOperator


class LessThanOperator(AbstractOperator):
    """The attribute is less than the value."""

    SYMBOL = "lt"

    def compare(self, expected: Any, actual: Any) -> bool:
        """Whether it holds."""
        return cast(bool, expected < actual)
