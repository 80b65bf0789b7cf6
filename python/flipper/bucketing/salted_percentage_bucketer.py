"""A part of all callers, another one for each flag."""

from __future__ import annotations

import json
from typing import Any

from flipper._flipper import salted_bucket

from .percentage import AbstractPercentage
from .percentage_bucketer import PercentageBucketer, _stored_percentage

_BUCKETS = 100_000


class SaltedPercentageBucketer(PercentageBucketer):
    """A part of all callers, by a hash of one attribute and the flag's name. `flipper-client` cannot read it.

    Each flag chooses its callers independently of the others, in steps of 0.001 %. Without the attribute the flag is on at 100 %
    only.
    """

    def __init__(self, bucket_by: str, percentage: AbstractPercentage | float | None = None) -> None:
        super().__init__(percentage)
        self._bucket_by = bucket_by

    @classmethod
    def get_type(cls) -> str:
        """The name it is stored by."""
        return "SaltedPercentageBucketer"

    @property
    def bucket_by(self) -> str:
        """The attribute by which callers differ."""
        return self._bucket_by

    def check_flag(self, feature_name: str, checks: dict[str, Any]) -> bool:
        """Whether this caller is in, for this flag."""
        limit = max(0, round(self._percentage.value * _BUCKETS))
        if self._bucket_by not in checks:
            return limit >= _BUCKETS
        return self._bucket(feature_name, checks) < limit

    def score(self, feature_name: str, checks: dict[str, Any]) -> float:
        """Where this caller is, for this flag, from 0 to 1; the lowest come first."""
        return self._bucket(feature_name, checks) / _BUCKETS

    def _bucket(self, feature_name: str, checks: dict[str, Any]) -> int:
        value = checks[self._bucket_by]
        try:
            text = value.encode() if isinstance(value, str) else None
        except UnicodeEncodeError:
            # A lone surrogate, which JSON escapes.
            text = None
        return salted_bucket(feature_name, b"\0" + json.dumps(value).encode() if text is None else text)

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return {**super().to_dict(), "bucket_by": self._bucket_by}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> SaltedPercentageBucketer:
        """Reads the stored form."""
        return cls(fields["bucket_by"], _stored_percentage(fields))
