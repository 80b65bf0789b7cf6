"""The operator `==`."""

from typing import Any, cast

from .interface import AbstractOperator


class EqualityOperator(AbstractOperator):
    """The attribute equals the value."""

    SYMBOL = None

    def compare(self, expected: Any, actual: Any) -> bool:
        """Whether it holds."""
        return cast(bool, expected == actual)
