"""The operator `>`."""

from typing import Any, cast

from .interface import AbstractOperator


class GreaterThanOperator(AbstractOperator):
    """The attribute is greater than the value."""

    SYMBOL = "gt"

    def compare(self, expected: Any, actual: Any) -> bool:
        """Whether it holds."""
        return cast(bool, expected > actual)
