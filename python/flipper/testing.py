"""Other answers for some flags, for as long as a test lasts. Nothing is written to a store."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from .aio import AsyncFeatureFlagClient
from .client import FeatureFlagClient


class override_flags:  # noqa: N801
    """Answers checks of these flags, of all clients of the client's store, in all threads, until it is stopped.

    ```
    with override_flags(features, NEW_CHECKOUT=True):
        ...
    ```

    A dict serves for other names: `override_flags(features, {"a-b": True})`. Of several the latest counts.
    """

    def __init__(
        self, client: FeatureFlagClient | AsyncFeatureFlagClient, answers: Mapping[str, bool] | None = None, /, **flags: bool
    ) -> None:
        if isinstance(client, AsyncFeatureFlagClient):
            client = client.sync
        if not isinstance(client, FeatureFlagClient):
            raise TypeError(f"flags are overridden for a FeatureFlagClient, not for {_class(client)}")
        self._client = client
        self._answers: dict[str, bool] = {**(answers or {}), **flags}
        for name, answer in self._answers.items():
            if not isinstance(name, str) or not isinstance(answer, bool):
                raise TypeError(f"an override is a name and a bool, not {name!r} and {answer!r}")

    def start(self) -> override_flags:
        """Overrides the flags from now on."""
        global _started
        with _lock:
            if self not in _started:
                _patch(self._client)
                _started = (*_started, self)
        for name, answer in self._answers.items():
            if overridden(self._client, name) is answer and self._client.is_enabled(name) is not answer:
                self.stop()
                raise TypeError(f"the checks of this {_class(self._client)} do not ask for overrides")
        return self

    def stop(self) -> None:
        """Ends it; again, for nothing."""
        global _started
        with _lock:
            if self in _started:
                _started = tuple(each for each in _started if each is not self)
                if not _started:
                    _restore()

    def __enter__(self) -> override_flags:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"override_flags({self._answers!r})"


_lock = threading.RLock()
_started: tuple[override_flags, ...] = ()
# The classes whose check asks for overrides, and their own check.
_patched: dict[type, Any] = {}


def overridden(client: FeatureFlagClient, feature_name: str) -> bool | None:
    """The answer of an override; `None` without one."""
    for override in reversed(_started):
        if override._client._store is client._store and feature_name in override._answers:
            return override._answers[feature_name]
    return None


def _patch(client: FeatureFlagClient) -> None:
    """The class is changed, not the client: only so are its checks as fast as before afterwards."""
    owner = next(each for each in client.__class__.__mro__ if "is_enabled" in vars(each))
    if owner in _patched:
        return
    own = vars(owner)["is_enabled"]

    def is_enabled(self: FeatureFlagClient, *args: Any, **kwargs: Any) -> Any:
        answer = overridden(self, args[0] if args else kwargs.get("feature_name", ""))
        return own.__get__(self, type(self))(*args, **kwargs) if answer is None else answer

    _patched[owner] = own
    type.__setattr__(owner, "is_enabled", is_enabled)


def _restore() -> None:
    while _patched:
        owner, own = _patched.popitem()
        type.__setattr__(owner, "is_enabled", own)


def _class(value: object) -> str:
    return type(value).__name__
