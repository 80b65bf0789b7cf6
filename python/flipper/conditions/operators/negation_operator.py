"""The operator `!=`."""

from typing import Any, cast

from .interface import AbstractOperator


class NegationOperator(AbstractOperator):
    """The attribute differs from the value."""

    SYMBOL = "ne"

    def compare(self, expected: Any, actual: Any) -> bool:
        """Whether it holds."""
        return cast(bool, expected != actual)
