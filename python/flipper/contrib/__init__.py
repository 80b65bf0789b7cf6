"""Stores."""

from .cached import CachedFeatureFlagStore
from .consul import ConsulFeatureFlagStore
from .memory import MemoryFeatureFlagStore
from .redis import RedisFeatureFlagStore
from .replicated import ReplicatedFeatureFlagStore
from .thrift import ThriftRPCFeatureFlagStore

__all__ = [
    "CachedFeatureFlagStore",
    "ConsulFeatureFlagStore",
    "MemoryFeatureFlagStore",
    "RedisFeatureFlagStore",
    "ReplicatedFeatureFlagStore",
    "ThriftRPCFeatureFlagStore",
]
