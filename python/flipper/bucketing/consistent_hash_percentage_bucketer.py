"""A part of all callers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .percentage_bucketer import PercentageBucketer, _stored_percentage


class ConsistentHashPercentageBucketer(PercentageBucketer):
    """A part of all callers, by a hash of their attributes: one caller has always the same answer.

    `key_whitelist`: the attributes to hash; without it, all. There are 100 buckets, and the one that equals the percentage is
    in, so 10 % turns on 11 of them. The flag's name is not hashed: the same callers come first with each flag.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._key_whitelist = dict.fromkeys(kwargs.pop("key_whitelist", ()))
        super().__init__(**kwargs)

    @classmethod
    def get_type(cls) -> str:
        """The name it is stored by."""
        return "ConsistentHashPercentageBucketer"

    def check(self, randomizer: Any = None, **checks: Any) -> bool:
        """Whether this caller is in."""
        percentage = self._percentage.value
        return percentage != 0 and self.score(checks) <= percentage

    def score(self, checks: dict[str, Any]) -> float:
        """Where this caller is, from 0 to 1; the lowest come first."""
        keys = self._key_whitelist
        hashed = [(key, checks[key]) for key in sorted(checks) if not keys or key in keys]
        digest = hashlib.sha1(json.dumps(hashed).encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest, "big") % 100 / 100

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return {**super().to_dict(), "key_whitelist": list(self._key_whitelist)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ConsistentHashPercentageBucketer:
        """Reads the stored form."""
        return cls(key_whitelist=fields.get("key_whitelist", ()), percentage=_stored_percentage(fields))
