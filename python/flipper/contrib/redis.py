"""Flags in Redis."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from flipper import _flipper
from flipper.exceptions import (
    FlipperError,
    InvalidInputError,
    UnauthorizedError,
    UnreadableFlagError,
)

from ._clients import redis as clients
from ._clients import refuse_values
from .native import ClientFeatureFlagStore, NativeFeatureFlagStore, serve
from .storage import FeatureFlagStoreItem
from .util.iter import batchify

log = logging.getLogger(__name__)

BASE_KEY = "features"
DEFAULT_LIST_METHOD_BATCH_SIZE = 100


class RedisFeatureFlagStore(ClientFeatureFlagStore):
    """Keeps flags in Redis, at the keys `base_key/NAME`.

    `redis`: a URL, such as `redis://localhost/0`, or a client. Of a real client of `redis` or `valkey` the address, the database, the
    credentials and the settings for TLS are read once. The store has connections of its own then, all flags in memory, and follows
    those of the server; one that is away is waited for in the background. Any other client is called with each check and write: a
    fake, a subclass, one with another way to log in. So it is for a subclass of this class.
    """

    def __init__(
        self,
        redis: Any,
        base_key: str = BASE_KEY,
        list_method_batch_size: int = DEFAULT_LIST_METHOD_BATCH_SIZE,
    ) -> None:
        refuse_values(redis, "RedisFeatureFlagStore", "get", "redis.Redis()")
        clients.refuse_asyncio(redis)
        self._redis = redis
        self.base_key = base_key
        self.list_method_batch_size = list_method_batch_size

    def get(self, feature_name: str) -> FeatureFlagStoreItem | None:
        """The flag of this name, or `None`."""
        serialized = self._redis.get(self._key_name(feature_name))
        return self._found(feature_name, serialized) if serialized else None

    def delete(self, feature_name: str) -> None:
        """Deletes the flag, if there is one."""
        self._redis.delete(self._key_name(feature_name))

    def list(self, limit: int | None = None, offset: int = 0) -> Iterator[FeatureFlagStoreItem]:
        """All flags that can be read, ordered by name."""
        keys = sorted(set(self._keys()))[offset:]
        for batch in batchify(keys if limit is None else keys[:limit], self.list_method_batch_size):
            for key, serialized in zip(batch, self._values(batch)):
                # Deleted by now, or no string.
                if not serialized:
                    continue
                try:
                    yield self._found(key, serialized)
                except FlipperError:
                    log.warning("the value of the key %r is no flag", key)

    def _save(self, item: FeatureFlagStoreItem) -> FeatureFlagStoreItem:
        self._redis.set(self._key_name(item.feature_name), item.serialize())
        return item

    def _found(self, name: str, serialized: Any) -> FeatureFlagStoreItem:
        item = _item(name, serialized)
        item._find = self.get
        return item

    def _key_name(self, feature_name: str) -> str:
        return f"{self.base_key}/{_text_of(feature_name)}"

    def _keys(self) -> Iterator[str]:
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", self.base_key) + "/*"
        for key in self._redis.scan_iter(match=pattern):
            try:
                yield key if isinstance(key, str) else key.decode()
            except UnicodeDecodeError:
                # No flag has such a name.
                continue

    def _values(self, keys: Iterable[str]) -> Any:
        # A cluster has keys on several servers.
        get = self._redis.mget_nonatomic if hasattr(type(cast(object, self._redis)), "mget_nonatomic") else self._redis.mget
        return get([*keys])

    def __repr__(self) -> str:
        # That of a client may hold a password.
        return f"RedisFeatureFlagStore({self.base_key!r})"


class _Served(NativeFeatureFlagStore, RedisFeatureFlagStore):
    def __init__(
        self,
        redis: Any,
        base_key: str = BASE_KEY,
        list_method_batch_size: int = DEFAULT_LIST_METHOD_BATCH_SIZE,
    ) -> None:
        NativeFeatureFlagStore.__init__(self, self._flags)
        self._redis = redis
        self.base_key = _base_key(redis, base_key)
        self.list_method_batch_size = list_method_batch_size
        if self._flags.trouble is not None:
            log.warning("flags are not those of Redis yet: %s", self._flags.trouble)

    __repr__ = RedisFeatureFlagStore.__repr__  # pyright: ignore[reportAssignmentType]


def _open(
    redis: Any, base_key: str = BASE_KEY, list_method_batch_size: int = DEFAULT_LIST_METHOD_BATCH_SIZE
) -> _flipper.Flags | None:
    if isinstance(redis, str):
        return _flipper.open_redis(redis, None if base_key == BASE_KEY else base_key, False)
    server = clients.read(redis)
    if server is None:
        return None
    try:
        try:
            return server.open(base_key, writes=True)
        except UnauthorizedError as error:
            # Another refusal is that of the password.
            if "NoPerm" not in str(error) or clients.may_set(redis, base_key):
                raise
        # Of one who may only read.
        return server.open(base_key, writes=False)
    except UnauthorizedError as error:
        log.warning("each check will ask Redis, for the user lacks a right: %s", error)
    except (InvalidInputError, OSError):
        # An address that is good for the client alone, or a file that it has read before.
        pass
    return None


def _base_key(redis: Any, base_key: str) -> str:
    if isinstance(redis, str) and base_key == BASE_KEY:
        return parse_qs(urlsplit(redis).query).get("base_key", [BASE_KEY])[0]
    return base_key


def _text_of(feature_name: Any) -> str:
    if not isinstance(feature_name, str):
        raise TypeError(f"a flag's name is a str, not {type(feature_name).__name__}")
    return feature_name


def _item(name: str, serialized: Any) -> FeatureFlagStoreItem:
    # A client may decode what it reads.
    data = serialized.encode() if isinstance(serialized, str) else serialized
    try:
        return FeatureFlagStoreItem.deserialize(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableFlagError(f"what is stored for the flag {name!r} is no flag") from error


serve(RedisFeatureFlagStore, _Served, _open)
