"""Stores of the Rust library."""

from __future__ import annotations

import inspect
import json
import weakref
from abc import ABCMeta
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from flipper import _flipper
from flipper.bucketing import BucketerFactory, NoOpBucketer
from flipper.conditions import Condition
from flipper.exceptions import FlagDoesNotExistError, InvalidBucketerTypeError, InvalidInputError, UnreadableFlagError
from flipper.history import Entry, current_cause

from .interface import AbstractFeatureFlagStore
from .storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from .storage.limits import ENABLED, SEGMENTS, is_limited, merged, state_of
from .util import date

_METHODS = ("create", "get", "set", "delete", "list", "set_meta")

_Store = TypeVar("_Store", bound="ClientFeatureFlagStore")


class Draft:
    """A flag that is being changed. What is not changed stays as it is stored."""

    def __init__(self, text: str, objects: FeatureFlagStoreMeta | None) -> None:
        self._fields: dict[str, Any] = json.loads(text)
        meta = self._fields["meta"]
        self._is_limited = is_limited(meta)
        self._is_enabled = state_of(self._fields)
        if objects is not None:
            meta.update(created_date=objects.created_date)
        self.client_data: dict[str, Any] = meta["client_data"] if objects is None else {**objects.client_data}
        self.conditions: list[Any] = meta["conditions"] if objects is None else [*objects.conditions]
        self.bucketer: Any = meta["bucketer"] if objects is None else objects.bucketer

    def switch(self, is_enabled: bool) -> None:
        """Enables or disables the flag."""
        if is_limited(self._fields["meta"]):
            self.become(_flipper.switched(self._text(), bool(is_enabled)))
        self._is_enabled = bool(is_enabled)

    def become(self, text: str) -> None:
        """Takes the switch and what conditions and bucketer are not of this text."""
        self._fields = json.loads(text)
        self._is_enabled = state_of(self._fields)

    def update(self, *, client_data: dict[str, Any] | None) -> None:
        """Merges keys into the client data."""
        if client_data is not None:
            self.client_data.update(client_data)

    def replace(self, meta: FeatureFlagStoreMeta) -> None:
        """Replaces the meta data. The switch of a flag with rules is among them, and stays."""
        others = {key: value for key, value in meta._others.items() if key != ENABLED or not is_limited(meta._others)}
        self._fields["meta"] = {**merged(self._fields["meta"], others), "created_date": meta.created_date}
        self.client_data, self.conditions, self.bucketer = meta.client_data, [*meta.conditions], meta.bucketer

    def copy(self, meta: FeatureFlagStoreMeta, is_enabled: Any) -> None:
        """Takes the meta data and the switch of a flag of another store."""
        self.replace(meta)
        self._is_enabled = is_enabled

    def finish(self, keeps_objects: bool) -> tuple[str, FeatureFlagStoreMeta | None]:
        """What to write: the text, and the meta data as it is where JSON cannot hold it, if the store can keep that."""
        meta = self._fields["meta"]
        try:
            bucketer = _fields(self.bucketer)
            if bucketer.get("type") not in BucketerFactory.BUCKETER_MAP:
                raise InvalidBucketerTypeError(f"Bucketer type not supported: {bucketer.get('type')}")
            conditions = [_fields(condition) for condition in self.conditions]
            meta.update(client_data=self.client_data, conditions=conditions, bucketer=bucketer)
            return self._text(), None
        except (TypeError, InvalidBucketerTypeError):
            if not keeps_objects:
                raise
        objects = FeatureFlagStoreMeta(
            meta["created_date"],
            self.client_data,
            [_rule(each, Condition.from_dict) for each in self.conditions],
            _rule(self.bucketer, BucketerFactory.create),
        )
        meta.update(client_data={}, created_date=0, conditions=[], bucketer=NoOpBucketer().to_dict())
        return self._text(), objects

    def _text(self) -> str:
        meta = self._fields["meta"]
        if is_limited(meta) or self._is_limited:
            meta.pop(ENABLED, None)
        self._fields["is_enabled"] = self._is_enabled
        if is_limited(meta):
            self._fields["is_enabled"] = False
            meta.update({ENABLED: True} if self._is_enabled is not False else {})
        return json.dumps(self._fields)


def _fields(rule: Any) -> dict[str, Any]:
    return cast(dict[str, Any], rule) if isinstance(rule, dict) else rule.to_dict()


def _rule(rule: Any, read: Callable[[dict[str, Any]], Any]) -> Any:
    return read(cast(dict[str, Any], rule)) if isinstance(rule, dict) else rule


class StoreType(ABCMeta):
    """The class of classes of stores. A method that a test patches on a class is called by the clients that there are, too."""

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _METHODS:
            _patched(cls, name)

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        if name in _METHODS:
            _patched(cls, name)


class NativeFeatureFlagStore(AbstractFeatureFlagStore, metaclass=StoreType):
    """A store of the Rust library, by the methods of a Python store. All its flags are in memory, and reads are answered there."""

    def __init__(self, flags: _flipper.Flags) -> None:
        self._flags = flags
        _STORES[id(self)] = self

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in _METHODS:
            self._flags.replace()

    def create(
        self, feature_name: str, is_enabled: bool = False, client_data: dict[str, Any] | None = None
    ) -> FeatureFlagStoreItem:
        """Creates a flag, or overwrites it."""
        _check_name(feature_name)
        new = FeatureFlagStoreItem(feature_name, bool(is_enabled), FeatureFlagStoreMeta(date.now()))
        draft = Draft(json.dumps(new.to_dict()), None)
        draft.client_data = client_data or {}
        stored = draft.finish(self._flags.keeps_objects)
        self._flags.put(*stored, current_cause())
        return _item(*stored)

    def get(self, feature_name: str) -> FeatureFlagStoreItem | None:
        """The flag of this name, or `None`."""
        stored = self._flags.get(feature_name)
        if stored is None:
            return None
        item = _item(*stored)
        item._find = self.get
        return item

    def set(self, feature_name: str, is_enabled: bool) -> None:
        """Enables or disables a flag, which is created if it does not exist."""
        try:
            self.switch(feature_name, is_enabled)
        except FlagDoesNotExistError:
            self.create(feature_name, is_enabled)

    def delete(self, feature_name: str) -> None:
        """Deletes the flag, if there is one."""
        self._flags.delete(feature_name, current_cause())

    def list(self, limit: int | None = None, offset: int = 0) -> Iterator[FeatureFlagStoreItem]:
        """All flags that can be read, ordered by name, with the segments: clients leave those out."""
        segments = [SEGMENTS + segment for segment, _ in _flipper.segments(self._flags)]
        names = self.names(limit, offset)
        if segments:
            names = sorted([*self.names(), *segments])[offset:]
            names = names if limit is None else names[:limit]
        for name in names:
            try:
                item = self.get(name)
            except UnreadableFlagError:
                continue
            if item is not None:
                yield item

    def set_meta(self, feature_name: str, meta: FeatureFlagStoreMeta) -> None:
        """Replaces a flag's meta data."""
        self.change(feature_name, lambda draft: draft.replace(meta))

    def names(self, limit: int | None = None, offset: int = 0) -> Sequence[str]:
        """The names of all flags, in order."""
        names = self._flags.names()[offset:]
        return names if limit is None else names[:limit]

    def exists(self, feature_name: str) -> bool:
        """Whether there is such a flag, readable or not."""
        return self._flags.exists(feature_name)

    def meta(self, feature_name: str) -> dict[str, Any]:
        """The flag's meta data, a copy."""
        stored = self._flags.get(feature_name)
        if stored is None:
            raise FlagDoesNotExistError(f"flag {feature_name!r} does not exist")
        text, objects = stored
        if objects is not None:
            return _item(text, objects).meta
        meta: dict[str, Any] = json.loads(text)["meta"]
        return meta

    def shared_item(self, feature_name: str) -> FeatureFlagStoreItem | None:
        """As `get`, for checks: the same object until the flag changes, and `None` for a flag that cannot be read."""
        item: FeatureFlagStoreItem | None = self._flags.item(feature_name, _item)
        return item

    def switch(self, feature_name: str, is_enabled: bool) -> None:
        """Enables or disables a flag that exists."""
        _check_name(feature_name)
        _flipper.switch(self._flags, feature_name, bool(is_enabled), current_cause())

    def change(self, feature_name: str, change: Callable[[Draft], None]) -> None:
        """Writes what `change` makes of the flag. It is called again if another writer was faster."""

        def apply(text: str, objects: FeatureFlagStoreMeta | None) -> tuple[str, FeatureFlagStoreMeta | None]:
            draft = Draft(text, objects)
            change(draft)
            return draft.finish(self._flags.keeps_objects)

        try:
            self._flags.update(feature_name, apply, current_cause())
        except UnicodeEncodeError as error:
            if error.object is not feature_name:
                raise
            raise FlagDoesNotExistError(f"flag {feature_name!r} does not exist") from None

    def history(self, feature_name: str | None = None, since: float | None = None) -> Iterator[Entry]:
        """The changes of this flag, or of all, the newest first; `since` is a Unix time."""
        return self._flags.history(feature_name, since)

    def restore(self, feature_name: str, entry: Entry) -> None:
        """Makes the flag what it was before this entry, if nothing has changed it since."""
        self._flags.restore(feature_name, entry, current_cause())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._flags!r})"


class ClientFeatureFlagStore(AbstractFeatureFlagStore, metaclass=StoreType):
    """A store that takes a client. One that can be read is served by the Rust library, any other is called."""

    def __new__(cls: type[_Store], *args: Any, **kwargs: Any) -> _Store:
        """The store that suits the client."""
        served = _SERVED.get(cls)
        flags = served.open(*args, **kwargs) if served is not None and _methods_of(cls) == served.methods else None
        if served is None or flags is None:
            return super().__new__(cls)  # pyright: ignore[reportArgumentType]
        store: Any = super().__new__(served.by)  # pyright: ignore[reportArgumentType]
        store._flags = flags
        return cast(_Store, store)

    def create(
        self, feature_name: str, is_enabled: bool = False, client_data: dict[str, Any] | None = None
    ) -> FeatureFlagStoreItem | None:
        """Creates a flag, or overwrites it."""
        return self._save(FeatureFlagStoreItem(feature_name, is_enabled, FeatureFlagStoreMeta(date.now(), client_data)))

    def set(self, feature_name: str, is_enabled: bool) -> None:
        """Enables or disables a flag, which is created if it does not exist."""
        item = self._copy(feature_name)
        if item is None:
            self.create(feature_name, is_enabled)
            return
        item._switch(is_enabled)
        self._save(item)

    def set_meta(self, feature_name: str, meta: FeatureFlagStoreMeta) -> None:
        """Replaces a flag's meta data."""
        item = self._copy(feature_name)
        if item is None:
            raise FlagDoesNotExistError(f"flag {feature_name!r} does not exist")
        # What the caller's meta data do not have must not be lost.
        kept = FeatureFlagStoreMeta(meta.created_date, meta.client_data, meta.conditions, meta.bucketer)
        kept._others = merged(item._meta._others, meta._others)
        item._meta = kept
        self._save(item)

    def _copy(self, feature_name: str) -> FeatureFlagStoreItem | None:
        """The flag, to be changed."""
        return self.get(feature_name)

    def _save(self, item: FeatureFlagStoreItem) -> FeatureFlagStoreItem:
        raise NotImplementedError


class _Serving(NamedTuple):
    by: type[NativeFeatureFlagStore]
    open: Callable[..., _flipper.Flags | None]
    methods: tuple[Any, ...]


_SERVED: dict[type, _Serving] = {}
_STORES: weakref.WeakValueDictionary[int, NativeFeatureFlagStore] = weakref.WeakValueDictionary()


def serve(
    store: type[ClientFeatureFlagStore],
    by: type[NativeFeatureFlagStore],
    open: Callable[..., _flipper.Flags | None],
) -> None:
    """Has stores of exactly this class served by another one, where `open` returns flags for the arguments."""
    _SERVED[store] = _Serving(by, open, _methods_of(store))


def _methods_of(store: type) -> tuple[Any, ...]:
    return tuple(inspect.getattr_static(store, name) for name in _METHODS)


_OWN = _methods_of(NativeFeatureFlagStore)


def _patched(cls: type, name: str) -> None:
    if served := _SERVED.get(cls):
        method = inspect.getattr_static(cls, name)
        if method is not served.methods[_METHODS.index(name)]:
            type.__setattr__(served.by, name, method)
        elif name in vars(served.by):
            type.__delattr__(served.by, name)
    for store in list(_STORES.values()):
        store._flags.patch(_methods_of(type(store)) != _OWN)


def _check_name(feature_name: Any) -> None:
    if not isinstance(feature_name, str):
        raise TypeError(f"a flag's name is a str, not {type(feature_name).__name__}")
    try:
        feature_name.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError("a flag's name is text that UTF-8 can hold") from error


def _item(text: str, objects: FeatureFlagStoreMeta | None) -> FeatureFlagStoreItem:
    item = FeatureFlagStoreItem._from_dict(json.loads(text))
    if objects is not None:
        objects._others = item._meta._others
        item._meta = objects
    return item


def store_of(store: Any) -> _flipper.Flags | None:
    """The Rust store of a Python object, by which a client checks and writes; `None` for one whose methods must be called.

    A store of this package is one, unless a subclass or a test has replaced some of its methods.
    """
    if not isinstance(store, NativeFeatureFlagStore):
        return None
    return store._flags if _methods_of(type(store)) == _OWN else None
