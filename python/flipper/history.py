"""Who changed which flag, when and why."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from contextvars import ContextVar
from datetime import datetime, timedelta, timezone
from typing import Any

from ._flipper import Cause, Entry
from .exceptions import InvalidInputError, UnsupportedError

__all__ = ["Cause", "Entry", "current_cause"]

# Passed to stores beside their methods' arguments, which are those of the original library: no wrapper can lose it.
_CAUSE: ContextVar[Cause | None] = ContextVar("flipper_cause", default=None)


def current_cause() -> Cause | None:
    """Who makes the write that the store is called for, and why: for a store of your own that keeps a history."""
    return _CAUSE.get()


@contextlib.contextmanager
def writing(cause: Cause | None) -> Generator[None, None, None]:
    """What is written within has this cause."""
    token = _CAUSE.set(cause)
    try:
        yield
    finally:
        _CAUSE.reset(token)


def with_actor(cause: Cause | None, actor: str) -> Cause:
    """The cause with this actor."""
    return (cause or Cause()).with_actor(_text("an actor", actor))


def with_reason(cause: Cause | None, reason: str) -> Cause:
    """The cause with this reason."""
    return (cause or Cause()).with_reason(_text("a reason", reason))


def _text(what: str, text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{what} is a str, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"{what} is text that UTF-8 can hold") from error
    return text


def entries_of(store: Any, feature_name: str | None, since: float | None = None) -> Iterator[Entry]:
    """The entries of a store's history, of this flag or of all; `since` is a Unix time."""
    name = None if feature_name is None else _text("a flag's name", feature_name)
    entries: Iterator[Entry] = _method(store, "history")(name, since)
    return entries


def restore(store: Any, feature_name: str, entry: Entry) -> None:
    """Makes a flag of the store what it was before the entry."""
    if not isinstance(entry, Entry):
        raise TypeError(f"what is restored is an entry of a history, not {type(entry).__name__}")
    _method(store, "restore")(_text("a flag's name", feature_name), entry)


def _method(store: Any, name: str) -> Any:
    method = getattr(store, name, None)
    if method is None:
        raise UnsupportedError(f"{store!r} keeps no history")
    return method


def unix_time(since: datetime | timedelta | None) -> float | None:
    """A time, or the time so long ago."""
    if since is None:
        return None
    if isinstance(since, timedelta):
        try:
            since = datetime.now(timezone.utc) - since
        except OverflowError:
            # Longer ago than all times.
            return None
    elif not isinstance(since, datetime):
        raise TypeError(f"a time is a datetime, or a timedelta for so long ago, not {type(since).__name__}")
    elif since.tzinfo is None:
        raise InvalidInputError("a time needs its time zone: datetime.now(timezone.utc) has one")
    return since.timestamp()
