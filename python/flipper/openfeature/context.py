"""OpenFeature's context as attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from typing import Any, cast

from openfeature.evaluation_context import EvaluationContext


def attributes_of(context: EvaluationContext | None, targeting_key: str) -> dict[str, Any]:
    """The custom fields, sorted by name, and the targeting key, which replaces a field of its name."""
    if context is None:
        return {}
    attributes = {name: _plain(context.attributes[name]) for name in sorted(context.attributes)}
    if context.targeting_key is not None:
        attributes[targeting_key] = context.targeting_key
    return attributes


def _plain(value: Any) -> Any:
    """Dates are seconds since 1970."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, date):
        return int(datetime(value.year, value.month, value.day, tzinfo=timezone.utc).timestamp())
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in cast(Mapping[str, Any], value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in cast(Sequence[Any], value)]
    return value
