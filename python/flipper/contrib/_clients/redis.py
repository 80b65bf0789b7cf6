"""The clients of `redis`, and of `valkey`, which has the same classes under other names."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from flipper import _flipper

from . import authority, is_class, is_exactly, is_untouched

_CLIENTS = {"redis": "Redis", "valkey": "Valkey"}
_CLUSTERS = {"redis": "RedisCluster", "valkey": "ValkeyCluster"}
_METHODS = ("execute_command", "get", "set", "delete", "mget", "scan_iter")
# What a connection may have that changes how it logs in, or whom it trusts, and that a URL cannot say.
_UNREADABLE = (
    "credential_provider",
    "redis_connect_func",
    "valkey_connect_func",
    "ca_data",
    "ca_path",
    "certificate_password",
    "ssl_validate_ocsp",
    "ssl_validate_ocsp_stapled",
    "ssl_min_version",
    "ssl_ciphers",
    "ssl_include_verify_flags",
    "ssl_exclude_verify_flags",
)


@dataclass(frozen=True, repr=False)
class RedisServer:
    """Where a client's flags are. It has no repr: there may be a password in the URL."""

    url: str
    # How a certificate is looked at, where that is less than completely.
    lax: dict[str, Any] = field(default_factory=dict[str, Any])

    def open(self, base_key: str, *, writes: bool) -> _flipper.Flags:
        """The flags there. `writes`: the user must be allowed to write them as this package does."""
        if self.lax:
            return _flipper.open_lax_redis(self.url, base_key, writes, **self.lax)
        return _flipper.open_redis(self.url, base_key, writes)


def refuse_asyncio(client: object) -> None:
    """A client whose calls must be awaited is no client for a store."""
    if inspect.iscoroutinefunction(getattr(type(client), "execute_command", None)):
        raise TypeError("this client is for asyncio: give the store one that waits, such as redis.Redis, or a URL")


def may_set(client: Any, base_key: str) -> bool:
    """Whether the user may write as the original library does. Nothing is written: there is no such key, nor such a flag."""
    try:
        client.set(f"{base_key}/flipper/none", "", xx=True)
    except Exception:
        return False
    return True


def read(client: Any) -> RedisServer | None:
    """Where the client's server is; `None` if that is not certain."""
    for package, name in _CLIENTS.items():
        if is_exactly(client, f"{package}.client", name):
            return _of_client(client, package)
        if is_exactly(client, f"{package}.cluster", _CLUSTERS[package]):
            return _of_cluster(client)
    return None


def _of_client(client: Any, package: str) -> RedisServer | None:
    pool = client.connection_pool
    if not is_untouched(client, *_METHODS) or not is_untouched(pool, "get_connection", "make_connection"):
        return None
    if is_exactly(pool, f"{package}.sentinel", "SentinelConnectionPool"):
        return _of_sentinel(pool, package)
    if not is_exactly(pool, f"{package}.connection", "ConnectionPool", "BlockingConnectionPool"):
        return None
    connection = _unconnected(pool)
    if connection is None:
        return None
    db = _database(connection)
    if db is None:
        return None
    if is_exactly(connection, f"{package}.connection", "UnixDomainSocketConnection"):
        path = connection.path
        if not isinstance(path, str) or not path.startswith("/"):
            return None
        return RedisServer(f"redis+unix://{_login(connection)}{quote(path)}?db={db}")
    host = authority((connection.host, connection.port))
    if host is None:
        return None
    place = f"://{_login(connection)}{host}/{db}"
    if is_exactly(connection, f"{package}.connection", "Connection"):
        return RedisServer(f"redis{place}")
    if is_exactly(connection, f"{package}.connection", "SSLConnection"):
        return _with_tls(f"rediss{place}", connection)
    return None


def _with_tls(url: str, connection: Any) -> RedisServer | None:
    files = {"ca": connection.ca_certs, "cert": connection.certfile, "key": connection.keyfile}
    files = {name: file for name, file in files.items() if file is not None}
    # One file may have both.
    if "cert" in files:
        files.setdefault("key", files["cert"])
    if not all(isinstance(file, str) for file in files.values()) or ("key" in files and "cert" not in files):
        return None
    # Imported by a client that has it, and slow.
    import ssl

    if connection.cert_reqs == ssl.CERT_REQUIRED and connection.check_hostname:
        parameters = "&".join(f"{name}={quote(file, safe='')}" for name, file in files.items())
        return RedisServer(f"{url}?{parameters}" if parameters else url)
    return RedisServer(url, {"certificate": connection.cert_reqs == ssl.CERT_REQUIRED, **files})


def _of_sentinel(pool: Any, package: str) -> RedisServer | None:
    manager = pool.sentinel_manager
    if (
        not pool.is_master
        or not is_exactly(manager, f"{package}.sentinel", "Sentinel")
        or not is_class(pool.connection_class, f"{package}.sentinel", "SentinelManagedConnection")
        or getattr(manager, "_force_master_ip", None) is not None
    ):
        return None
    connection = _unconnected(pool)
    sentinels = [_unconnected(sentinel.connection_pool) for sentinel in manager.sentinels]
    if connection is None or not all(
        is_exactly(sentinel, f"{package}.connection", "Connection") for sentinel in sentinels
    ):
        return None
    hosts = authority(*((sentinel.host, sentinel.port) for sentinel in sentinels))
    logins = {_credentials(sentinel) for sentinel in sentinels}
    db = _database(connection)
    if hosts is None or len(logins) != 1 or db is None:
        return None
    [(username, password)] = logins
    parameters = [
        *([f"sentinel_username={quote(username, safe='')}"] if username else []),
        *([f"sentinel_password={quote(password, safe='')}"] if password else []),
    ]
    place = f"{_login(connection)}{hosts}/{quote(pool.service_name, safe='')}/{db}"
    return RedisServer(f"redis-sentinel://{place}{'?' + '&'.join(parameters) if parameters else ''}")


def _of_cluster(client: Any) -> RedisServer | None:
    nodes = client.nodes_manager
    settings = nodes.connection_kwargs
    if (
        not is_untouched(client, *_METHODS)
        or getattr(client, "user_on_connect_func", None) is not None
        or getattr(nodes, "address_remap", None) is not None
        or settings.get("credential_provider") is not None
        or settings.get("ssl")
        or any(str(name).startswith("ssl_") and value for name, value in settings.items())
        or settings.get("connection_class") is not None
        or not _is_text(settings.get("username"), settings.get("password"))
    ):
        return None
    hosts = authority(*((node.host, node.port) for node in nodes.startup_nodes.values()))
    if hosts is None:
        return None
    return RedisServer(f"redis-cluster://{_as_login(settings.get('username'), settings.get('password'))}{hosts}")


def _unconnected(pool: Any) -> Any:
    """A connection as the pool makes them. What the pool's own dict has, depends on how the client was made."""
    try:
        connection = pool.connection_class(**pool.connection_kwargs)
    except Exception:
        # Such as for an option that there is not. The client says so itself when it is used.
        return None
    if any(getattr(connection, name, None) for name in _UNREADABLE) or not _is_text(*_credentials(connection)):
        return None
    return connection


def _credentials(connection: Any) -> tuple[Any, Any]:
    return connection.username, connection.password


def _is_text(*values: Any) -> bool:
    return all(value is None or isinstance(value, str) for value in values)


def _login(connection: Any) -> str:
    return _as_login(*_credentials(connection))


def _as_login(username: str | None, password: str | None) -> str:
    if not username and not password:
        return ""
    return f"{quote(username or '', safe='')}:{quote(password or '', safe='')}@"


def _database(connection: Any) -> int | None:
    """The database, which may be text."""
    try:
        number = int(connection.db or 0)
    except (TypeError, ValueError):
        return None
    return number if number >= 0 else None
