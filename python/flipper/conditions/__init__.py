"""For whom a flag is on."""

from .condition import Condition

__all__ = ["Condition"]
