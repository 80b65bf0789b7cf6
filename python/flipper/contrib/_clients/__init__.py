"""Where the servers of client objects are.

A client is read only if it is certain to do what its class does: its class is exactly the known one, and none of its methods has been
replaced. Fakes are subclasses of real clients, and have a real server's address.
"""

from __future__ import annotations

import sys
from typing import Any


def is_exactly(value: Any, module: str, *names: str) -> bool:
    """Whether the object's class, and no subclass of it, is one of these of a module that is imported."""
    loaded = sys.modules.get(module)
    return loaded is not None and any(type(value) is getattr(loaded, name, None) for name in names)


def refuse_values(value: Any, store: str, attribute: str, example: str) -> None:
    """Raises for what is no client, nor a fake of one: `None`, a number, a module."""
    if isinstance(value, str):
        raise TypeError(f"a {store} whose methods are replaced takes a client")
    # A bare `object()` stands for a client that is not called.
    if type(value).__module__ == "builtins" and type(value) is not object and not hasattr(value, attribute):
        raise TypeError(f"a {store} takes a URL, or a client such as {example}, not {value!r:.99}")


def is_class(value: Any, module: str, name: str) -> bool:
    """Whether this is the class of that name."""
    loaded = sys.modules.get(module)
    return loaded is not None and value is not None and value is getattr(loaded, name, None)


def is_untouched(value: object, *methods: str) -> bool:
    """Whether these methods are those of the package, on the object and on its class: a test may have put others there."""
    package = type(value).__module__.partition(".")[0]
    return not any(name in vars(value) for name in methods) and all(
        str(getattr(getattr(type(value), name, None), "__module__", "")).partition(".")[0] == package
        for name in methods
    )


def authority(*servers: tuple[Any, Any]) -> str | None:
    """The part of a URL with these hosts and ports; `None` if one is no host or port."""
    parts: list[str] = []
    for host, port in servers:
        if not isinstance(host, str) or not host:
            return None
        try:
            number = int(port)
        except (TypeError, ValueError):
            return None
        parts.append(f"[{host}]:{number}" if ":" in host else f"{host}:{number}")
    return ",".join(parts) or None
