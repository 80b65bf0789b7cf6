"""What a bucketer is."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any


class AbstractBucketer(metaclass=ABCMeta):
    """Decides for which callers a flag is on, where no conditions do.

    A class of your own is stored by its type and its fields. `BucketerFactory.BUCKETER_MAP["MyBucketer"] = MyBucketer` makes it
    known, in each process that reads such a flag.
    """

    @abstractmethod
    def check(self, **checks: Any) -> bool:
        """Whether the flag is on for these attributes."""

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
    def from_dict(cls, fields: dict[str, Any]) -> AbstractBucketer:
        """Reads the stored form."""
