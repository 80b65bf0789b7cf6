"""The operator `not in`."""

from typing import Any

from .interface import AbstractOperator


class NegatedSetMembershipOperator(AbstractOperator):
    """The attribute is not in the value."""

    SYMBOL = "not_in"

    def compare(self, expected: Any, actual: Any) -> bool:
        """Whether it holds."""
        return expected not in actual
