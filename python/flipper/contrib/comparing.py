"""What stores have in common that write only over what they have read."""

from __future__ import annotations

import json
import random
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from flipper.exceptions import ConflictError, FlagDoesNotExistError, FlipperError, InvalidInputError, UnreadableFlagError

from .interface import AbstractFeatureFlagStore
from .native import Draft
from .storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from .util.date import now

# In seconds: for how long a write is repeated, and the longest first pause.
PATIENCE = 30
FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.1


class ComparingFeatureFlagStore(AbstractFeatureFlagStore):
    """A store that writes a flag only if it still is as it was read, so no change of another writer is lost."""

    @abstractmethod
    def _read(self, feature_name: str) -> tuple[bytes, Any] | None:
        """The stored text of a flag, and what `_replace` compares; `None` if there is no such flag."""

    @abstractmethod
    def _add(self, feature_name: str, serialized: bytes) -> bool:
        """Stores a flag, unless there is one of this name."""

    @abstractmethod
    def _replace(self, feature_name: str, serialized: bytes, read: Any) -> bool:
        """Stores a flag, unless it is another than the one that was read."""

    def get(self, feature_name: str) -> FeatureFlagStoreItem | None:
        """The flag of this name, or `None`."""
        stored = self._read(feature_name)
        if stored is None:
            return None
        item = item_of(feature_name, stored[0])
        item._find = self.get
        return item

    def set(self, feature_name: str, is_enabled: bool) -> None:
        """Enables or disables a flag, which is created if it does not exist."""
        for _ in _attempts(feature_name):
            try:
                self.change(feature_name, lambda draft: draft.switch(is_enabled))
                return
            except FlagDoesNotExistError:
                if self._add(feature_name, new_item(feature_name, is_enabled, None).serialize()):
                    return

    def set_meta(self, feature_name: str, meta: FeatureFlagStoreMeta) -> None:
        """Replaces a flag's meta data."""
        self.change(feature_name, lambda draft: draft.replace(meta))

    def change(self, feature_name: str, change: Callable[[Any], None]) -> None:
        """Writes what `change` makes of the flag. It is called again if another writer was faster."""
        sent = None
        for _ in _attempts(feature_name):
            stored = self._read(feature_name)
            if stored is None:
                raise FlagDoesNotExistError(f"flag {feature_name!r} does not exist")
            serialized, read = stored
            if serialized == sent:
                # A driver that repeats a request takes its own first one for another writer's.
                return
            draft = Draft(json.dumps(item_of(feature_name, serialized).to_dict()), None)
            change(draft)
            sent = draft.finish(keeps_objects=False)[0].encode()
            if self._replace(feature_name, sent, read):
                return


def new_item(feature_name: str, is_enabled: bool, client_data: dict[str, Any] | None) -> FeatureFlagStoreItem:
    """A flag to create. Its name is checked: what cannot be stored must not be cut, or stored as another."""
    if not isinstance(feature_name, str):
        raise TypeError(f"a flag's name is a str, not {type(feature_name).__name__}")
    if not can_be_stored(feature_name):
        raise InvalidInputError(f"a flag's name is text that UTF-8 can hold, without NUL: {feature_name!r}")
    return FeatureFlagStoreItem(feature_name, bool(is_enabled), FeatureFlagStoreMeta(now(), client_data))


def can_be_stored(feature_name: str) -> bool:
    """Whether the name is text for a server. There is no flag of another name."""
    try:
        return b"\0" not in feature_name.encode()
    except UnicodeEncodeError:
        return False


def item_of(feature_name: str, serialized: bytes) -> FeatureFlagStoreItem:
    """Reads what is stored for a flag."""
    try:
        return FeatureFlagStoreItem.deserialize(serialized)
    except (FlipperError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableFlagError(f"what is stored for the flag {feature_name!r} is no flag") from error


def _attempts(feature_name: str) -> Iterator[None]:
    """Attempts to write, with random pauses that grow, so that writers which met do not meet again."""
    deadline = time.monotonic() + PATIENCE
    longest = FIRST_PAUSE
    while True:
        yield
        if time.monotonic() >= deadline:
            raise ConflictError(f"other writers changed the flag {feature_name!r} for {PATIENCE} s")
        time.sleep(random.uniform(0, longest))
        longest = min(2 * longest, LONGEST_PAUSE)
