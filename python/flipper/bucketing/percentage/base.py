"""What a percentage is."""

from __future__ import annotations

import numbers
from abc import ABCMeta, abstractmethod
from typing import Any


class AbstractPercentage(metaclass=ABCMeta):
    """A part, from 0 to 1, that compares like a number."""

    @property
    @abstractmethod
    def value(self) -> float:
        """The part now."""

    @classmethod
    @abstractmethod
    def get_type(cls) -> str:
        """The name it is stored by."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The stored form; subclasses add their fields."""
        return {"type": self.get_type()}

    @classmethod
    @abstractmethod
    def from_dict(cls, fields: dict[str, Any]) -> AbstractPercentage:
        """Reads the stored form."""

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _number(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= _number(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _number(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= _number(other))

    def __eq__(self, other: object) -> bool:
        return bool(self.value == _number(other))

    # Equal to numbers, and different from one moment to the next.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items() if name != "type")
        return f"{type(self).__name__}({fields})"


def _number(other: Any) -> Any:
    if not isinstance(other, numbers.Number):
        raise ValueError(f"a percentage compares with numbers, not {type(other).__name__}")
    return other
