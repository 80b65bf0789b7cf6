"""Flags in Consul."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from flipper import _flipper
from flipper.exceptions import FlipperError, InvalidInputError

from ._clients import consul as clients
from ._clients import refuse_values
from .native import ClientFeatureFlagStore, NativeFeatureFlagStore, serve
from .storage import FeatureFlagStoreItem
from .storage.limits import Find

log = logging.getLogger(__name__)

BASE_KEY = "features"
# So long a store is waited for that may be away when a program starts, in seconds.
PATIENCE = 2.0
# Between two questions to a client that does not wait for changes, or raises.
PAUSE = 1.0


class ConsulFeatureFlagStore(ClientFeatureFlagStore):
    """Keeps flags in Consul, at the keys `base_key/NAME`, and all of them in memory.

    `consul`: a URL, such as `consul://localhost:8500/features`, or a client. Of a `consul.Consul` the address, the token, the
    datacenter and the settings for TLS are read once, and the store has connections of its own. Any other client is called, by a
    thread that waits for changes: a fake, a subclass, one that goes through a proxy. So it is for a subclass of this class.
    """

    def __init__(self, consul: Any, base_key: str = BASE_KEY) -> None:
        refuse_values(consul, "ConsulFeatureFlagStore", "kv", "consul.Consul()")
        clients.refuse_asyncio(consul)
        self._consul = consul
        self.base_key = base_key
        self._held: dict[str, FeatureFlagStoreItem] = {}
        self._index: Any = None
        self._lock = threading.Lock()
        self._is_here = threading.Event()
        self._find = _finder(weakref.ref(self))
        self._start()
        self._is_here.wait(PATIENCE)

    def get(self, feature_name: str) -> FeatureFlagStoreItem | None:
        """The flag of this name, or `None`."""
        if self._process != os.getpid():
            # A fork has no threads of its parent's.
            self._start()
        return self._held.get(feature_name)

    def delete(self, feature_name: str) -> None:
        """Deletes the flag, if there is one."""
        self._consul.kv.delete(self._make_key(feature_name))
        with self._lock:
            items = {**self._held}
            items.pop(feature_name, None)
            self._held = items
        self._read_again()

    def list(self, limit: int | None = None, offset: int = 0) -> Iterator[FeatureFlagStoreItem]:
        """All flags that can be read, ordered by name."""
        items = self._held
        names = sorted(items)[offset:]
        return iter([items[name] for name in (names if limit is None else names[:limit])])

    def _copy(self, feature_name: str) -> FeatureFlagStoreItem | None:
        item = self.get(feature_name)
        return None if item is None else FeatureFlagStoreItem.deserialize(item.serialize())

    def _save(self, item: FeatureFlagStoreItem) -> FeatureFlagStoreItem:
        self._consul.kv.put(self._make_key(item.feature_name), item.serialize())
        item._find = self._find
        with self._lock:
            self._held = {**self._held, item.feature_name: item}
        self._read_again()
        return item

    def _make_key(self, feature_name: str) -> str:
        if not isinstance(feature_name, str):
            raise TypeError(f"a flag's name is a str, not {type(feature_name).__name__}")
        return f"{self.base_key}/{feature_name}"

    def _start(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        thread = threading.Thread(target=_follow, args=(weakref.ref(self),), name="flipper-consul", daemon=True)
        thread.start()

    def _read_again(self) -> None:
        """Takes in what there is after a write, so that an answer of before does not undo it."""
        try:
            self._take(*self._consul.kv.get(self.base_key, recurse=True))
        except Exception as error:
            log.warning("flags cannot be read from Consul: %s", error)

    def _take(self, index: Any, rows: Any, asked: Any = None) -> None:
        """Takes in an answer. `asked`: the index that a query waited behind, whose answer may be overtaken by another one's."""
        items = {}
        prefix = f"{self.base_key}/"
        for row in rows or ():
            key, value = row["Key"], row["Value"]
            if value is None or not key.startswith(prefix):
                continue
            try:
                item = FeatureFlagStoreItem.deserialize(value.encode() if isinstance(value, str) else value)
                item._find = self._find
                items[key[len(prefix) :]] = item
            except (FlipperError, ValueError, KeyError, TypeError, AttributeError):
                log.warning("the value of the key %r is no flag", key)
        with self._lock:
            if asked is not None and self._index != asked:
                # Another answer came in between; the next query shows what is newer.
                return
            self._held, self._index = items, index
        self._is_here.set()

    def __repr__(self) -> str:
        return f"ConsulFeatureFlagStore({self.base_key!r})"


def _finder(reference: weakref.ref[ConsulFeatureFlagStore]) -> Find:
    """Where the items of a store find others. Those that it holds do not keep it."""

    def find(feature_name: str) -> FeatureFlagStoreItem | None:
        store = reference()
        return None if store is None else store.get(feature_name)

    return find


def _follow(reference: weakref.ref[ConsulFeatureFlagStore]) -> None:
    """Keeps a store's flags current as long as there is the store."""
    waits = True
    process = os.getpid()
    while (store := reference()) is not None and store._process == process:
        consul, base_key, asked = store._consul, store.base_key, store._index
        store = None
        begin = time.monotonic()
        try:
            if waits and asked is not None:
                try:
                    answer = consul.kv.get(base_key, recurse=True, index=asked, wait="15s")
                except TypeError:
                    # A fake that knows only what the original library calls.
                    waits = False
                    continue
            else:
                answer = consul.kv.get(base_key, recurse=True)
            index, rows = answer
            store = reference()
            if store is None:
                return
            # An index that goes back is that of a server that was set back.
            back = _number(index) < _number(asked)
            store._take(None if back else index, rows, asked)
            if waits and index != asked and _number(index) > 0:
                continue
        except Exception as error:
            log.warning("flags cannot be read from Consul: %s", error)
        store = None
        if time.monotonic() - begin < PAUSE:
            time.sleep(PAUSE)


def _number(index: Any) -> int:
    """Clients return it as text or as a number; fakes may return anything."""
    return int(index) if isinstance(index, (int, str)) and str(index).isdecimal() else 0


class _Served(NativeFeatureFlagStore, ConsulFeatureFlagStore):
    def __init__(self, consul: Any, base_key: str = BASE_KEY) -> None:
        NativeFeatureFlagStore.__init__(self, self._flags)
        self._consul = consul
        self.base_key = _base_key(consul, base_key)
        if self._flags.trouble is not None:
            log.warning("flags are not those of Consul yet: %s", self._flags.trouble)

    __repr__ = ConsulFeatureFlagStore.__repr__  # pyright: ignore[reportAssignmentType]


def _open(consul: Any, base_key: str = BASE_KEY) -> _flipper.Flags | None:
    if isinstance(consul, str):
        if base_key == BASE_KEY:
            return _flipper.open_url(consul)
        return _flipper.open_url(f"{consul}{'&' if '?' in consul else '?'}base_key={quote(base_key)}")
    server = clients.read(consul)
    if server is None:
        return None
    try:
        return server.open(base_key)
    except InvalidInputError:
        # An address that is good for the client alone, or a file.
        return None


def _base_key(consul: Any, base_key: str) -> str:
    if not isinstance(consul, str):
        return base_key
    url = urlsplit(consul)
    return unquote(url.path.strip("/")) or parse_qs(url.query).get("base_key", [base_key])[0]


serve(ConsulFeatureFlagStore, _Served, _open)
