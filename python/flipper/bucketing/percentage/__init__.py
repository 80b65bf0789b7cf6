"""How large a part is."""

from .base import AbstractPercentage
from .factory import PercentageFactory
from .linear_ramp_percentage import LinearRampPercentage
from .percentage import Percentage

__all__ = ["AbstractPercentage", "LinearRampPercentage", "Percentage", "PercentageFactory"]
