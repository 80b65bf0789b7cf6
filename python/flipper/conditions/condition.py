"""Checks of attributes, all of which must hold."""

from __future__ import annotations

import copy
from typing import Any

from .check import Check
from .operators import Operator


class Condition:
    """Checks by attribute: `Condition(plan="pro", age__gte=18)`. Attributes that a caller does not give are not looked at."""

    def __init__(self, **checks: Any) -> None:
        self._checks: dict[str, list[Check]] = {}
        for key, value in checks.items():
            self._add(Check.factory(key, value))

    def _add(self, check: Check) -> None:
        self._checks.setdefault(check.variable, []).append(check)

    @property
    def checks(self) -> dict[str, list[Check]]:
        """The checks by attribute, a copy."""
        return copy.deepcopy(self._checks)

    def check(self, **checks: Any) -> bool:
        """Whether all checks on these attributes hold."""
        for name, value in checks.items():
            for check in self._checks.get(name, ()):
                if check.check(value) is False:
                    return False
        return True

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return {variable: [check.to_dict() for check in checks] for variable, checks in self._checks.items()}

    @classmethod
    def from_dict(cls, conditions: dict[str, Any]) -> Condition:
        """Reads the stored form. Each check names its own attribute; of two that differ in the value alone the last counts."""
        found: dict[tuple[str, str | None], Check] = {}
        for checks in conditions.values():
            for fields in checks:
                variable, symbol = fields["variable"], fields["operator"]
                if symbol in Operator.OPERATOR_MAP:
                    check = Check.from_dict(fields)
                else:
                    # A key of more than two parts is an attribute's name.
                    check = Check.factory(Check.make_check_key(variable, symbol), fields["value"])
                found[variable, symbol] = check
        condition = cls()
        for check in found.values():
            condition._add(check)
        return condition

    def __repr__(self) -> str:
        checks = [check for checks in self._checks.values() for check in checks]
        return f"Condition({', '.join(map(repr, checks))})"
