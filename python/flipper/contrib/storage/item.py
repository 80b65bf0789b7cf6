"""A flag, and its check in Python."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from flipper import _flipper
from flipper.bucketing import NoOpBucketer, SaltedPercentageBucketer
from flipper.conditions import Condition

from .limits import ENABLED, SEGMENT, Find, evaluated, is_limited, state_of
from .meta import FeatureFlagStoreMeta

_KNOWN = ("feature_name", "is_enabled", "meta")


class FeatureFlagStoreItem:
    """A flag as stores keep it: name, switch and meta data. Fields that others have added are kept.

    A flag with rules, prerequisites or a schedule is stored as off, for the original library would find it on for everybody; its meta data
    have its state.
    """

    # Where a store has the flags on which this one depends.
    _find: Find | None = None

    def __init__(self, feature_name: str, is_enabled: bool, meta: FeatureFlagStoreMeta) -> None:
        self.feature_name = feature_name
        self._is_enabled = is_enabled
        self._meta = meta
        self._others: dict[str, Any] = {}

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        is_enabled, meta = self._is_enabled, self._meta.to_dict()
        if self._is_limited:
            is_enabled = False
            meta.pop(ENABLED, None)
            if self._is_enabled is not False:
                meta[ENABLED] = True
        return {"feature_name": self.feature_name, "is_enabled": is_enabled, "meta": meta, **self._others}

    def serialize(self) -> bytes:
        """The stored text."""
        return json.dumps(self.to_dict()).encode()

    @classmethod
    def deserialize(cls, serialized: bytes) -> FeatureFlagStoreItem:
        """Reads the stored text."""
        return cls._from_dict(json.loads(serialized.decode()))

    @classmethod
    def _from_dict(cls, fields: dict[str, Any]) -> FeatureFlagStoreItem:
        is_enabled, meta = fields["is_enabled"], FeatureFlagStoreMeta.from_dict(fields["meta"])
        if is_limited(meta._others):
            is_enabled = state_of(fields)
            meta._others.pop(ENABLED, None)
        item = cls(fields["feature_name"], is_enabled, meta)
        item._others = {key: value for key, value in fields.items() if key not in _KNOWN}
        return item

    @property
    def raw_is_enabled(self) -> bool:
        """The switch alone."""
        return self._is_enabled

    @property
    def _is_limited(self) -> bool:
        return bool(self._meta._others) and is_limited(self._meta._others)

    def _switch(self, is_enabled: bool) -> None:
        """Enables or disables the flag now: what of a schedule would keep it off is dropped."""
        if self._is_limited:
            fields = json.loads(_flipper.switched(json.dumps(self.to_dict()), bool(is_enabled)))
            self._meta._others = self._from_dict(fields)._meta._others
        self._is_enabled = is_enabled

    @property
    def meta(self) -> dict[str, Any]:
        """The meta data in their stored form, a copy."""
        meta = cast("dict[str, Any]", self.to_dict()["meta"])
        return {**meta, "client_data": _copied(meta["client_data"])}

    def is_enabled(self, **conditions: Any) -> bool:
        """Whether the flag is on for these conditions."""
        if self._is_enabled is False:
            return False
        if self._is_limited:
            return evaluated(self, conditions, None, self._find).is_enabled
        # An item of a segment is no flag, and never on.
        return self._meta._others.get(SEGMENT) is None and self._plain_answer(conditions)

    def _plain_answer(self, conditions: dict[str, Any]) -> bool:
        """The answer of an enabled flag by what is evaluated in Python."""
        meta = self._meta
        # `flipper-client` knows neither, and most flags have none.
        if meta._others and (_is_denied(meta, conditions) or _misses(meta, conditions)):
            return False
        if conditions and meta.conditions:
            return all(condition.check(**conditions) for condition in meta.conditions)
        bucketer: Any = meta.bucketer
        if bucketer.get_type() == NoOpBucketer.get_type():
            return True
        if isinstance(bucketer, SaltedPercentageBucketer):
            return bucketer.check_flag(self.feature_name, conditions)
        answer: bool = bucketer.check(**conditions)
        return answer

    def __getstate__(self) -> dict[str, Any]:
        # A copy is of the flag, and not of its store.
        return {name: value for name, value in vars(self).items() if name != "_find"}

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, FeatureFlagStoreItem) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.feature_name)

    def __repr__(self) -> str:
        return f"FeatureFlagStoreItem({self.feature_name!r}, {self._is_enabled!r})"


def _copied(value: Any) -> Any:
    """New dicts and lists; what is in them may be anything."""
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in cast(dict[str, Any], value).items()}
    return [_copied(each) for each in cast(Iterable[Any], value)] if isinstance(value, list) else value


def _misses(meta: FeatureFlagStoreMeta, conditions: dict[str, Any]) -> bool:
    """Whether the flag is strict and a condition names what is not given."""
    if meta._others.get("strict_conditions") is not True:
        return False
    return not all(name in conditions for condition in meta.conditions for name in condition._checks)


def _is_denied(meta: FeatureFlagStoreMeta, conditions: dict[str, Any]) -> bool:
    """Whether all attributes of a deny condition are given, and none of its checks fails."""
    stored = meta._others.get("deny_conditions", ())
    return bool(conditions) and any(_denies(Condition.from_dict(each), conditions) for each in stored)


def _denies(condition: Condition, conditions: dict[str, Any]) -> bool:
    checks = [check for each in condition._checks.values() for check in each]
    if not checks or not all(check.variable in conditions for check in checks):
        return False
    for check in checks:
        try:
            if check.check(conditions[check.variable]) is False:
                return False
        except TypeError:
            # A value of a wrong type is no way past it.
            continue
    return True
