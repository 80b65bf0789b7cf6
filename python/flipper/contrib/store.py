"""What a store is; `interface` by its older name."""

from .interface import AbstractFeatureFlagStore, FlagDoesNotExistError

__all__ = ["AbstractFeatureFlagStore", "FlagDoesNotExistError"]
