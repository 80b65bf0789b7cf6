"""A flag as stores keep it."""

from .item import FeatureFlagStoreItem
from .meta import FeatureFlagStoreMeta

__all__ = ["FeatureFlagStoreItem", "FeatureFlagStoreMeta"]
