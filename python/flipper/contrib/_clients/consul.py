"""The clients of `python-consul`, `py-consul` and `python-consul2`, all of them the module `consul`."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from flipper import _flipper

from . import authority, is_exactly, is_untouched


@dataclass(frozen=True, repr=False)
class ConsulServer:
    """Where a client's flags are. It has no repr: there is a token in it."""

    address: str
    token: str | None
    datacenter: str | None
    consistency: str | None
    verify: bool
    ca: str | None
    cert: str | None
    key: str | None

    def open(self, base_key: str) -> _flipper.Flags:
        """The flags there."""
        return _flipper.open_consul(
            self.address,
            base_key,
            token=self.token,
            datacenter=self.datacenter,
            consistency=self.consistency,
            verify=self.verify,
            ca=self.ca,
            cert=self.cert,
            key=self.key,
        )


def refuse_asyncio(client: Any) -> None:
    """A client whose calls must be awaited is no client for a store."""
    module = type(client).__module__
    if module in ("consul.aio", "consul.tornado", "consul.twisted") or inspect.iscoroutinefunction(
        getattr(getattr(client, "kv", None), "get", None)
    ):
        raise TypeError("this client does not wait for answers: give the store a consul.Consul, or a URL")


def read(client: Any) -> ConsulServer | None:
    """Where the client's agent is; `None` if that is not certain. What the environment says is in the object."""
    http: Any = getattr(client, "http", None)
    kv: Any = getattr(client, "kv", None)
    if (
        not is_exactly(client, "consul.std", "Consul")
        or not is_exactly(http, "consul.std", "HTTPClient")
        or not type(kv).__module__.startswith("consul.")
        or not is_untouched(http, "get", "put", "delete", "uri")
        or not is_untouched(kv, "get", "put", "delete")
        or not _is_plain(http.session, http.base_uri)
    ):
        return None
    host = authority((http.host, http.port))
    texts = (client.token, client.dc, client.consistency)
    if (
        host is None
        or http.scheme not in ("http", "https")
        or http.base_uri != f"{http.scheme}://{http.host}:{http.port}"
        or not all(text is None or isinstance(text, str) for text in texts)
    ):
        return None
    tls = _tls(http) if http.scheme == "https" else (True, None, None, None)
    if tls is None:
        return None
    verify, ca, cert, key = tls
    token, datacenter, consistency = (text or None for text in texts)
    return ConsulServer(f"{http.scheme}://{host}", token, datacenter, consistency, verify, ca, cert, key)


def _is_plain(session: Any, url: str) -> bool:
    """Whether requests go to the agent itself, and as they are."""
    requests = sys.modules.get("requests")
    if requests is None or not is_exactly(session, "requests.sessions", "Session"):
        return False
    plain = requests.Session()
    return (
        not session.proxies
        and not session.params
        and session.auth is None
        and session.cert is None
        and session.verify is True
        and dict(session.headers) == dict(plain.headers)
        and all(is_exactly(adapter, "requests.adapters", "HTTPAdapter") for adapter in session.adapters.values())
        and is_untouched(session, "request", "send", "get", "put", "delete")
        and not (session.trust_env and requests.utils.get_environ_proxies(url))
    )


def _tls(http: Any) -> tuple[bool, str | None, str | None, str | None] | None:
    """Whether certificates are looked at, whom to trust, the client's certificate and its key."""
    verify, cert = http.verify, http.cert
    if verify is True or verify is None:
        # As `requests` chooses.
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        verify, ca = True, bundle or sys.modules["requests"].certs.where()
    elif isinstance(verify, str) and verify:
        verify, ca = True, verify
    elif verify is False:
        ca = None
    else:
        return None
    if cert is None:
        return verify, ca, None, None
    # One file may have both.
    both = (cert, cert) if isinstance(cert, str) else cast(Sequence[Any], cert) if isinstance(cert, (tuple, list)) else ()
    if len(both) != 2 or not all(isinstance(file, str) for file in both):
        return None
    return verify, ca, both[0], both[1]
