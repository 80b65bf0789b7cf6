"""A store whose writes go to others too."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from flipper.history import Entry, current_cause, entries_of, restore, writing

from .interface import AbstractFeatureFlagStore, change_flag
from .storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from .storage.limits import PARTS, SEGMENT

log = logging.getLogger(__name__)


class ReplicatedFeatureFlagStore(AbstractFeatureFlagStore):
    """Reads the primary store, and writes it, then all replicas at once. A replica gets writes in their order.

    A write waits `replication_timeout` seconds for all replicas together; what they have not done by then goes on in the
    background, and an error of theirs is logged. With `asynch=False` it waits until they are done, and raises their first error.
    """

    def __init__(
        self,
        primary: AbstractFeatureFlagStore,
        *replicas: AbstractFeatureFlagStore,
        replication_timeout: float = 1,
    ) -> None:
        self._primary = primary
        self._replicas = [_Replica(replica) for replica in replicas]
        self._replication_timeout = replication_timeout

    def create(
        self,
        feature_name: str,
        is_enabled: bool = False,
        client_data: dict[str, Any] | None = None,
        asynch: bool | None = True,
    ) -> Any:
        """Creates a flag, or overwrites it."""
        item = self._primary.create(feature_name, is_enabled=is_enabled, client_data=client_data)
        self._replicate("create", asynch, feature_name, is_enabled=is_enabled, client_data=client_data)
        return item

    def get(self, *args: Any, **kwargs: Any) -> FeatureFlagStoreItem | None:
        """The flag of this name, or `None`."""
        return self._primary.get(*args, **kwargs)

    def set(self, feature_name: str, is_enabled: bool, asynch: bool | None = True) -> None:
        """Enables or disables a flag, which is created if it does not exist."""
        self._primary.set(feature_name, is_enabled)
        self._replicate("set", asynch, feature_name, is_enabled)

    def delete(self, feature_name: str, asynch: bool | None = True) -> None:
        """Deletes the flag, if there is one."""
        self._primary.delete(feature_name)
        self._replicate("delete", asynch, feature_name)

    def list(self, *args: Any, **kwargs: Any) -> Iterator[FeatureFlagStoreItem]:
        """All flags."""
        return self._primary.list(*args, **kwargs)

    def set_meta(self, feature_name: str, meta: FeatureFlagStoreMeta, asynch: bool | None = True) -> None:
        """Replaces a flag's meta data."""
        self._primary.set_meta(feature_name, meta)
        self._replicate("set_meta", asynch, feature_name, meta)

    def change(self, feature_name: str, change: Callable[[Any], None]) -> None:
        """Changes a flag's meta data in the primary store; the replicas get what it has then."""
        change_flag(self._primary, feature_name, change)
        item = self._primary.get(feature_name)
        if item is not None:
            self._copy(item)

    def history(self, feature_name: str | None = None, since: float | None = None) -> Iterator[Entry]:
        """The history of the primary store."""
        return entries_of(self._primary, feature_name, since)

    def restore(self, feature_name: str, entry: Entry) -> None:
        """Restores the flag in the primary store; the replicas get what it has then."""
        restore(self._primary, feature_name, entry)
        item = self._primary.get(feature_name)
        if item is None:
            self._replicate("delete", True, feature_name)
        else:
            # It may be missing there; what limits it must be there before it is on.
            self._replicate("set", True, feature_name, False if item._is_limited else item._is_enabled)
            self._copy(item)

    def _copy(self, item: FeatureFlagStoreItem) -> None:
        self._replicate("set_meta", True, item.feature_name, _whole(item))
        if item._is_limited:
            # A new schedule enables the flag, and to enable it ends what of a schedule would keep it off.
            self._replicate("set", True, item.feature_name, item._is_enabled)
            self._replicate("set_meta", True, item.feature_name, _whole(item))

    def _replicate(self, method: str, asynch: bool | None, *args: Any, **kwargs: Any) -> None:
        writes = [replica.write(method, args, kwargs) for replica in self._replicas]
        if asynch is False:
            for write in writes:
                write.join()
            for write in writes:
                if write.error is not None:
                    raise write.error
            return
        deadline = time.monotonic() + self._replication_timeout
        for write in writes:
            write.join(max(0.0, deadline - time.monotonic()))

    def __repr__(self) -> str:
        stores = [self._primary, *(replica.store for replica in self._replicas)]
        return f"ReplicatedFeatureFlagStore({', '.join(map(repr, stores))})"


def _whole(item: FeatureFlagStoreItem) -> FeatureFlagStoreMeta:
    """Its meta data, with what it does not have: the replicas may have it."""
    meta = FeatureFlagStoreMeta.from_dict(item.meta)
    meta._others = {**dict.fromkeys((*PARTS, SEGMENT)), **meta._others}
    return meta


class _Replica:
    def __init__(self, store: AbstractFeatureFlagStore) -> None:
        self.store = store
        self._begin()

    def _begin(self) -> None:
        self._last: _Write | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def write(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Write:
        if self._process != os.getpid():
            # A fork has no threads of its parent's, one of which may hold the lock.
            self._begin()
        with self._lock:
            self._last = write = _Write(self.store, method, args, kwargs, self._last)
            write.start()
        return write


class _Write(threading.Thread):
    """One write of a replica, after the one before."""

    def __init__(
        self,
        store: AbstractFeatureFlagStore,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        before: _Write | None,
    ) -> None:
        super().__init__(name="flipper-replica", daemon=True)
        self._store, self._method, self._call, self._before = store, method, (args, kwargs), before
        # A thread has none of its own.
        self._cause = current_cause()
        self.error: Exception | None = None

    def run(self) -> None:
        """Writes."""
        if self._before is not None:
            self._before.join()
            # Or all writes would hang together.
            self._before = None
        args, kwargs = self._call
        try:
            with writing(self._cause):
                getattr(self._store, self._method)(*args, **kwargs)
        except Exception as error:
            self.error = error
            log.warning("a replica failed: %s of flag %r", self._method, args[0], exc_info=error)
