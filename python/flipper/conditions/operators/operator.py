"""The operators by symbol."""

from __future__ import annotations

from typing import Any

from flipper import exceptions

from .equality_operator import EqualityOperator
from .greater_than_operator import GreaterThanOperator
from .greater_than_or_equal_to_operator import GreaterThanOrEqualToOperator
from .less_than_operator import LessThanOperator
from .less_than_or_equal_to_operator import LessThanOrEqualToOperator
from .negated_set_membership_operator import NegatedSetMembershipOperator
from .negation_operator import NegationOperator
from .set_membership_operator import SetMembershipOperator
from .interface import AbstractOperator

_OPERATORS: list[Any] = [
    EqualityOperator,
    GreaterThanOperator,
    GreaterThanOrEqualToOperator,
    LessThanOperator,
    LessThanOrEqualToOperator,
    NegationOperator,
    SetMembershipOperator,
    NegatedSetMembershipOperator,
]


class Operator:
    """Makes operators."""

    OPERATOR_MAP: dict[str | None, Any] = {operator.SYMBOL: operator for operator in _OPERATORS}

    InvalidSymbolError = exceptions.InvalidSymbolError

    @classmethod
    def factory(cls, operator_symbol: str | None) -> AbstractOperator:
        """The operator of this symbol; equality for `None`."""
        try:
            operator: AbstractOperator = cls.OPERATOR_MAP[operator_symbol]()
        except KeyError:
            raise cls.InvalidSymbolError(f"Operator not supported: {operator_symbol}") from None
        return operator
