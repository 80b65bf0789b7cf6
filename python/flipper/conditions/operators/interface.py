"""What an operator is."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any


class AbstractOperator(metaclass=ABCMeta):
    """A comparison, by the symbol that it is stored by."""

    # What stands behind the attribute's name in a keyword, and in the stored form.
    SYMBOL: str | None

    @abstractmethod
    def compare(self, expected: Any, actual: Any) -> bool:
        """Whether it holds; `expected` is the attribute, `actual` the value of the condition."""
