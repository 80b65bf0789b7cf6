"""Rules, variants, prerequisites, schedules and segments of flags. The guide has what they mean; the Rust library evaluates all of it."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from . import _flipper
from .contrib.interface import change_flag
from .contrib.native import Draft, NativeFeatureFlagStore
from .contrib.storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from .contrib.storage.limits import (
    ENABLED,
    SEGMENT,
    SEGMENTS,
    is_segment,
    links_of,
    with_links,
)
from .evaluation import Evaluation, evaluate, missing
from .events import IEventEmitter, TargetingEventType
from .exceptions import FlagDoesNotExistError, InvalidInputError, UnreadableFlagError, UnsupportedError
from .history import Cause, current_cause, writing

if TYPE_CHECKING:
    from .contrib.interface import AbstractFeatureFlagStore

# The value of a variant.
Value = TypeVar("Value", bound="bool | int | float | str | list[Any] | dict[str, Any]")

_LARGEST = sys.float_info.max


class Targeting:
    """The methods of a client for them."""

    if TYPE_CHECKING:
        _flags: _flipper.Flags | None
        _backend: AbstractFeatureFlagStore
        _cause: Cause | None
        _event_emitter: IEventEmitter

        @property
        def _store(self) -> AbstractFeatureFlagStore: ...

        def _native(self) -> NativeFeatureFlagStore | None: ...

        def get_meta(self, feature_name: str) -> dict[str, Any]: ...

    def variant(self, feature_name: str, default: Value, **context: Any) -> Value:
        """The value of the flag's variant for this context, if it has the type of the default; else the default. So is it where
        a test overrides the flag with `False`.

        A whole number is read as a float, and a number without a fraction as an int. A bool is no number.
        """
        known = type_of(default)
        if self._overridden(feature_name) is False:
            return default
        native = self._native()
        chosen = None if native is None else _flipper.variant(native._flags, feature_name, context)
        if native is None or (chosen is not None and chosen[0] == "custom_bucketer"):
            evaluation = self._evaluated(feature_name, context)
            return default if evaluation.variant is None else as_type(evaluation.value, known, default)
        if chosen is None or chosen[1] is None:
            return default
        return as_type(json.loads(chosen[1]), known, default)

    def evaluate(self, feature_name: str, **context: Any) -> Evaluation:
        """The answer of a check, with the reason for it and the variant. A flag that is missing is off."""
        override = self._overridden(feature_name)
        if override is not None:
            return Evaluation(override, "overridden", "a test overrides the flag")
        return self._evaluated(feature_name, context)

    def _overridden(self, feature_name: str) -> bool | None:
        """The answer of a test's override."""
        # Only a program that overrides flags has the module.
        testing: Any = sys.modules.get("flipper.testing")
        override: bool | None = None if testing is None else testing.overridden(self, feature_name)
        return override

    def _evaluated(self, feature_name: str, context: dict[str, Any]) -> Evaluation:
        native = self._native()
        try:
            item = self._backend.get(feature_name) if native is None else native.shared_item(feature_name)
        except UnreadableFlagError as error:
            return missing("corrupt", str(error))
        if item is not None:
            return evaluate(item, context, None if native is None else native._flags, self._backend.get)
        if native is not None and native.exists(feature_name):
            return missing("corrupt", "the stored flag cannot be read")
        return missing("no_such_flag", "there is no such flag")

    def get_rules(self, feature_name: str) -> list[dict[str, Any]]:
        """The rules, in order: the first whose `when` holds decides."""
        rules: list[dict[str, Any]] = self.get_meta(feature_name).get("rules") or []
        return rules

    def set_rules(self, feature_name: str, rules: Iterable[Mapping[str, Any]]) -> None:
        """Replaces the rules: `[{"when": "plan = pro", "serve": "on"}]`.

        `when` is text, or the stored form. `serve` is `"on"`, `"off"`, `{"variant": NAME}` or `{"share": 0.25, "by": "user_id"}`. **The
        original library does not have rules**: it finds the flag off, and drops them when it writes it.
        """
        self._set_part(feature_name, "rules", list(rules))

    def get_variants(self, feature_name: str) -> dict[str, Any] | None:
        """The variants, as they are stored."""
        return self.get_meta(feature_name).get("variants")

    def set_variants(self, feature_name: str, variants: Mapping[str, Any] | None) -> None:
        """Replaces the variants: `{"by": "user_id", "values": [{"name": "red", "weight": 50_000, "value": "#f00"}, …]}`.

        Weights are thousandths of a percent, and add up to 100,000. Where there were variants, as few callers change theirs as that allows.
        """
        self._set_part(feature_name, "variants", variants)

    def get_prerequisites(self, feature_name: str) -> list[dict[str, Any]]:
        """The flags that must be on for this one to be."""
        prerequisites: list[dict[str, Any]] = self.get_meta(feature_name).get("prerequisites") or []
        return prerequisites

    def set_prerequisites(self, feature_name: str, prerequisites: Iterable[str | Mapping[str, Any]]) -> None:
        """Replaces the flags that must be on: names, or `{"flag": NAME, "variant": NAME}`."""
        if isinstance(prerequisites, str):
            raise TypeError("prerequisites are a list of names, not a str")
        self._set_part(feature_name, "prerequisites", list(prerequisites))

    def get_schedule(self, feature_name: str) -> dict[str, Any] | None:
        """When the flag is on, as it is stored: times are seconds of Unix time."""
        return self.get_meta(feature_name).get("schedule")

    def set_schedule(
        self,
        feature_name: str,
        schedule: Mapping[str, Any] | None = None,
        *,
        enable_at: datetime | int | None = None,
        disable_at: datetime | int | None = None,
        steps: Sequence[tuple[datetime | int, float]] = (),
        by: str | None = None,
    ) -> None:
        """Sets when the flag is on. A start or steps enable it. Without any time the schedule is taken away.

        `steps`: from when it is on for which share of the callers, who are distinguished `by` an attribute. Or `schedule`, the stored form.
        """
        given = {
            "enable_at": _seconds(enable_at),
            "disable_at": _seconds(disable_at),
            "steps": [{"at": _seconds(at), "share": share} for at, share in steps],
            "by": by,
        }
        given = {key: value for key, value in given.items() if value not in (None, [])}
        if schedule is not None:
            if given:
                raise TypeError("a schedule is given by its times, or in its stored form")
            given = _with_seconds(schedule)
        self._set_part(feature_name, "schedule", given or None)

    def segments(self) -> dict[str, dict[str, Any]]:
        """The segments, by name, as they are stored."""
        native = self._native()
        if native is not None:
            return {name: json.loads(text) for name, text in _flipper.segments(native._flags)}
        items = {item.feature_name: item._meta._others for item in self._store.list()}
        return {
            name.removeprefix(SEGMENTS): others[SEGMENT]
            for name, others in sorted(items.items())
            if name.startswith(SEGMENTS) and is_segment(others)
        }

    def set_segment(self, segment: str, when: str | Mapping[str, Any]) -> None:
        """Creates or replaces a segment, which any rule may name: `set_segment("beta", "plan = pro and country in de, fr")`."""
        with self._announced(SEGMENTS + segment, SEGMENT, when):
            native = self._native()
            if native is not None:
                _flipper.set_segment(native._flags, segment, _json(when), current_cause())
                return
            name, store = SEGMENTS + segment, self._store
            text = _json(when)
            is_new = store.get(name) is None
            if is_new:
                # What is wrong creates nothing.
                _checked(store, name, SEGMENT, text)
                store.create(name)
            try:
                _set_by_python(store, name, SEGMENT, text)
            except UnsupportedError:
                if is_new:
                    store.delete(name)
                raise

    def delete_segment(self, segment: str) -> None:
        """Deletes a segment. A part `in segment NAME` of a rule is unknown then; a rule whose `when` is unknown does not hold."""
        with self._announced(SEGMENTS + segment, SEGMENT, None):
            native = self._native()
            if native is not None:
                _flipper.delete_segment(native._flags, segment, current_cause())
                return
            item = self._store.get(SEGMENTS + segment)
            if item is None or not is_segment(item._meta._others):
                raise FlagDoesNotExistError(f"there is no segment {segment!r}")
            self._store.delete(SEGMENTS + segment)

    def _set_part(self, feature_name: str, part: str, value: Any) -> None:
        text = _json(value)
        with self._announced(feature_name, part, value):
            native = self._native()
            if native is not None:
                _flipper.set_part(native._flags, feature_name, part, text, current_cause())
            else:
                _set_by_python(self._store, feature_name, part, text)

    @contextlib.contextmanager
    def _announced(self, name: str, part: str, value: Any) -> Generator[None, None, None]:
        """A write of this client, before and after which its subscribers are called."""
        self._event_emitter.emit(TargetingEventType.PRE_SET_TARGETING, name, part, value)
        with writing(self._cause):
            yield
        self._event_emitter.emit(TargetingEventType.POST_SET_TARGETING, name, part, value)


def _checked(store: AbstractFeatureFlagStore, name: str, part: str, text: str, fields: dict[str, Any] | None = None) -> str:
    """The stored text with another part, or the error that the Rust library has for it."""
    links = [*links_of({part: json.loads(_flipper.stored_part(part, text))})]
    known = [*links_of(fields["meta"])] if fields is not None else []
    return _flipper.with_part(name, with_links(name, fields, [*known, *links], store.get), part, text)


def _set_by_python(store: AbstractFeatureFlagStore, name: str, part: str, text: str) -> None:
    """Changes a flag of a store in Python to what the Rust library makes of it."""
    wanted: dict[str, Any] | None = None

    def change(meta: Draft | FeatureFlagStoreMeta) -> None:
        if isinstance(meta, Draft):
            meta.become(_checked(store, name, part, text, meta._fields))
            return
        item = store.get(name)
        if item is None:
            raise FlagDoesNotExistError(f"flag {name!r} does not exist")
        new = FeatureFlagStoreItem._from_dict(json.loads(_checked(store, name, part, text, item.to_dict())))
        if item._is_enabled is not False and new._is_enabled is False:
            # What kept it off goes.
            store.set(name, False)
        elif new._is_enabled is not item._is_enabled:
            raise UnsupportedError(f"{store!r} does not enable a flag with its schedule: enable the flag first")
        nonlocal wanted
        wanted = {part: new._meta._others.get(part)}
        # A store that merges takes a part away for `None`.
        meta._others = {**meta._others, **wanted}
        if item._is_limited:
            # The item has it.
            meta._others.pop(ENABLED, None)

    change_flag(store, name, change)
    if wanted is not None:
        item = store.get(name)
        if item is not None and item._meta._others.get(part) != wanted[part]:
            raise UnsupportedError(f"{store!r} does not keep {part}")


def enable_now(store: AbstractFeatureFlagStore, name: str) -> None:
    """Ends what of the schedule keeps an enabled flag off, where the store's own `set` has not done so."""
    item = store.get(name)
    if not isinstance(item, FeatureFlagStoreItem) or item._meta._others.get("schedule") is None:
        return
    before = item._meta._others["schedule"]
    item._switch(True)
    after = item._meta._others.get("schedule")
    if after != before:
        _set_by_python(store, name, "schedule", _json(after))


def type_of(default: Any) -> type:
    """The type that a variant's value must have."""
    for known in (bool, int, float, str, list, dict):
        if isinstance(default, known):
            return known
    raise TypeError(f"a default is a bool, a number, a str, a list or a dict, not {type(default).__name__}")


def as_type(value: Any, known: type, default: Value) -> Value:
    """The value, if it has this type, as JSON has types; else the default."""
    read = value if isinstance(value, known) else None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if known is float:
        read = float(value) if is_number and abs(value) <= _LARGEST else None
    elif known is int:
        read = int(value) if is_number and (isinstance(value, int) or value.is_integer()) else None
    return default if read is None else cast(Value, read)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, default=_listed)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"it is no JSON: {error}") from error


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, Any]", value))
    if isinstance(value, datetime):
        # Of a date test.
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON")


def _seconds(at: Any) -> int | None:
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise InvalidInputError("a time needs its time zone: datetime.now(timezone.utc) has one")
        return int(at.timestamp())
    if at is None or (isinstance(at, int) and not isinstance(at, bool)):
        return at
    raise TypeError(f"a time is a datetime, or an int of Unix time, not {type(at).__name__}")


def _with_seconds(schedule: Mapping[str, Any]) -> dict[str, Any]:
    """The stored form, of which times may be `datetime`."""
    given = dict(schedule)
    for key in ("enable_at", "disable_at"):
        if key in given:
            given[key] = _seconds(given[key])
    steps: Any = given.get("steps")
    if isinstance(steps, (list, tuple)):
        given["steps"] = [_step(step) for step in cast(Iterable[Any], steps)]
    return given


def _step(step: Any) -> Any:
    if not isinstance(step, Mapping):
        return step
    fields = dict(cast("Mapping[str, Any]", step))
    return {**fields, "at": _seconds(fields.get("at"))}
