"""Why a flag is on or off. The codes and texts are those of the Rust library and of the command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .bucketing import (
    ConsistentHashPercentageBucketer,
    NoOpBucketer,
    PercentageBucketer,
    SaltedPercentageBucketer,
)
from .conditions import Condition
from .conditions.check import Check
from .contrib.storage import FeatureFlagStoreItem
from .contrib.storage.limits import Answer, Find, evaluated, has_any

if TYPE_CHECKING:
    from . import _flipper


@dataclass(frozen=True)
class Evaluation:
    """An answer and its reason."""

    is_enabled: bool
    # Such as `conditions_met`; it does not change.
    code: str
    # For people.
    explanation: str
    # What the flag looks at and is not given.
    not_given: tuple[str, ...] = ()
    # Whether the flag has conditions, and is given nothing that they look at.
    is_untargeted: bool = False
    # Where the caller is, from 0 to 1.
    bucket_score: float | None = None
    # Whether the percentage is no number.
    is_unreadable: bool = False
    # The variant's name, if the flag has variants; while it is off that for when it is.
    variant: str | None = None
    # The variant's value.
    value: Any = None
    # Whether it is on for a share of the callers, by a rule.
    is_share: bool = False


def missing(code: str, explanation: str) -> Evaluation:
    """Of no flag."""
    return Evaluation(False, code, explanation)


def evaluate(
    item: FeatureFlagStoreItem,
    attributes: Mapping[str, Any],
    flags: _flipper.Flags | None = None,
    find: Find | None = None,
) -> Evaluation:
    """The answer of `item.is_enabled`, and why. `flags`: the store of the Rust library that has the flag. `find`: where others are found on
    which it depends.
    """
    given = dict(attributes)
    if has_any(item._meta._others):
        return _of_rust(item, given, evaluated(item, given, flags, find or item._find))
    code = explanation = ""
    score = _score(item, given)
    try:
        is_enabled = bool(item.is_enabled(**given))
    except TypeError as error:
        is_enabled, code, explanation = False, "type_mismatch", str(error)
    if not code:
        code, explanation = _reason(item, given, is_enabled, score)
    missing = (_variables(item) | _hashed(item, given)) - given.keys()
    is_unreadable = code == "type_mismatch" and _has_no_percentage(item)
    is_untargeted = _is_untargeted(item, given)
    return Evaluation(is_enabled, code, explanation, tuple(sorted(missing)), is_untargeted, score, is_unreadable)


def _of_rust(item: FeatureFlagStoreItem, given: dict[str, Any], answer: Answer) -> Evaluation:
    is_unreadable = answer.code == "corrupt" or (answer.code == "type_mismatch" and _has_no_percentage(item))
    return Evaluation(
        answer.is_enabled,
        answer.code,
        answer.explanation,
        answer.not_given,
        _is_untargeted(item, given),
        answer.score,
        is_unreadable,
        answer.variant,
        answer.value,
        answer.is_share,
    )


def _variables(item: FeatureFlagStoreItem) -> set[str]:
    return {check.variable for condition in (*item._meta.conditions, *_denies(item)) for check in _checks(condition)}


def _is_untargeted(item: FeatureFlagStoreItem, given: dict[str, Any]) -> bool:
    conditions = _variables(item)
    return bool(conditions) and conditions.isdisjoint(given)


def _has_no_percentage(item: FeatureFlagStoreItem) -> bool:
    return not isinstance(getattr(item._meta.bucketer, "percentage", 0), (int, float))


def _reason(item: FeatureFlagStoreItem, given: dict[str, Any], is_enabled: bool, score: float | None) -> tuple[str, str]:
    if not item.raw_is_enabled:
        return "disabled", "the flag is disabled"
    for index, condition in enumerate(_denies(item) if given else []):
        denied = _is_denied(condition, given)
        if isinstance(denied, TypeError):
            return "type_mismatch", str(denied)
        if denied:
            return "denied", f"deny condition {index} holds"
    conditions: list[Condition] = item._meta.conditions
    strict = item._meta._others.get("strict_conditions") is True
    if conditions and (given or strict):
        return ("conditions_met", "all conditions hold") if is_enabled else _first_failure(conditions, given, strict)
    bucketer: Any = item._meta.bucketer
    if bucketer.get_type() == NoOpBucketer.get_type():
        return "enabled", "the flag is enabled"
    if isinstance(bucketer, (SaltedPercentageBucketer, ConsistentHashPercentageBucketer)):
        at = f"at a percentage of {_number(bucketer.percentage)}"
        if score is None and isinstance(bucketer, SaltedPercentageBucketer):
            return "no_bucket_attribute", f"the context has no {_quoted(bucketer.bucket_by)} to choose by, {at}"
        return "bucket", f"score {_number(score)} {at}"
    if isinstance(bucketer, PercentageBucketer):
        return "random", f"drawn at random at a percentage of {_number(bucketer.percentage)}"
    return "custom_bucketer", f"the bucketer {_quoted(bucketer.get_type())} decided"


def _first_failure(conditions: list[Condition], given: dict[str, Any], strict: bool) -> tuple[str, str]:
    for condition in conditions:
        for name, value in given.items():
            for check in condition._checks.get(name, ()):
                if check.check(value) is False:
                    operator = check.operator.SYMBOL or "eq"
                    return "condition_failed", f"the condition on {_quoted(name)} ({operator}) does not hold"
        for name in condition._checks if strict else ():
            if name not in given:
                return "not_given", f"the condition on {_quoted(name)} does not hold, as it is not given"
    return "condition_failed", "a condition does not hold"


def _denies(item: FeatureFlagStoreItem) -> list[Condition]:
    return [Condition.from_dict(each) for each in item._meta._others.get("deny_conditions", ())]


def _is_denied(condition: Condition, given: dict[str, Any]) -> bool | TypeError:
    checks = _checks(condition)
    mismatch: bool | TypeError = bool(checks) and all(check.variable in given for check in checks)
    for check in checks if mismatch else ():
        try:
            if check.check(given[check.variable]) is False:
                return False
        except TypeError as error:
            mismatch = error
    return mismatch


def _checks(condition: Condition) -> list[Check]:
    return [check for checks in condition._checks.values() for check in checks]


def _hashed(item: FeatureFlagStoreItem, given: dict[str, Any]) -> set[str]:
    bucketer = item._meta.bucketer
    if item._meta.conditions and given:
        # The bucketer is ignored then.
        return set()
    if isinstance(bucketer, SaltedPercentageBucketer):
        return {bucketer.bucket_by}
    return set(bucketer._key_whitelist) if isinstance(bucketer, ConsistentHashPercentageBucketer) else set()


def _score(item: FeatureFlagStoreItem, given: dict[str, Any]) -> float | None:
    bucketer = item._meta.bucketer
    try:
        if isinstance(bucketer, SaltedPercentageBucketer) and bucketer.bucket_by in given:
            return bucketer.score(item.feature_name, given)
        return bucketer.score(given) if isinstance(bucketer, ConsistentHashPercentageBucketer) else None
    except TypeError:
        # A value that is no JSON.
        return None


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _number(number: Any) -> str:
    return str(number).removesuffix(".0")
