"""Values in a flag's client data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from openfeature.flag_evaluation import FlagValueType

ObjectValue = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class Mismatch(Exception):
    """The value is of another type, or is not there."""


def at(data: Any, keys: Sequence[str]) -> Any:
    """The value under keys, each within the one before."""
    for key in keys:
        if not isinstance(data, dict) or key not in data:
            raise Mismatch(f"the client data have nothing under {'/'.join(keys)!r}")
        data = cast(Any, data[key])
    return data


def to_string(value: Any) -> str:
    if not isinstance(value, str):
        raise _mismatch("a string", value)
    return value


def to_integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _mismatch("an integer", value)
    return value


def to_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _mismatch("a number", value)
    return float(value)


def to_object(value: Any) -> ObjectValue:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {key: _any(each) for key, each in fields.items() if each is not None}
    if isinstance(value, list):
        return [_any(each) for each in cast("Sequence[Any]", value)]
    raise _mismatch("an object", value)


def _any(value: Any) -> FlagValueType:
    if value is None:
        raise _mismatch("a value of OpenFeature", value)
    return to_object(value) if isinstance(value, (dict, list)) else cast(FlagValueType, value)


def _mismatch(wanted: str, value: Any) -> Mismatch:
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return Mismatch(f"its client data have {names.get(value.__class__, 'a number')} where {wanted} is asked for")
