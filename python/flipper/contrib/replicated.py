"""A store whose writes go to others too."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from flipper.exceptions import FlagDoesNotExistError, UnsupportedError
from flipper.history import Entry, current_cause, entries_of, restore, writing

from .interface import AbstractFeatureFlagStore, change_flag
from .native import Draft
from .storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from .storage.limits import ENABLED, PARTS, SEGMENT

log = logging.getLogger(__name__)

# A method of the store, or a function of it.
_Method = str | Callable[..., None]

_NEVER = [{"serve": "off"}]


class ReplicatedFeatureFlagStore(AbstractFeatureFlagStore):
    """Reads the primary store, and writes it, then all replicas at once. A replica gets writes in their order.

    A write waits `replication_timeout` seconds for all replicas together; what they have not done by then goes on in the
    background, and an error of theirs is logged. With `asynch=False` it waits until they are done, and raises their first error.
    A flag with rules is off in a replica that does not keep them.
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
        item = self._primary.get(feature_name) if is_enabled else None
        if isinstance(item, FeatureFlagStoreItem) and item._is_limited:
            # A replica may lack what limits it.
            self._replicate(_copy, asynch, feature_name, item)
        else:
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
            self._replicate(_copy, True, feature_name, item)

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
            self._replicate(_copy, True, feature_name, item)

    def _replicate(self, method: _Method, asynch: bool | None, *args: Any, **kwargs: Any) -> None:
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


def _copy(store: AbstractFeatureFlagStore, feature_name: str, item: FeatureFlagStoreItem) -> None:
    """Makes a replica's flag what it is in the primary store, with the switch: a schedule turns a flag on when it comes, and off when it
    goes. In no step, and after no error, is the flag on for more callers.
    """
    meta = _whole(item)

    def change(draft: Any) -> None:
        if not isinstance(draft, Draft):
            raise _SwitchIsApart
        draft.copy(meta, item._is_enabled)

    try:
        try:
            change_flag(store, feature_name, change)
        except FlagDoesNotExistError:
            store.set(feature_name, False)
            change_flag(store, feature_name, change)
    except _SwitchIsApart:
        _copy_in_steps(store, item, meta)


def _copy_in_steps(store: AbstractFeatureFlagStore, item: FeatureFlagStoreItem, meta: FeatureFlagStoreMeta) -> None:
    name = item.feature_name
    found = store.get(name)
    is_on, was_on = item._is_enabled is not False, found is not None and found._is_enabled is not False
    if found is not None and is_on is was_on and (not is_on or not item._is_limited or found._is_limited):
        # The switch is right, and the store keeps what limits the flag.
        store.set_meta(name, meta)
        return
    store.set(name, False)
    if item._is_enabled is not False:
        if item._is_limited:
            # To enable a flag ends what of a schedule would keep it off. Until the schedule is back, a rule does so.
            closed = _whole(item)
            closed._others.update(dict.fromkeys(PARTS), rules=_NEVER)
            closed._others.pop(ENABLED, None)
            store.set_meta(name, closed)
            found = store.get(name)
            if found is None or found._meta._others.get("rules") != _NEVER:
                raise UnsupportedError(f"{store!r} does not keep rules: the flag {name!r} is off there")
        else:
            store.set_meta(name, meta)
        store.set(name, True)
    store.set_meta(name, meta)


def _whole(item: FeatureFlagStoreItem) -> FeatureFlagStoreMeta:
    """Its meta data, with what it does not have: the replicas may have it."""
    meta = FeatureFlagStoreMeta.from_dict(item.meta)
    meta._others = {**dict.fromkeys((*PARTS, SEGMENT)), **meta._others}
    return meta


class _SwitchIsApart(Exception):
    """The store writes the switch and the meta data one after the other."""


class _Replica:
    def __init__(self, store: AbstractFeatureFlagStore) -> None:
        self.store = store
        self._begin()

    def _begin(self) -> None:
        self._last: _Write | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def write(self, method: _Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Write:
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
        method: _Method,
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
                if isinstance(self._method, str):
                    getattr(self._store, self._method)(*args, **kwargs)
                else:
                    self._method(self._store, *args, **kwargs)
        except Exception as error:
            self.error = error
            method = self._method if isinstance(self._method, str) else "copy"
            log.warning("a replica failed: %s of flag %r", method, args[0], exc_info=error)
