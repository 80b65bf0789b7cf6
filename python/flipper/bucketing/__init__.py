"""For which part of the checks or callers a flag is on."""

from .base import AbstractBucketer
from .consistent_hash_percentage_bucketer import ConsistentHashPercentageBucketer
from .factory import BucketerFactory
from .noop_bucketer import NoOpBucketer
from .percentage import LinearRampPercentage, Percentage, PercentageFactory
from .percentage_bucketer import PercentageBucketer
from .salted_percentage_bucketer import SaltedPercentageBucketer

__all__ = [
    "AbstractBucketer",
    "BucketerFactory",
    "ConsistentHashPercentageBucketer",
    "LinearRampPercentage",
    "NoOpBucketer",
    "Percentage",
    "PercentageBucketer",
    "PercentageFactory",
    "SaltedPercentageBucketer",
]
