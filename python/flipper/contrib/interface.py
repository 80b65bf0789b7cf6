"""What a store is."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from flipper.exceptions import FlagDoesNotExistError

from .storage import FeatureFlagStoreItem, FeatureFlagStoreMeta

__all__ = ["AbstractFeatureFlagStore", "FlagDoesNotExistError", "change_flag"]


class AbstractFeatureFlagStore(metaclass=ABCMeta):
    """Keeps flags. These six methods make a store of your own; a client calls them with each check and write.

    Where several writers may change a flag at once, a store also has `change(feature_name, change)`: it reads the flag, calls
    `change` with a draft of its meta data, and writes that, all again if another writer was faster. Clients make all changes of
    meta data by it.

    Switch and meta data are written together, as `FeatureFlagStoreItem.to_dict` has them: it stores a flag with rules as off, since the
    original library would find it on for everybody.
    """

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


def change_flag(store: AbstractFeatureFlagStore, feature_name: str, change: Callable[[Any], None]) -> None:
    """Changes a flag's meta data by the store's own `change`; without it, by `get` and `set_meta`."""
    own = _change_of(store)
    if own is not None:
        own(feature_name, change)
        return
    item = store.get(feature_name)
    if item is None:
        raise FlagDoesNotExistError(f"flag {feature_name!r} does not exist")
    meta = FeatureFlagStoreMeta.from_dict(item.meta)
    change(meta)
    store.set_meta(feature_name, meta)


def _change_of(store: Any) -> Any:
    """The store's `change`, unless a subclass or a test has replaced the methods that it would pass by."""
    replaced = {"get", "set_meta"}
    for names in (getattr(store, "__dict__", {}), *map(vars, type(store).__mro__)):
        if "change" in names:
            return store.change
        if replaced & names.keys():
            return None
    return None
