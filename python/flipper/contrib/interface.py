"""What a store is."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from typing import Any

from flipper.exceptions import FlagDoesNotExistError

from .storage import FeatureFlagStoreItem, FeatureFlagStoreMeta

__all__ = ["AbstractFeatureFlagStore", "FlagDoesNotExistError"]


class AbstractFeatureFlagStore(metaclass=ABCMeta):
    """Keeps flags. These six methods make a store of your own; a client calls them with each check and write."""

    @abstractmethod
    def create(self, feature_name: str, is_enabled: bool = False, client_data: dict[str, Any] | None = None) -> Any:
        """Creates a flag, or overwrites it."""

    @abstractmethod
    def get(self, feature_name: str) -> FeatureFlagStoreItem | None:
        """The flag of this name, or `None`."""

    @abstractmethod
    def set(self, feature_name: str, is_enabled: bool) -> Any:
        """Enables or disables a flag, which is created if it does not exist."""

    @abstractmethod
    def delete(self, feature_name: str) -> Any:
        """Deletes the flag, if there is one."""

    @abstractmethod
    def list(self, limit: int | None = None, offset: int = 0) -> Iterator[FeatureFlagStoreItem]:
        """All flags."""

    @abstractmethod
    def set_meta(self, feature_name: str, meta: FeatureFlagStoreMeta) -> Any:
        """Replaces a flag's meta data; `FlagDoesNotExistError` if it does not exist."""
