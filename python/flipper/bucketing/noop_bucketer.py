"""Everyone."""

from __future__ import annotations

from typing import Any

from .base import AbstractBucketer


class NoOpBucketer(AbstractBucketer):
    """The flag is on for all callers."""

    @classmethod
    def get_type(cls) -> str:
        """The name it is stored by."""
        return "NoOpBucketer"

    def check(self, **checks: Any) -> bool:
        """Always."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return super().to_dict()

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> NoOpBucketer:
        """Reads the stored form."""
        return cls()
