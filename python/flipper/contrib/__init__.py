"""Stores."""

from .cached import CachedFeatureFlagStore
from .memory import MemoryFeatureFlagStore
from .replicated import ReplicatedFeatureFlagStore

__all__ = ["CachedFeatureFlagStore", "MemoryFeatureFlagStore", "ReplicatedFeatureFlagStore"]
