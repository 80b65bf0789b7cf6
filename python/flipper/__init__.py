"""Feature flags: a check reads memory, and no write is lost."""

from . import contrib, decorators
from .client import FeatureFlagClient
from .conditions import Condition

# All stores, which are listed there.
from .contrib import *
from .exceptions import FlagDoesNotExistError, FlipperError
from .flag import FeatureFlag

__all__ = ["Condition", "FeatureFlag", "FeatureFlagClient", "FlagDoesNotExistError", "FlipperError", "decorators"]
__all__ += contrib.__all__
