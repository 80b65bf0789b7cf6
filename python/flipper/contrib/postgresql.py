"""Flags in PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from flipper.exceptions import FlipperError, InvalidInputError, UnreadableFlagError

from ._clients.postgresql import PostgresNotEnabled, Server, is_too_long
from .comparing import ComparingFeatureFlagStore, can_be_stored, item_of, new_item
from .storage import FeatureFlagStoreItem

__all__ = ["PostgreSQLFeatureFlagStore", "PostgresNotEnabled"]

log = logging.getLogger(__name__)

# In seconds.
TIMEOUT = 5
# The names of the original library's tables; longer ones can be stored where a column takes more.
NAME_LENGTH = 40


class PostgreSQLFeatureFlagStore(ComparingFeatureFlagStore):
    """Keeps flags in a table of PostgreSQL, a row for each.

    `conninfo`: a URL or a connection string, as for `psycopg.connect`. The table is created if it is missing, unless
    `run_migrations` is false. Each call is a query; a `CachedFeatureFlagStore` around this store answers checks from memory.
    A process has up to four connections. They are opened when they are needed, and again when they are lost, so a store may be made
    before a fork. `timeout`: how many seconds a call waits for one that is free, for a new one, and for the answer.
    """

    def __init__(
        self,
        conninfo: str,
        table_name: str = "feature_flags",
        name_column: str = "name",
        item_column: str = "item",
        run_migrations: bool = True,
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        self._table_name = table_name
        self._table, self._name, self._item = map(_quoted, (table_name, name_column, item_column))
        self._server = Server(conninfo, timeout)
        if run_migrations:
            self.run_migrations()

    def run_migrations(self) -> None:
        """Creates the table if it is missing."""
        # A user who may not create tables need not, nor may a standby, once there is one.
        if self._is_there():
            return
        columns = f"{self._name} varchar({NAME_LENGTH}) PRIMARY KEY, {self._item} bytea NOT NULL"
        try:
            self._server.run(f"CREATE TABLE IF NOT EXISTS {self._table} ({columns})")
        except FlipperError:
            # Two processes that create a table at once may both find it missing.
            if not self._is_there():
                raise

    def create(
        self, feature_name: str, is_enabled: bool = False, client_data: dict[str, Any] | None = None
    ) -> FeatureFlagStoreItem:
        """Creates a flag, or overwrites it."""
        item = new_item(feature_name, is_enabled, client_data)
        self._insert(feature_name, item.serialize(), f"({self._name}) DO UPDATE SET {self._item} = excluded.{self._item}")
        return item

    def delete(self, feature_name: str) -> None:
        """Deletes the flag, if there is one."""
        if can_be_stored(feature_name):
            self._server.run(f"DELETE FROM {self._table} WHERE {self._name} = $1", feature_name.encode())

    def list(self, limit: int | None = None, offset: int = 0) -> Iterator[FeatureFlagStoreItem]:
        """All flags that can be read, ordered by name."""
        # By code point, as everywhere.
        order = f'ORDER BY {self._name} COLLATE "C" LIMIT {_number(limit)} OFFSET {_number(offset)}'
        rows = self._server.run(f"SELECT {self._name}, {self._item} FROM {self._table} {order}")
        for row in range(rows.ntuples):
            name = (rows.get_value(row, 0) or b"").decode(errors="replace")
            try:
                item = item_of(name, rows.get_value(row, 1) or b"")
            except UnreadableFlagError:
                log.warning("the row of the flag %r is no flag", name)
                continue
            item._find = self.get
            yield item

    def close(self) -> None:
        """Closes this process's connections. The next call opens another."""
        self._server.close()

    def _read(self, feature_name: str) -> tuple[bytes, Any] | None:
        if not can_be_stored(feature_name):
            return None
        query = f"SELECT {self._item} FROM {self._table} WHERE {self._name} = $1"
        serialized = self._server.run(query, feature_name.encode()).get_value(0, 0)
        # A library that writes without comparing leaves no other sign of its write than the content.
        return None if serialized is None else (serialized, serialized)

    def _add(self, feature_name: str, serialized: bytes) -> bool:
        return self._insert(feature_name, serialized, "DO NOTHING")

    def _replace(self, feature_name: str, serialized: bytes, read: Any) -> bool:
        query = f"UPDATE {self._table} SET {self._item} = $2 WHERE {self._name} = $1 AND {self._item} = $3"
        return self._server.run(query, feature_name.encode(), serialized, read).command_tuples == 1

    def _insert(self, feature_name: str, serialized: bytes, on_conflict: str) -> bool:
        if len(feature_name) > NAME_LENGTH and feature_name.endswith(" "):
            # SQL cuts spaces off, without an error; the rest may be another flag's name.
            raise InvalidInputError(f"a flag's name of more than {NAME_LENGTH} characters does not end with a space")
        query = f"INSERT INTO {self._table} ({self._name}, {self._item}) VALUES ($1, $2) ON CONFLICT {on_conflict}"
        try:
            return self._server.run(query, feature_name.encode(), serialized).command_tuples == 1
        except InvalidInputError as error:
            if is_too_long(error):
                length = len(feature_name)
                error.args = (f"the flag's name has {length} characters, more than the column {self._name} takes",)
            raise

    def _is_there(self) -> bool:
        return self._server.run("SELECT to_regclass($1)::text", self._table.encode()).get_value(0, 0) is not None

    def __repr__(self) -> str:
        # The connection string may hold a password.
        return f"PostgreSQLFeatureFlagStore({self._table_name!r})"


def _quoted(identifier: str) -> str:
    if not isinstance(identifier, str):
        raise TypeError(f"a table and its columns are named by a str, not {type(identifier).__name__}")
    return '"' + identifier.replace('"', '""') + '"'


def _number(value: int | None) -> str:
    return "ALL" if value is None else str(int(value))
