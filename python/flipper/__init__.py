"""Feature flags: a check reads memory, and no write is lost."""

from . import decorators
from .client import FeatureFlagClient
from .conditions import Condition
from .contrib import (
    CachedFeatureFlagStore,
    ConsulFeatureFlagStore,
    MemoryFeatureFlagStore,
    PostgreSQLFeatureFlagStore,
    RedisFeatureFlagStore,
    ReplicatedFeatureFlagStore,
    S3FeatureFlagStore,
    ThriftRPCFeatureFlagStore,
)
from .exceptions import FlagDoesNotExistError, FlipperError
from .flag import FeatureFlag

__all__ = [
    "CachedFeatureFlagStore",
    "Condition",
    "ConsulFeatureFlagStore",
    "FeatureFlag",
    "FeatureFlagClient",
    "FlagDoesNotExistError",
    "FlipperError",
    "MemoryFeatureFlagStore",
    "PostgreSQLFeatureFlagStore",
    "RedisFeatureFlagStore",
    "ReplicatedFeatureFlagStore",
    "S3FeatureFlagStore",
    "ThriftRPCFeatureFlagStore",
    "decorators",
]
