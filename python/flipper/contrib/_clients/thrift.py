"""Clients that the Thrift compiler has generated from Flipper's service."""

from __future__ import annotations

from typing import Any

from . import authority, is_exactly, is_untouched

_SERVICE = "flipper_thrift.python.feature_flag_store.FeatureFlagStore"
_METHODS = ("Create", "Delete", "Get", "Set", "SetMeta", "List", "Describe")
_BUFFERED = ("thrift.transport.TTransport", "TBufferedTransport")
_FRAMED = ("thrift.transport.TTransport", "TFramedTransport")
_PROTOCOLS = {
    "binary": ("thrift.protocol.TBinaryProtocol", "TBinaryProtocol", "TBinaryProtocolAccelerated"),
    "compact": ("thrift.protocol.TCompactProtocol", "TCompactProtocol", "TCompactProtocolAccelerated"),
}
# Of the question whether a server has our calls, in milliseconds.
_PATIENCE = 1000


def read(client: Any) -> str | None:
    """The URL of the client's server; `None` if it is not certain, or has not the calls without which writes are lost."""
    if not is_exactly(client, _SERVICE, "Client") or not is_untouched(client, *_METHODS):
        return None
    protocol = client._iprot
    transport: Any = getattr(protocol, "trans", None)
    kind = next((kind for kind, classes in _PROTOCOLS.items() if is_exactly(protocol, *classes)), None)
    if client._oprot is not protocol or kind is None or not getattr(protocol, "strictWrite", True):
        return None
    socket: Any
    if is_exactly(transport, *_BUFFERED):
        how, socket = "buffered", getattr(transport, "_TBufferedTransport__trans", None)
    elif is_exactly(transport, *_FRAMED):
        how, socket = "framed", getattr(transport, "_TFramedTransport__trans", None)
    else:
        return None
    # One with a Unix socket has a host and a port too.
    if not is_exactly(socket, "thrift.transport.TSocket", "TSocket") or socket._unix_socket is not None:
        return None
    host = authority((socket.host, socket.port))
    if host is None or not _has_our_calls(client, protocol, transport, socket):
        return None
    return f"thrift://{host}?transport={how}&protocol={kind}"


def _has_our_calls(client: Any, protocol: Any, transport: Any, socket: Any) -> bool:
    """Asks the server, over a connection of its own: an answer that comes too late must not be there for the client's next call."""
    own = type(socket)(socket.host, socket.port)
    own.setTimeout(_PATIENCE)
    own_transport = type(transport)(own)
    try:
        own_transport.open()
        type(client)(type(protocol)(own_transport)).Describe()
    except Exception:
        # Without the call, or not there, or a simple server, which has one connection at a time, and the client's is open.
        return False
    finally:
        own_transport.close()
    return True
