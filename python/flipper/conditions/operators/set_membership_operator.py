"""The operator `in`."""

from typing import Any

from .interface import AbstractOperator


class SetMembershipOperator(AbstractOperator):
    """The attribute is in the value."""

    SYMBOL = "in"

    def compare(self, expected: Any, actual: Any) -> bool:
        """Whether it holds."""
        return expected in actual
