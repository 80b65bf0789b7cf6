"""A store with a cache in front of it."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from numbers import Real
from typing import Any

from flipper.history import Entry, entries_of, restore

from .interface import AbstractFeatureFlagStore, change_flag
from .storage import FeatureFlagStoreItem, FeatureFlagStoreMeta

DEFAULT_SIZE = 5000
DEFAULT_TTL = 15 * 60


class ExpiringCache:
    """The values used last, each for so many seconds from when it was put in. An expired one stays at hand until it is the oldest."""

    def __init__(self, size: int, ttl: float | None) -> None:
        if size < 1:
            raise ValueError("a cache has room for at least one value")
        if ttl is not None and not isinstance(ttl, Real):
            raise TypeError(f"a ttl is a number of seconds, such as 900, or None for ever, not {ttl!r}")
        if ttl != ttl:
            raise ValueError("a ttl is a number of seconds, not nan")
        self._size = size
        self._ttl = ttl
        self._entries: OrderedDict[str, tuple[Any, float]] = OrderedDict()
        self._begin()

    def _begin(self) -> None:
        self._held = threading.Lock()
        self._process = os.getpid()

    @property
    def _lock(self) -> threading.Lock:
        if self._process != os.getpid():
            # A thread of the parent's may hold it, which is not in this process.
            self._begin()
        return self._held

    def __getitem__(self, key: str) -> Any:
        with self._lock:
            value, expires = self._entries[key]
            if time.monotonic() >= expires:
                raise KeyError(key)
            self._entries.move_to_end(key)
            return value

    def __setitem__(self, key: str, value: Any) -> None:
        expires = float("inf") if self._ttl is None else time.monotonic() + self._ttl
        with self._lock:
            self._entries[key] = value, expires
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def stale(self, key: str) -> Any:
        """The value, expired or not; a `KeyError` if it is not held."""
        with self._lock:
            return self._entries[key][0]

    def pop(self, key: str, default: Any = None) -> Any:
        """Takes a value out."""
        with self._lock:
            entry = self._entries.pop(key, None)
        return default if entry is None else entry[0]


class CachedFeatureFlagStore(AbstractFeatureFlagStore):
    """Asks the cache first, then the store, and holds the answer, also that there is no such flag.

    `size`, or `max_size`: how many flags are held. `ttl`, or `expiration`: for how many seconds; 15 minutes, and `None` is for
    ever. Writes through it are seen at once, those of other processes when the flag expires. While the store raises, flags that
    have expired are served.
    """

    def __init__(
        self,
        store: AbstractFeatureFlagStore,
        size: int = DEFAULT_SIZE,
        ttl: float | None = DEFAULT_TTL,
        **options: Any,
    ) -> None:
        size = options.pop("max_size", size)
        ttl = options.pop("expiration", ttl)
        # Of the cache that older versions had; this one is always safe to share between threads.
        for name in ("thread_clear", "thread_clear_min_check", "concurrent"):
            options.pop(name, None)
        if options:
            raise TypeError(f"CachedFeatureFlagStore() got an unexpected keyword argument {next(iter(options))!r}")
        self._cache: Any = ExpiringCache(size, ttl)
        self._store = store
        self._ttl = ttl

    def create(
        self, feature_name: str, is_enabled: bool = False, client_data: dict[str, Any] | None = None
    ) -> FeatureFlagStoreItem | None:
        """Creates a flag, or overwrites it."""
        item: FeatureFlagStoreItem | None = self._store.create(
            feature_name, is_enabled=is_enabled, client_data=client_data
        )
        if item is None:
            # A store that returns nothing.
            return self._refresh(feature_name)
        self._cache[feature_name] = item
        return item

    def get(self, feature_name: str) -> FeatureFlagStoreItem | None:
        """The flag of this name, or `None`."""
        try:
            held: FeatureFlagStoreItem | None = self._cache[feature_name]
            return held
        except KeyError:
            pass
        try:
            return self._refresh(feature_name)
        except Exception:
            try:
                stale: FeatureFlagStoreItem | None = self._cache.stale(feature_name)
            except (AttributeError, KeyError):
                stale = None
            if stale is None:
                raise
            return stale

    def _refresh(self, feature_name: str) -> FeatureFlagStoreItem | None:
        item = self._store.get(feature_name)
        self._cache[feature_name] = item
        return item

    def set(self, feature_name: str, is_enabled: bool) -> None:
        """Enables or disables a flag, which is created if it does not exist."""
        self._store.set(feature_name, is_enabled)
        self._refresh(feature_name)

    def delete(self, feature_name: str) -> None:
        """Deletes the flag, if there is one."""
        self._store.delete(feature_name)
        self._cache.pop(feature_name, None)

    def list(self, limit: int | None = None, offset: int = 0) -> Iterator[FeatureFlagStoreItem]:
        """All flags, as the store has them."""
        return self._store.list(limit=limit, offset=offset)

    def set_meta(self, feature_name: str, meta: FeatureFlagStoreMeta) -> None:
        """Replaces a flag's meta data."""
        self._store.set_meta(feature_name, meta)
        self._refresh(feature_name)

    def change(self, feature_name: str, change: Callable[[Any], None]) -> None:
        """Changes a flag's meta data as the store has them: what the cache holds may be older."""
        change_flag(self._store, feature_name, change)
        self._refresh(feature_name)

    def history(self, feature_name: str | None = None, since: float | None = None) -> Iterator[Entry]:
        """The history of the store."""
        return entries_of(self._store, feature_name, since)

    def restore(self, feature_name: str, entry: Entry) -> None:
        """Restores the flag in the store."""
        restore(self._store, feature_name, entry)
        self._refresh(feature_name)

    def __repr__(self) -> str:
        return f"CachedFeatureFlagStore({self._store!r})"
