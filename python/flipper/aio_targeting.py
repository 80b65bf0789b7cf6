"""Rules, variants, prerequisites, schedules and segments, for `asyncio`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from .aio import AsyncFeatureFlagClient
    from .client import FeatureFlagClient

P = ParamSpec("P")
T = TypeVar("T")


class AsyncTargeting:
    """The methods of a client for them."""

    if TYPE_CHECKING:
        _client: FeatureFlagClient

        async def _call(self, feature_name: str, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...

    async def get_rules(self, feature_name: str) -> list[dict[str, Any]]:
        """The rules, in order."""
        return await self._call(feature_name, self._client.get_rules, feature_name)

    async def set_rules(self, feature_name: str, rules: Iterable[Mapping[str, Any]]) -> None:
        """Replaces the rules; see `FeatureFlagClient.set_rules`."""
        await self._call(feature_name, self._client.set_rules, feature_name, rules)

    async def get_variants(self, feature_name: str) -> dict[str, Any] | None:
        """The variants, as they are stored."""
        return await self._call(feature_name, self._client.get_variants, feature_name)

    async def set_variants(self, feature_name: str, variants: Mapping[str, Any] | None) -> None:
        """Replaces the variants; see `FeatureFlagClient.set_variants`."""
        await self._call(feature_name, self._client.set_variants, feature_name, variants)

    async def get_prerequisites(self, feature_name: str) -> list[dict[str, Any]]:
        """The flags that must be on for this one to be."""
        return await self._call(feature_name, self._client.get_prerequisites, feature_name)

    async def set_prerequisites(self, feature_name: str, prerequisites: Iterable[str | Mapping[str, Any]]) -> None:
        """Replaces the flags that must be on for this one to be."""
        await self._call(feature_name, self._client.set_prerequisites, feature_name, prerequisites)

    async def get_schedule(self, feature_name: str) -> dict[str, Any] | None:
        """When the flag is on, as it is stored."""
        return await self._call(feature_name, self._client.get_schedule, feature_name)

    async def set_schedule(
        self,
        feature_name: str,
        schedule: Mapping[str, Any] | None = None,
        *,
        enable_at: datetime | int | None = None,
        disable_at: datetime | int | None = None,
        steps: Sequence[tuple[datetime | int, float]] = (),
        by: str | None = None,
    ) -> None:
        """Sets when the flag is on; see `FeatureFlagClient.set_schedule`."""
        times: dict[str, Any] = {"enable_at": enable_at, "disable_at": disable_at, "steps": steps, "by": by}
        await self._call(feature_name, self._client.set_schedule, feature_name, schedule, **times)

    async def segments(self) -> dict[str, dict[str, Any]]:
        """The segments, by name, as they are stored."""
        return await self._call("", self._client.segments)

    async def set_segment(self, segment: str, when: str | Mapping[str, Any]) -> None:
        """Creates or replaces a segment, which any rule may name."""
        await self._call(segment, self._client.set_segment, segment, when)

    async def delete_segment(self, segment: str) -> None:
        """Deletes a segment; see `FeatureFlagClient.delete_segment`."""
        await self._call(segment, self._client.delete_segment, segment)


class AsyncFlagTargeting:
    """The methods of a flag's handle for them."""

    if TYPE_CHECKING:
        _name: str
        _client: AsyncFeatureFlagClient

    async def get_rules(self) -> list[dict[str, Any]]:
        """The rules, in order."""
        return await self._client.get_rules(self._name)

    async def set_rules(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Replaces the rules."""
        await self._client.set_rules(self._name, rules)

    async def get_variants(self) -> dict[str, Any] | None:
        """The variants, as they are stored."""
        return await self._client.get_variants(self._name)

    async def set_variants(self, variants: Mapping[str, Any] | None) -> None:
        """Replaces the variants."""
        await self._client.set_variants(self._name, variants)

    async def get_prerequisites(self) -> list[dict[str, Any]]:
        """The flags that must be on for this one to be."""
        return await self._client.get_prerequisites(self._name)

    async def set_prerequisites(self, prerequisites: Iterable[str | Mapping[str, Any]]) -> None:
        """Replaces the flags that must be on for this one to be."""
        await self._client.set_prerequisites(self._name, prerequisites)

    async def get_schedule(self) -> dict[str, Any] | None:
        """When the flag is on, as it is stored."""
        return await self._client.get_schedule(self._name)

    async def set_schedule(
        self,
        schedule: Mapping[str, Any] | None = None,
        *,
        enable_at: datetime | int | None = None,
        disable_at: datetime | int | None = None,
        steps: Sequence[tuple[datetime | int, float]] = (),
        by: str | None = None,
    ) -> None:
        """Sets when the flag is on. A start or steps enable it. Without any time the schedule is taken away."""
        times: dict[str, Any] = {"enable_at": enable_at, "disable_at": disable_at, "steps": steps, "by": by}
        await self._client.set_schedule(self._name, schedule, **times)
