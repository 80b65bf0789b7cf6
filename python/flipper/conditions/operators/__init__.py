"""How an attribute is compared with a value."""

from .operator import Operator

__all__ = ["Operator"]
