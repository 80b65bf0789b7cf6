"""What programs call: flags by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from . import _flipper
from .bucketing.base import AbstractBucketer
from .conditions import Condition
from .contrib.interface import AbstractFeatureFlagStore, change_flag
from .contrib.native import Draft, NativeFeatureFlagStore, store_of
from .contrib.storage import FeatureFlagStoreMeta
from .contrib.storage.limits import evaluated, is_segment
from .events import EventType, FlipperEventEmitter, IEventEmitter, RestoreEventType
from .exceptions import FlagDoesNotExistError, UnreadableFlagError
from .flag import FeatureFlag
from .history import Cause, Entry, entries_of, restore, unix_time, with_actor, with_reason, writing
from .targeting import Targeting, enable_now

_Client = TypeVar("_Client", bound="FeatureFlagClient")

_DRIVERS = {"boto3", "botocore", "consul", "fakeredis", "flipper_thrift", "psycopg", "redis", "valkey"}


class FeatureFlagClient(Targeting, _flipper.Client):
    """Feature flags by name, in any store.

    The checks of a store of the Rust library read memory. Of any other store each check and each write is a call of its
    methods.
    """

    # Of what it writes.
    _cause: Cause | None = None

    def __init__(self, store: AbstractFeatureFlagStore) -> None:
        if isinstance(store, (str, type)) or _is_of_driver(store):
            hint = "FeatureFlagClient.connect(url) makes one of a URL, a store such as RedisFeatureFlagStore one of a client"
            raise TypeError(f"a client takes a store, not a {type(store).__name__}; {hint}")
        self._backend = store
        self._flags = store_of(store)
        if self._flags is not None:
            self._check(self._flags)
        self._event_emitter: IEventEmitter = FlipperEventEmitter()

    @classmethod
    def connect(cls, url: str, *, must_arrive: bool = True) -> FeatureFlagClient:
        """A client of the store that a URL names, such as `redis://localhost/0`, when its flags are in memory.

        A store whose flags do not arrive within ten seconds is a `StoreUnavailableError`. Without `must_arrive` it takes two seconds, and
        checks return their defaults until the flags are there.
        """
        return cls(NativeFeatureFlagStore(_flipper.Flags.connect(url, must_arrive)))

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "is_enabled" and self._flags is not None:
            # Flags of this client must call it, too.
            self._flags.replace()

    @property
    def _store(self) -> AbstractFeatureFlagStore:
        return self._backend

    @_store.setter
    def _store(self, store: AbstractFeatureFlagStore) -> None:
        if self._flags is not None:
            self._flags.replace()
        self._backend = store

    def as_actor(self: _Client, actor: str) -> _Client:
        """This client, with writes by this actor: 1 to 255 bytes without control characters."""
        return self._writing(with_actor(self._cause, actor))

    def because(self: _Client, reason: str) -> _Client:
        """This client, with writes for this reason: 1 byte to 4 KiB."""
        return self._writing(with_reason(self._cause, reason))

    def _writing(self: _Client, cause: Cause) -> _Client:
        other = type(self).__new__(type(self))
        vars(other).update(vars(self), _cause=cause)
        if self._flags is not None:
            other._check(self._flags)
        return other

    def history(self, feature_name: str) -> Iterator[Entry]:
        """The changes of this flag, the newest first, also those before it was destroyed. Pages of them are read when they are needed.

        An `UnsupportedError` if the store keeps no history.
        """
        return entries_of(self._store, feature_name)

    def history_of_all(self, since: datetime | timedelta | None = None) -> Iterator[Entry]:
        """The changes of all flags, the newest first, since this time, or for so long."""
        return entries_of(self._store, None, unix_time(since))

    def restore(self, feature_name: str, entry: Entry) -> None:
        """Makes the flag what it was before this entry: created, destroyed or as it was set. That is a write with an entry of its own.

        A `ConflictError` if anything has changed the flag since.
        """
        self._event_emitter.emit(RestoreEventType.PRE_RESTORE, feature_name, entry)
        with writing(self._cause):
            restore(self._store, feature_name, entry)
        self._event_emitter.emit(RestoreEventType.POST_RESTORE, feature_name, entry)

    def get_events(self) -> IEventEmitter:
        """What calls subscribers before and after each write of this client."""
        return self._event_emitter

    def set_events(self, event_emitter: IEventEmitter) -> None:
        """Replaces that."""
        self._event_emitter = event_emitter

    events = property(get_events, set_events)

    if TYPE_CHECKING:

        def is_enabled(self, feature_name: str, default: Any = False, **conditions: Any) -> bool:
            """Whether the flag is on for these conditions; `default` if there is no such flag."""
            ...

    # It is added below, and calls this where it has no answer: for a store in Python, a value of a class of the program's own, a
    # comparison that raises.
    def _is_enabled(self, feature_name: str, default: Any, conditions: dict[str, Any]) -> Any:
        native = None if self._flags is None else self._native()
        try:
            item = self._backend.get(feature_name) if native is None else native.shared_item(feature_name)
        except UnreadableFlagError:
            item = None
        if item is None:
            return default
        if item._is_limited:
            # No check in Python has its rules, prerequisites and schedule.
            return evaluated(item, conditions, None if native is None else native._flags, self._backend.get).is_enabled
        return item.is_enabled(**conditions)

    def create(
        self, feature_name: str, is_enabled: bool = False, client_data: dict[str, Any] | None = None
    ) -> FeatureFlag:
        """Creates a flag. An existing one is overwritten."""
        payload = {"is_enabled": is_enabled, "client_data": client_data}
        self._event_emitter.emit(EventType.PRE_CREATE, feature_name, **payload)
        with writing(self._cause):
            self._store.create(feature_name, is_enabled=is_enabled, client_data=client_data)
        self._event_emitter.emit(EventType.POST_CREATE, feature_name, **payload)
        return self.get(feature_name)

    def exists(self, feature_name: str) -> bool:
        """Whether there is such a flag."""
        native = self._native()
        return self._store.get(feature_name) is not None if native is None else native.exists(feature_name)

    def get(self, feature_name: str) -> FeatureFlag:
        """A handle for the flag of this name, which need not exist."""
        return FeatureFlag(feature_name, self)

    def list(self, limit: int | None = None, offset: int = 0) -> Iterator[FeatureFlag]:
        """Handles of all flags, without segments."""
        native = self._native()
        if native is not None:
            for name in native.names(limit, offset):
                yield self.get(name)
            return
        for item in self._store.list(limit=limit, offset=offset):
            # A page of a store in Python may have been longer.
            if not is_segment(item._meta._others):
                yield self.get(item.feature_name)

    def enable(self, feature_name: str) -> None:
        """Enables the flag."""
        self._set(feature_name, True, EventType.PRE_ENABLE, EventType.POST_ENABLE)

    def disable(self, feature_name: str) -> None:
        """Disables the flag."""
        self._set(feature_name, False, EventType.PRE_DISABLE, EventType.POST_DISABLE)

    def destroy(self, feature_name: str) -> None:
        """Destroys the flag."""
        self._must_exist(feature_name)
        self._event_emitter.emit(EventType.PRE_DESTROY, feature_name)
        with writing(self._cause):
            self._store.delete(feature_name)
        self._event_emitter.emit(EventType.POST_DESTROY, feature_name)

    def add_condition(self, feature_name: str, condition: Condition) -> None:
        """Adds a condition; all conditions of a flag must hold."""

        def change(meta: Draft | FeatureFlagStoreMeta) -> Any:
            meta.conditions.append(condition)
            return condition

        self._change(feature_name, change, EventType.PRE_ADD_CONDITION, EventType.POST_ADD_CONDITION)

    def set_conditions(self, feature_name: str, conditions: Iterable[Condition]) -> None:
        """Replaces all conditions."""
        new: list[Condition] | None = None

        def change(meta: Draft | FeatureFlagStoreMeta) -> Any:
            nonlocal new
            if new is None:
                new = [*conditions]
            meta.conditions = [*new]
            return conditions

        self._change(feature_name, change, EventType.PRE_SET_CONDITIONS, EventType.POST_SET_CONDITIONS)

    def set_bucketer(self, feature_name: str, bucketer: AbstractBucketer) -> None:
        """Sets for which part of the checks or callers the flag is on."""

        def change(meta: Draft | FeatureFlagStoreMeta) -> Any:
            meta.bucketer = bucketer
            return bucketer

        self._change(feature_name, change, EventType.PRE_SET_BUCKETER, EventType.POST_SET_BUCKETER)

    def set_client_data(self, feature_name: str, client_data: dict[str, Any]) -> None:
        """Merges keys into the client data."""

        def change(meta: Draft | FeatureFlagStoreMeta) -> Any:
            meta.update(client_data=client_data)
            return meta.client_data

        self._change(feature_name, change, EventType.PRE_SET_CLIENT_DATA, EventType.POST_SET_CLIENT_DATA)

    def get_client_data(self, feature_name: str) -> dict[str, Any]:
        """The client data, a copy."""
        data: dict[str, Any] = self.get_meta(feature_name)["client_data"]
        return data

    def get_meta(self, feature_name: str) -> dict[str, Any]:
        """All meta data, a copy: client data, creation date, conditions and bucketer."""
        native = self._native()
        if native is not None:
            return native.meta(feature_name)
        item = self._store.get(feature_name)
        if item is None:
            raise FlagDoesNotExistError(f"flag {feature_name!r} does not exist")
        return item.meta

    def _native(self) -> NativeFeatureFlagStore | None:
        """The store, unless some of its methods are Python code."""
        if self._flags is None or self._flags.is_replaced:
            return None
        store = self._backend
        return store if isinstance(store, NativeFeatureFlagStore) else None

    def _must_exist(self, feature_name: str) -> None:
        if not self.exists(feature_name):
            raise FlagDoesNotExistError(f"flag {feature_name!r} does not exist")

    def _set(self, feature_name: str, is_enabled: bool, pre: EventType, post: EventType) -> None:
        self._must_exist(feature_name)
        self._event_emitter.emit(pre, feature_name)
        native = self._native()
        with writing(self._cause):
            if native is None:
                self._store.set(feature_name, is_enabled)
                if is_enabled:
                    enable_now(self._store, feature_name)
            else:
                native.switch(feature_name, is_enabled)
        self._event_emitter.emit(post, feature_name)

    def _change(
        self,
        feature_name: str,
        change: Callable[[Draft | FeatureFlagStoreMeta], Any],
        pre: EventType,
        post: EventType,
    ) -> None:
        """Changes a flag's meta data. `change` returns what subscribers get."""
        announced: list[Any] = []

        def announce(draft: Draft | FeatureFlagStoreMeta) -> None:
            payload = change(draft)
            # Once, though a change is made again where another writer was faster.
            if not announced:
                announced.append(payload)
                self._event_emitter.emit(pre, feature_name, payload)

        native = self._native()
        with writing(self._cause):
            if native is not None:
                native.change(feature_name, announce)
            else:
                change_flag(self._store, feature_name, announce)
        self._event_emitter.emit(post, feature_name, announced[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._backend!r})"


def _is_of_driver(store: object) -> bool:
    """Whether it is a client for which there are stores, and no store that inherits from one."""
    modules = {base.__module__.partition(".")[0] for base in type(store).__mro__}
    return not modules.isdisjoint(_DRIVERS) and not hasattr(type(store), "create")


_flipper.add_checks(FeatureFlagClient, FeatureFlag)
