"""Connections to PostgreSQL.

Queries go through the driver's libpq interface, since only there a wait for the answer can end, in all versions of the driver. Each
is a transaction of its own, and unnamed: behind pgbouncer the next one may be another server's.
"""

from __future__ import annotations

import math
import os
import selectors
import threading
import time
from typing import TYPE_CHECKING, Any

from flipper.exceptions import FlipperError, InvalidInputError, StoreUnavailableError, UnauthorizedError

from .errors import both

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.pq.abc import PGconn, PGresult

# Of one process.
MAX_CONNECTIONS = 4

# Seconds, in which a server or a firewall that is away is noticed while a connection is idle.
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

# By class, and by code.
_KINDS: dict[str, type[FlipperError]] = {
    "08": StoreUnavailableError,
    "22": InvalidInputError,
    "25006": StoreUnavailableError,  # a standby
    "28": UnauthorizedError,
    "42501": UnauthorizedError,
    "53": StoreUnavailableError,
    "55P03": StoreUnavailableError,
    "57": StoreUnavailableError,
    "58": StoreUnavailableError,
}
_TOO_LONG = "22001"
# Nothing of such a transaction happened.
_REPEATED = ("40001", "40P01")
# libpq has no code for what goes wrong while it connects.
_REFUSALS = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "not permitted to log in")


class PostgresNotEnabled(FlipperError):
    """The driver is missing."""


class Server:
    """A database, and the connections of this process."""

    def __init__(self, conninfo: str, timeout: float) -> None:
        self._options = _options(conninfo, timeout)
        self._timeout = timeout
        self._connections = _Connections()
        # Of processes that this one was forked from, which go on with them: to close them here would end them there. They are held,
        # since the driver warns of a connection that is freed without being closed.
        self._inherited: list[_Connections] = []

    def run(self, query: str, *values: bytes) -> PGresult:
        """The result of a query, with these values for `$1`, `$2` and so on. Values and columns are in binary form."""
        # uWSGI runs no hooks of Python after a fork.
        if self._connections.process != os.getpid():
            self._inherited.append(self._connections)
            self._connections = _Connections()
        end = time.monotonic() + self._timeout
        while True:
            result = self._connections.run(query, values, self._options, self._timeout)
            error = _error_of(result)
            if error is None:
                return result
            if error.sqlstate not in _REPEATED or time.monotonic() > end:
                raise error

    def close(self) -> None:
        """Closes the connections of this process that are idle. The next query opens another."""
        self._connections.close()


class _Connections:
    def __init__(self) -> None:
        self.process = os.getpid()
        self._idle: list[Connection] = []
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def run(self, query: str, values: tuple[bytes, ...], options: dict[str, Any], timeout: float) -> PGresult:
        if not self._free.acquire(timeout=timeout):
            raise _error(None, f"all {MAX_CONNECTIONS} connections to PostgreSQL were in use for {timeout} s")
        try:
            connection = self._take() or _connect(options)
            try:
                result = _run(connection.pgconn, query, values, timeout)
            except BaseException:
                # The rest of this answer would be taken for the next one.
                connection.close()
                raise
            self._idle.append(connection)
            return result
        finally:
            self._free.release()

    def _take(self) -> Connection | None:
        while (connection := self._pop()) is not None:
            if _is_open(connection.pgconn):
                return connection
            connection.close()
        return None

    def _pop(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def close(self) -> None:
        if self.process == os.getpid():
            while (connection := self._pop()) is not None:
                connection.close()

    __del__ = close


def _driver() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise PostgresNotEnabled(f"PostgreSQL needs the package psycopg, and libpq: {error}") from error
    return psycopg


def _options(conninfo: str, timeout: float) -> dict[str, Any]:
    """The connection string in parts. What it does not say is such that nothing waits for ever."""
    driver = _driver()
    if not isinstance(conninfo, str):
        raise TypeError(f"a connection string is a str, not {type(conninfo).__name__}")
    try:
        options: dict[str, Any] = driver.conninfo.conninfo_to_dict(conninfo)
    except driver.Error:
        options = {"port": "?"}
    # Of a URL with an unescaped `@` or `/` in the password, this would be a part of it, and be shown. Sockets may begin with `@`.
    hosts, ports = (str(options.get(name) or "").split(",") for name in ("host", "port"))
    if any("@" in host[1:] for host in hosts) or not all(port.isdigit() or not port for port in ports):
        message = "the connection string cannot be read; in a URL, a password's special characters are written as %40 and so on"
        raise both(InvalidInputError, driver.ProgrammingError, message, _fields(None)) from None
    options["client_encoding"] = "UTF8"
    defaults = {"fallback_application_name": "flipper", **_KEEPALIVES}
    if not os.environ.get("PGCONNECT_TIMEOUT"):
        defaults["connect_timeout"] = max(2, math.ceil(timeout))
    return {**defaults, **options}


def _connect(options: dict[str, Any]) -> Connection:
    driver = _driver()
    try:
        connection: Connection = driver.connect(autocommit=True, **options)
    except driver.Error as error:
        message = f"PostgreSQL cannot be reached: {error}"
        kind = UnauthorizedError if any(refusal in message for refusal in _REFUSALS) else StoreUnavailableError
        raise both(kind, driver.OperationalError, message, _fields(None)) from None
    connection.pgconn.nonblocking = 1
    return connection


def _is_open(pgconn: PGconn) -> bool:
    """Whether an idle connection is usable. All that a server sends on one is that it closes."""
    if pgconn.status != _driver().pq.ConnStatus.OK:
        return False
    with selectors.DefaultSelector() as selector:
        selector.register(pgconn.socket, selectors.EVENT_READ)
        return not selector.select(0)


def _run(pgconn: PGconn, query: str, values: tuple[bytes, ...], timeout: float) -> PGresult:
    driver = _driver()
    deadline = time.monotonic() + timeout
    binary = driver.pq.Format.BINARY
    try:
        pgconn.send_query_params(query.encode(), values, param_formats=[binary] * len(values), result_format=binary)
        with selectors.DefaultSelector() as selector:
            selector.register(pgconn.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            while pgconn.flush():
                _wait(selector, deadline, timeout)
                pgconn.consume_input()
            selector.modify(pgconn.socket, selectors.EVENT_READ)
            results: list[PGresult] = []
            while True:
                while pgconn.is_busy():
                    _wait(selector, deadline, timeout)
                    pgconn.consume_input()
                result = pgconn.get_result()
                if result is None:
                    return results[0]
                results.append(result)
    except driver.Error as error:
        if isinstance(error, FlipperError):
            raise
        raise _error(None, f"the connection to PostgreSQL is lost: {error}") from None


def _wait(selector: selectors.BaseSelector, deadline: float, timeout: float) -> None:
    if not selector.select(max(0.0, deadline - time.monotonic())):
        raise _error(None, f"PostgreSQL has not answered for {timeout} s; if this was a write, it may still happen")


def is_too_long(error: Exception) -> bool:
    """Whether a value does not fit into its column."""
    return getattr(error, "sqlstate", None) == _TOO_LONG


def _error_of(result: PGresult) -> Any:
    pq = _driver().pq
    if result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        return None
    state = result.error_field(pq.DiagnosticField.SQLSTATE)
    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or result.error_message
    return _error(state.decode() if state else None, f"PostgreSQL: {message.decode(errors='replace').strip()}")


def _error(state: str | None, message: str) -> Exception:
    """The error for an SQLSTATE; without one, there was no answer."""
    driver = _driver()
    if state is None:
        return both(StoreUnavailableError, driver.OperationalError, message, _fields(None))
    kind = _KINDS.get(state) or _KINDS.get(state[:2]) or FlipperError
    try:
        known: type[Exception] = driver.errors.lookup(state)
    except KeyError:
        known = driver.DatabaseError
    return both(kind, known, message, _fields(state))


def _fields(state: str | None) -> dict[str, Any]:
    return {"sqlstate": state, "_info": None, "_encoding": "utf-8", "_pgconn": None}
