"""One comparison of an attribute with a value."""

from __future__ import annotations

from typing import Any

from .operators import Operator
from .operators.interface import AbstractOperator

OPERATOR_DELIMITER = "__"


class Check:
    """Compares an attribute with a value."""

    def __init__(self, variable: str, value: Any, operator: AbstractOperator) -> None:
        self._variable = variable
        self._value = value
        self._operator = operator

    @property
    def variable(self) -> str:
        """The attribute's name."""
        return self._variable

    @property
    def value(self) -> Any:
        """The value it is compared with."""
        return self._value

    @property
    def operator(self) -> AbstractOperator:
        """How."""
        return self._operator

    def check(self, value: Any) -> bool:
        """Whether the check holds for this value of the attribute."""
        return self._operator.compare(value, self._value)

    @classmethod
    def factory(cls, check_key: str, check_value: Any) -> Check:
        """The check of a keyword such as `age__gte`. A key of more than two parts is an attribute's name."""
        parts = check_key.split(OPERATOR_DELIMITER)
        variable, symbol = parts if len(parts) == 2 else (check_key, None)
        return cls(variable, check_value, Operator.factory(symbol))

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return {"variable": self._variable, "value": self._value, "operator": self._operator.SYMBOL}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Check:
        """Reads the stored form."""
        return cls(fields["variable"], fields["value"], Operator.factory(fields["operator"]))

    @classmethod
    def make_check_key(cls, variable: str, operator: str | None) -> str:
        """The keyword of a check."""
        return variable if operator is None else OPERATOR_DELIMITER.join([variable, operator])

    def __repr__(self) -> str:
        return f"{self.make_check_key(self._variable, self._operator.SYMBOL)}={self._value!r}"
