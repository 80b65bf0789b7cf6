"""Flags behind a Thrift service."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

from flipper import _flipper
from flipper.bucketing import BucketerFactory
from flipper.conditions import Condition
from flipper.exceptions import FlagDoesNotExistError, InvalidInputError

from ._clients import refuse_values
from ._clients import thrift as clients
from .native import ClientFeatureFlagStore, NativeFeatureFlagStore, serve
from .storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from .util.date import now

log = logging.getLogger(__name__)


class ThriftRPCFeatureFlagStore(ClientFeatureFlagStore):
    """Flags of a server with the Thrift service `FeatureFlagStore`.

    `client`: a URL, such as `thrift://localhost:9090`, or a client of `flipper_thrift`. Of a real one the address, the transport and
    the protocol are read once. If the server has our calls too, as that of `flipper serve`, the store has connections of its own then,
    and all flags in memory. Any other client is called with each check and write, by one thread at a time: a fake, a subclass, one
    whose server has only the calls of the original library. So it is for a subclass of this class.
    """

    def __init__(self, client: Any, ttypes: Any = None) -> None:
        refuse_values(client, "ThriftRPCFeatureFlagStore", "Get", "FeatureFlagStore.Client(protocol)")
        self._client = client
        self._ttypes = _types() if ttypes is None else ttypes
        # A client has one connection, and the answers on it are in order.
        self._lock = threading.Lock()

    def create(
        self, feature_name: str, is_enabled: bool = False, client_data: dict[str, Any] | None = None
    ) -> FeatureFlagStoreItem | None:
        """Creates a flag, or overwrites it."""
        return self._item(self._call("Create", feature_name, is_enabled, json.dumps(client_data or {})))

    def get(self, feature_name: str) -> FeatureFlagStoreItem | None:
        """The flag of this name, or `None`."""
        try:
            return self._item(self._call("Get", feature_name))
        except self._ttypes.FlipperException as error:
            if error.code == self._ttypes.ErrorCode.NOT_FOUND:
                return None
            raise

    def set(self, feature_name: str, is_enabled: bool) -> None:
        """Enables or disables a flag, which is created if it does not exist."""
        self._call("Set", feature_name, is_enabled)

    def delete(self, feature_name: str) -> None:
        """Deletes the flag, if there is one."""
        self._call("Delete", feature_name)

    def list(self, limit: int | None = None, offset: int = 0) -> Iterator[FeatureFlagStoreItem]:
        """All flags, ordered as the server has them."""
        items = (self._item(item) for item in self._call("List", limit, offset))
        return (item for item in items if item is not None)

    def set_meta(self, feature_name: str, meta: FeatureFlagStoreMeta) -> None:
        """Replaces a flag's meta data."""
        try:
            self._call("SetMeta", feature_name, self._thrift_meta(meta))
        except self._ttypes.FlipperException as error:
            if error.code == self._ttypes.ErrorCode.NOT_FOUND:
                raise FlagDoesNotExistError(f"flag {feature_name!r} does not exist") from error
            raise

    def _call(self, method: str, *args: Any) -> Any:
        with self._lock:
            return getattr(self._client, method)(*args)

    @staticmethod
    def _item(item: Any) -> FeatureFlagStoreItem | None:
        if item is None:
            return None
        stored, meta = item.meta, FeatureFlagStoreMeta(now())
        if stored is not None:
            meta.created_date = stored.created_date
            if stored.client_data is not None:
                meta.client_data = json.loads(stored.client_data)
            meta.conditions = [_condition(condition) for condition in stored.conditions or ()]
            if stored.bucketer is not None:
                meta.bucketer = BucketerFactory.create(json.loads(stored.bucketer))
        return FeatureFlagStoreItem(item.feature_name, item.is_enabled, meta)

    def _thrift_meta(self, meta: FeatureFlagStoreMeta) -> Any:
        types = self._ttypes
        conditions = [
            {
                variable: [
                    types.ConditionCheck(
                        variable=variable,
                        value=json.dumps(check.value),
                        operator=types.ConditionOperator(symbol=check.operator.SYMBOL),
                    )
                    for check in checks
                ]
                for variable, checks in condition.checks.items()
            }
            for condition in meta.conditions
        ]
        return types.FeatureFlagStoreMeta(
            created_date=meta.created_date,
            client_data=json.dumps(meta.client_data),
            conditions=conditions,
            bucketer=json.dumps(meta.bucketer.to_dict()),
        )

    def __repr__(self) -> str:
        return "ThriftRPCFeatureFlagStore()"


def _types() -> Any:
    # The package `thrift` is for those who use this store.
    from flipper_thrift.python.feature_flag_store import ttypes

    return ttypes


def _condition(stored: dict[str, list[Any]]) -> Condition:
    return Condition.from_dict(
        {
            variable: [
                {
                    "variable": check.variable,
                    "value": json.loads(check.value),
                    # Absent for equality, and so may be all of it.
                    "operator": None if check.operator is None else check.operator.symbol,
                }
                for check in checks
            ]
            for variable, checks in stored.items()
        }
    )


class _Served(NativeFeatureFlagStore, ThriftRPCFeatureFlagStore):
    def __init__(self, client: Any, ttypes: Any = None) -> None:
        NativeFeatureFlagStore.__init__(self, self._flags)
        self._client = client
        self._ttypes = ttypes
        if self._flags.trouble is not None:
            log.warning("flags are not those of the Thrift server yet: %s", self._flags.trouble)

    __repr__ = ThriftRPCFeatureFlagStore.__repr__  # pyright: ignore[reportAssignmentType]


def _open(client: Any, ttypes: Any = None) -> _flipper.Flags | None:
    url = client if isinstance(client, str) else clients.read(client)
    if url is None:
        return None
    try:
        return _flipper.open_url(url)
    except InvalidInputError:
        if client is url:
            raise
        # An address that is good for the client alone.
        return None


serve(ThriftRPCFeatureFlagStore, _Served, _open)
