"""What flags have besides conditions and a bucketer. The Rust library alone evaluates it: here are the flags that it needs for that."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from flipper import _flipper
from flipper.bucketing import BucketerFactory, NoOpBucketer
from flipper.exceptions import FlipperError, UnreadableFlagError

if TYPE_CHECKING:
    from .item import FeatureFlagStoreItem

log = logging.getLogger("flipper")

LIMITS = ("rules", "prerequisites", "schedule")
PARTS = (*LIMITS, "variants")
SEGMENT = "segment"
SEGMENTS = "segments/"
# The state of a flag that is stored as off, since the original library would find it on for everybody.
ENABLED = "enabled"

Find = Callable[[str], "FeatureFlagStoreItem | None"]


class Answer(NamedTuple):
    """What the Rust library answers."""

    is_enabled: bool
    code: str
    explanation: str
    not_given: tuple[str, ...] = ()
    score: float | None = None
    variant: str | None = None
    value: Any = None
    is_share: bool = False


def is_limited(meta: Mapping[str, Any]) -> bool:
    """Whether the flag would be on for too many where these fields of its meta data are ignored."""
    return any(meta.get(key) not in (None, []) for key in LIMITS)


def has_any(meta: Mapping[str, Any]) -> bool:
    """Whether the Rust library must be asked about these fields of the meta data."""
    return any(meta.get(key) not in (None, []) for key in PARTS)


def is_segment(meta: Mapping[str, Any]) -> bool:
    """Whether it is no flag."""
    return meta.get(SEGMENT) is not None


def state_of(fields: Mapping[str, Any]) -> Any:
    """Whether the flag of this stored form is on: `False` if it is not."""
    is_enabled, meta = fields["is_enabled"], fields["meta"]
    if not is_limited(meta):
        return is_enabled
    # What is stored as on has been turned on by a program that keeps fields which it does not know.
    return is_enabled is not False or meta.get(ENABLED) is True


def merged(stored: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The stored fields with the new ones. A `None` takes a part away: one that is not there is kept."""
    both = {**stored, **new}
    return {key: value for key, value in both.items() if value is not None or key not in (*PARTS, SEGMENT)}


def json_of(value: Any) -> str:
    """The value of an attribute as rules see it: a time is a text, and what JSON cannot hold is null."""
    try:
        return json.dumps(value, default=_plain)
    except (TypeError, ValueError, RecursionError):
        return "null"


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


def answer_of(answer: Any) -> Answer:
    """What the extension returns."""
    is_enabled, code, explanation, not_given, score, variant, is_share = answer
    name, value = (None, None) if variant is None else (variant[0], json.loads(variant[1]))
    return Answer(is_enabled, code, explanation, tuple(not_given), score, name, value, is_share)


def evaluated(item: FeatureFlagStoreItem, attributes: dict[str, Any], flags: _flipper.Flags | None, find: Find | None) -> Answer:
    """The answer of a flag with such parts. `flags`: the store of the Rust library that has it, if there is one. `find`: where the flags are
    found on which it depends.
    """
    name = item.feature_name
    try:
        if flags is not None:
            answer = _flipper.evaluate(flags, name, attributes)
        else:
            answer = _flipper.evaluate_text(name, texts_of(item, find), attributes)
    except FlipperError as error:
        log.warning("the flag %r is off, since it cannot be evaluated: %s", name, error)
        return Answer(False, "corrupt", str(error))
    if answer is None:
        return Answer(False, "corrupt", "the stored flag cannot be read")
    known = answer_of(answer)
    if known.code == "custom_bucketer" or (known.code == "enabled" and not _is_json(item)):
        return _by_bucketer(item, attributes, known)
    return known


def _by_bucketer(item: FeatureFlagStoreItem, attributes: dict[str, Any], known: Answer) -> Answer:
    """The answer where nothing but what is written in Python decides."""
    was_enabled = known.is_enabled
    try:
        is_enabled = bool(item._plain_answer(attributes))
    except TypeError as error:
        # A check of a flag with rules does not raise.
        is_enabled = False
        known = known._replace(code="type_mismatch", explanation=str(error))
    if was_enabled is is_enabled or "variants" not in item._meta._others:
        return known._replace(is_enabled=is_enabled)
    # The variant of this answer.
    meta = {"created_date": 0, "variants": item._meta._others["variants"]}
    text = json.dumps({"feature_name": item.feature_name, "is_enabled": is_enabled, "meta": meta})
    other = answer_of(_flipper.evaluate_text(item.feature_name, [(item.feature_name, text)], attributes))
    return known._replace(is_enabled=is_enabled, variant=other.variant, value=other.value)


def texts_of(item: FeatureFlagStoreItem, find: Find | None) -> list[tuple[str, str]]:
    """The stored texts of the flag and of those on which it depends."""
    fields = item.to_dict()
    if not _is_json(item):
        # Conditions and bucketers that are objects are asked afterwards.
        fields["meta"].update(client_data={}, created_date=0, conditions=[], bucketer=NoOpBucketer().to_dict())
        if isinstance(fields["meta"].get("schedule"), dict) and item._meta.conditions:
            schedule = cast("dict[str, Any]", fields["meta"]["schedule"])
            fields["meta"]["schedule"] = {key: value for key, value in schedule.items() if key not in ("steps", "by")}
    links = [*links_of(fields["meta"])]
    if links and find is None:
        raise FlipperError("it depends on others, and was not checked by a client")
    return with_links(item.feature_name, fields, links, find)


def with_links(name: str, fields: dict[str, Any] | None, links: list[str], find: Find | None) -> list[tuple[str, str]]:
    """The stored texts of the flag, if there is one, of these others, and of those on which they depend."""
    texts = {} if fields is None else {name: json.dumps(fields)}
    links = [*links]
    while links and find is not None:
        link = links.pop()
        if link in texts:
            continue
        try:
            found = find(link)
        except UnreadableFlagError:
            found = None
        if found is not None:
            others = found.to_dict()
            try:
                texts[link] = json.dumps(others)
            except (TypeError, ValueError):
                # What Python alone can check is missing, so that it is not on here.
                log.warning("the flag %r is off for %r, since JSON cannot hold it", link, name)
                continue
            links.extend(links_of(others["meta"]))
    return [*texts.items()]


def links_of(meta: Mapping[str, Any]) -> Iterator[str]:
    """The names under which a store has what the flag's answer depends on."""
    for prerequisite in _dicts(meta.get("prerequisites")):
        if isinstance(prerequisite.get("flag"), str):
            yield prerequisite["flag"]
    whens = [rule.get("when") for rule in _dicts(meta.get("rules"))]
    whens.append(meta.get(SEGMENT))
    while whens:
        when = whens.pop()
        if not isinstance(when, dict):
            continue
        fields = cast("dict[str, Any]", when)
        if isinstance(fields.get("segment"), str):
            yield SEGMENTS + fields["segment"]
        whens.append(fields.get("not"))
        for parts in (fields.get("all"), fields.get("any")):
            whens.extend(_dicts(parts))


def _dicts(items: Any) -> list[dict[str, Any]]:
    if not isinstance(items, list):
        return []
    return [cast("dict[str, Any]", each) for each in cast(Iterable[Any], items) if isinstance(each, dict)]


def _is_json(item: FeatureFlagStoreItem) -> bool:
    """Whether the flag's text has its conditions and its bucketer."""
    try:
        json.dumps(item.to_dict())
    except (TypeError, ValueError):
        return False
    return item._meta.bucketer.get_type() in BucketerFactory.BUCKETER_MAP
