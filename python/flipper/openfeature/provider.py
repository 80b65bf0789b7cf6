"""The provider."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
    FlagNotFoundError,
    InvalidContextError,
    ParseError,
    ProviderNotReadyError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from flipper.aio import AsyncFeatureFlagClient
from flipper.client import FeatureFlagClient
from flipper.contrib.storage import FeatureFlagStoreItem
from flipper.contrib.storage.limits import is_segment
from flipper.evaluation import Evaluation, evaluate
from flipper.exceptions import UnreadableFlagError
from flipper.testing import overridden

from .context import attributes_of
from .value import Mismatch, ObjectValue, at, to_float, to_integer, to_object, to_string

T = TypeVar("T")

_REASONS = {
    "disabled": Reason.DISABLED,
    "enabled": Reason.STATIC,
    "bucket": Reason.SPLIT,
    "random": Reason.SPLIT,
    "no_bucket_attribute": Reason.SPLIT,
    "overridden": "OVERRIDDEN",
    "scheduled": Reason.DISABLED,
}


class FlipperProvider(AbstractProvider):
    """Answers OpenFeature from Flipper's flags in memory. A store of your own is called, by the async methods in a thread.

    `targeting_key`: the attribute that the targeting key becomes. `poll_seconds`: how long it waits before it looks again for flags
    that changed, and for a store that is lost or back, to emit the provider's events; 0 for never, as for a store of your own.
    """

    def __init__(
        self,
        features: FeatureFlagClient | AsyncFeatureFlagClient,
        *,
        targeting_key: str = "targeting_key",
        poll_seconds: float = 1.0,
    ) -> None:
        super().__init__()
        if not isinstance(features, (FeatureFlagClient, AsyncFeatureFlagClient)):
            raise TypeError(f"a provider takes a client, such as FeatureFlagClient.connect(url), not a {type(features).__name__}")
        self._client = features.sync if isinstance(features, AsyncFeatureFlagClient) else features
        self._targeting_key = targeting_key
        self._poll_seconds = poll_seconds
        self._stopped = threading.Event()
        self._watcher: threading.Thread | None = None

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="flipper")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """`ProviderNotReadyError` before the store's flags are in memory; an event follows when they are."""
        native = self._client._native()
        trouble = self._trouble()
        is_ready = trouble is None or native is None or bool(native.names())
        if self._poll_seconds and native is not None:
            self._stopped.clear()
            self._watcher = threading.Thread(target=self._watch, args=(is_ready,), name="flipper-openfeature", daemon=True)
            self._watcher.start()
        if not is_ready:
            raise ProviderNotReadyError(f"the store's flags are not in memory yet: {trouble}")

    def shutdown(self) -> None:
        """Ends the events. The client goes on."""
        self._stopped.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Whether the flag is on, or the value of its variant, if the values of all are bools."""
        evaluation, item = self._evaluate(flag_key, evaluation_context)
        variants = _variants_of(evaluation, item)
        if variants is None or not all(isinstance(each.get("value"), bool) for each in variants["values"]):
            return _details(evaluation.is_enabled, _without_variant(evaluation), item)
        if evaluation.variant is None:
            return _without_value(flag_key, default_value, evaluation, item, variants)
        return _details(bool(evaluation.value), evaluation, item)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """A string of the client data, or the value of the flag's variant."""
        return self._value(flag_key, default_value, evaluation_context, to_string)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """An integer of the client data, or the value of the flag's variant."""
        return self._value(flag_key, default_value, evaluation_context, to_integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """A number of the client data, or the value of the flag's variant."""
        return self._value(flag_key, default_value, evaluation_context, to_float)

    def resolve_object_details(
        self, flag_key: str, default_value: ObjectValue, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[ObjectValue]:
        """An object or list of the client data, or all of them, or the value of the flag's variant. A null in an object is left out."""
        return self._value(flag_key, default_value, evaluation_context, to_object, whole=True)

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Whether the flag is on."""
        return await self._awaited(self.resolve_boolean_details, flag_key, default_value, evaluation_context)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """A string of the client data."""
        return await self._awaited(self.resolve_string_details, flag_key, default_value, evaluation_context)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """An integer of the client data."""
        return await self._awaited(self.resolve_integer_details, flag_key, default_value, evaluation_context)

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """A number of the client data."""
        return await self._awaited(self.resolve_float_details, flag_key, default_value, evaluation_context)

    async def resolve_object_details_async(
        self, flag_key: str, default_value: ObjectValue, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[ObjectValue]:
        """An object or list of the client data, or all of them."""
        return await self._awaited(self.resolve_object_details, flag_key, default_value, evaluation_context)

    async def _awaited(
        self,
        resolve: Callable[[str, T, EvaluationContext | None], FlagResolutionDetails[T]],
        flag_key: str,
        default_value: T,
        context: EvaluationContext | None,
    ) -> FlagResolutionDetails[T]:
        if self._client._native() is None:
            return await asyncio.to_thread(resolve, flag_key, default_value, context)
        return resolve(flag_key, default_value, context)

    def _evaluate(
        self, name: str, context: EvaluationContext | None
    ) -> tuple[Evaluation, FeatureFlagStoreItem | None]:
        attributes = attributes_of(context, self._targeting_key)
        native = self._client._native()
        try:
            item = self._client._store.get(name) if native is None else native.shared_item(name)
        except UnreadableFlagError as error:
            raise ParseError(f"flag {name!r}: {error}") from error
        if item is not None and is_segment(item._meta._others):
            raise FlagNotFoundError(f"{name!r} is a segment, not a flag")
        override = overridden(self._client, name)
        if override is not None:
            return Evaluation(override, "overridden", "a test overrides the flag"), item
        if item is None:
            if native is not None and native.exists(name):
                raise ParseError(f"flag {name!r}: the stored flag cannot be read")
            trouble = self._trouble()
            if trouble is not None and native is not None and not native.names():
                raise ProviderNotReadyError(f"the store's flags are not in memory yet: {trouble}")
            raise FlagNotFoundError(f"there is no flag {name!r}")
        evaluation = evaluate(item, attributes, None if native is None else native._flags, self._client._store.get)
        is_keyless = evaluation.is_share and evaluation.bucket_score is None
        if not evaluation.is_enabled and (evaluation.code in _ERRORS or is_keyless or evaluation.is_unreadable):
            kind = ParseError if evaluation.is_unreadable else _ERRORS.get(evaluation.code, TargetingKeyMissingError)
            raise kind(f"flag {name!r}: {evaluation.explanation}")
        return evaluation, item

    def _value(
        self,
        flag_key: str,
        default: T,
        context: EvaluationContext | None,
        convert: Callable[[Any], Any],
        *,
        whole: bool = False,
    ) -> FlagResolutionDetails[T]:
        name, slash, path = flag_key.partition("/")
        evaluation, item = self._evaluate(name, context)
        variants = None if slash else _variants_of(evaluation, item)
        if variants is not None:
            if evaluation.variant is None:
                return _without_value(name, default, evaluation, item, variants)
            try:
                return _details(convert(evaluation.value), evaluation, item)
            except Mismatch:
                raise TypeMismatchError(f"flag {name!r}: the value of its variant has another type") from None
        # The values of the client data are the flag's, whatever its variant.
        evaluation = _without_variant(evaluation)
        if not evaluation.is_enabled:
            return _details(default, evaluation, item)
        if item is None:
            raise FlagNotFoundError(f"there is no flag {name!r}")
        keys = path.split("/") if slash else [] if whole else ["value"]
        try:
            value: T = convert(at(item._meta.client_data, keys))
        except Mismatch as mismatch:
            raise TypeMismatchError(f"flag {name!r}: {mismatch}") from None
        return _details(value, evaluation, item)

    def _trouble(self) -> str | None:
        native = self._client._native()
        return None if native is None else native._flags.trouble

    def _watch(self, is_ready: bool) -> None:
        was_ready = is_ready
        known = self._items()
        while not self._stopped.wait(self._poll_seconds):
            trouble = self._trouble()
            if trouble is None and not was_ready:
                self.emit_provider_ready(ProviderEventDetails())
            elif trouble is not None and was_ready:
                self.emit_provider_stale(ProviderEventDetails(message=trouble))
            was_ready = trouble is None
            items = self._items()
            changed = [name for name in {**known, **items} if _differs(known.get(name), items.get(name))]
            if changed:
                self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=sorted(changed)))
            known = items

    def _items(self) -> dict[str, FeatureFlagStoreItem | None]:
        """The flags, each the same object until it changes."""
        native = self._client._native()
        return {} if native is None else {name: native.shared_item(name) for name in native.names()}


_ERRORS: dict[str, Callable[[str], Exception]] = {
    "type_mismatch": InvalidContextError,
    "no_bucket_attribute": TargetingKeyMissingError,
}


def _variants_of(evaluation: Evaluation, item: FeatureFlagStoreItem | None) -> dict[str, Any] | None:
    """The flag's variants, unless a test says on or off instead."""
    if item is None or evaluation.code == "overridden":
        return None
    variants: dict[str, Any] | None = item._meta._others.get("variants")
    return variants


def _without_variant(evaluation: Evaluation) -> Evaluation:
    return replace(evaluation, variant=None, value=None)


def _without_value(
    name: str, default: T, evaluation: Evaluation, item: FeatureFlagStoreItem | None, variants: dict[str, Any]
) -> FlagResolutionDetails[T]:
    """The caller's default, where the context gets no variant since the flag is off."""
    if evaluation.is_enabled:
        raise TargetingKeyMissingError(f"flag {name!r}: the context has no {variants['by']!r} to choose a variant by")
    return _details(default, evaluation, item)


def _details(value: T, evaluation: Evaluation, item: FeatureFlagStoreItem | None) -> FlagResolutionDetails[T]:
    reason = Reason.SPLIT if evaluation.is_share else _REASONS.get(evaluation.code, Reason.TARGETING_MATCH)
    if evaluation.is_untargeted and evaluation.code in ("enabled", "conditions_met"):
        reason = Reason.DEFAULT
    metadata: dict[str, Any] = {}
    if item is not None:
        for key, each in item._meta.client_data.items():
            if isinstance(each, (bool, int, float, str)):
                metadata[key] = each
        metadata["flipper.created_date"] = item._meta.created_date
    metadata["flipper.reason"] = evaluation.explanation
    metadata["flipper.reason_code"] = evaluation.code
    if evaluation.not_given:
        metadata["flipper.not_given"] = ", ".join(evaluation.not_given)
    if evaluation.bucket_score is not None:
        metadata["flipper.bucket_score"] = evaluation.bucket_score
    variant = evaluation.variant or ("on" if evaluation.is_enabled else "off")
    return FlagResolutionDetails(value, reason=reason, variant=variant, flag_metadata=metadata)


def _differs(old: FeatureFlagStoreItem | None, new: FeatureFlagStoreItem | None) -> bool:
    if old is new:
        return False
    if old is None or new is None:
        return True
    # Rules that are objects of the program's own are compared by identity.
    return (old._meta is not new._meta or old.raw_is_enabled != new.raw_is_enabled) and old != new
