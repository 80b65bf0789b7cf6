"""A program's code, as type checkers see the installed package: it is checked by mypy and pyright, and never run.

Each line with `type: ignore` is wrong, and both report an ignored line that is right.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any

import flipper
from flipper import CachedFeatureFlagStore, Condition, FeatureFlag, FeatureFlagClient, MemoryFeatureFlagStore
from flipper.aio import AsyncFeatureFlagClient
from flipper.bucketing import ConsistentHashPercentageBucketer, LinearRampPercentage, Percentage, PercentageBucketer
from flipper.contrib.storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from flipper.contrib.store import AbstractFeatureFlagStore
from flipper.decorators import is_enabled
from flipper.evaluation import Evaluation
from flipper.events import EventType, FlipperEventSubscriber
from flipper.exceptions import FlagDoesNotExistError, FlipperError
from flipper.history import Entry

features = FeatureFlagClient(CachedFeatureFlagStore(MemoryFeatureFlagStore()))
other: FeatureFlagClient = FeatureFlagClient.connect("memory:")


def right(user: dict[str, Any]) -> bool:
    flag: FeatureFlag = features.create("A", is_enabled=True, client_data={"owner": "me"})
    features.add_condition("A", Condition(plan="pro", age__gte=18))
    features.set_conditions("A", [Condition()])
    features.set_bucketer("A", PercentageBucketer(percentage=Percentage(0.5)))
    features.set_bucketer("A", ConsistentHashPercentageBucketer(percentage=LinearRampPercentage(0.0, 1.0), key_whitelist=["id"]))
    names: list[str] = [each.name for each in features.list(limit=10, offset=1)]
    data: dict[str, Any] = flag.get_client_data()
    on: bool = flag.is_enabled() or flag.is_enabled(True, **user) or features.is_enabled("A", default=True, plan="pro")
    try:
        features.destroy("A")
    except FlagDoesNotExistError as error:
        raised: FlipperError = error
        raise raised from None
    return on and bool(names) and bool(data)


def targeting(user: dict[str, Any]) -> str:
    features.set_segment("beta", "plan = pro")
    features.set_rules("A", [{"when": "in segment beta", "serve": "on"}, {"serve": {"share": 0.25, "by": "user_id"}}])
    features.set_rules("A", features.get_rules("A"))
    features.set_variants("A", {"by": "user_id", "values": [{"name": "red", "weight": 100_000}]})
    features.set_prerequisites("A", ["B", {"flag": "C", "variant": "red"}])
    features.set_schedule("A", enable_at=datetime.now(), steps=[(1_800_000_000, 0.5)], by="user_id")
    flag = features.get("A")
    flag.set_schedule(flag.get_schedule())
    flag.set_variants(flag.get_variants())
    flag.set_prerequisites(flag.get_prerequisites())
    on: bool = features.variant("A", False, **user)
    count: int = flag.variant(7)
    size: float = features.variant("A", 0.5)
    data: dict[str, Any] = features.variant("A", {"a": 1}, plan="pro")
    why: Evaluation = features.evaluate("A", **user)
    names: list[str] = [*features.segments()]
    features.delete_segment("beta")
    print(on, count, size, data, why.variant, why.value, names)
    return features.variant("A", "grey", **user)


async def async_targeting(client: AsyncFeatureFlagClient) -> str:
    await client.set_rules("A", [{"when": "plan = pro", "serve": "on"}])
    rules: list[dict[str, Any]] = await client.get("A").get_rules()
    why: Evaluation = client.evaluate("A", plan="pro")
    print(rules, why.code)
    return client.get("A").variant("grey", user_id=1)


def history() -> dict[str, Any] | None:
    alice: FeatureFlagClient = features.as_actor("alice").because("incident 42")
    last: Entry = next(alice.history("A"))
    when: datetime = last.at
    who: str | None = last.actor
    before, after = last.differences()
    names: list[str] = [entry.name for entry in features.history_of_all(timedelta(hours=2))]
    names += [entry.verb for entry in features.history_of_all(when)]
    alice.restore("A", last)
    features.get("A").restore(next(features.get("A").history()))
    print(who, before, names)
    return after


async def async_history(client: AsyncFeatureFlagClient) -> list[str]:
    alice: AsyncFeatureFlagClient = client.as_actor("alice").because("incident 42")
    async for entry in alice.history("A"):
        await alice.restore("A", entry)
    return [entry.source async for entry in client.history_of_all(timedelta(hours=2))]


class Listener(FlipperEventSubscriber):
    def on_post_enable(self, flag_name: str) -> None:
        print(flag_name)


features.get_events().register_subscriber(Listener())
features.events.on(EventType.PRE_ENABLE, print)


class Store(AbstractFeatureFlagStore):
    def create(
        self, feature_name: str, is_enabled: bool = False, client_data: dict[str, Any] | None = None
    ) -> FeatureFlagStoreItem:
        return FeatureFlagStoreItem(feature_name, is_enabled, FeatureFlagStoreMeta(0, client_data))

    def get(self, feature_name: str) -> FeatureFlagStoreItem | None:
        return None

    def set(self, feature_name: str, is_enabled: bool) -> None:
        return None

    def delete(self, feature_name: str) -> None:
        return None

    def list(self, limit: int | None = None, offset: int = 0) -> Iterator[FeatureFlagStoreItem]:
        return iter(())

    def set_meta(self, feature_name: str, meta: FeatureFlagStoreMeta) -> None:
        return None


of_own = FeatureFlagClient(Store())


# A decorated function keeps its type.
@is_enabled(features, "A", redirect=print)
def plain(number: int) -> str:
    return str(number)


@is_enabled(features, "A")
async def coroutine(number: int) -> str:
    return str(number)


@is_enabled(features, "A")
async def generator(number: int) -> AsyncIterator[int]:
    yield number


async def right_calls() -> str:
    async for number in generator(1):
        print(number + 1)
    return plain(1) + await coroutine(2)


def wrong() -> None:
    FeatureFlagClient()  # type: ignore[call-arg]
    FeatureFlagClient({})  # type: ignore[arg-type]
    FeatureFlagClient.connect(1)  # type: ignore[arg-type]
    features.is_enabled()  # type: ignore[call-arg]
    features.is_enabled(1)  # type: ignore[arg-type]
    features.is_enabled("A", {"plan": "pro"}, 1)  # type: ignore[call-arg]
    features.enabled("A")  # type: ignore[attr-defined]
    features.create(1)  # type: ignore[arg-type]
    features.create("A", client_data=["owner"])  # type: ignore[arg-type]
    features.add_condition("A", {"plan": "pro"})  # type: ignore[arg-type]
    features.set_bucketer("A", 0.5)  # type: ignore[arg-type]
    features.set_client_data("A", None)  # type: ignore[arg-type]
    features.as_actor(None)  # type: ignore[arg-type]
    features.because(42)  # type: ignore[arg-type]
    features.history_of_all(2.5)  # type: ignore[arg-type]
    features.restore("A", {"name": "A"})  # type: ignore[arg-type]
    features.set_rules("A", ["on"])  # type: ignore[list-item]
    features.set_segment("beta", None)  # type: ignore[arg-type]
    features.set_schedule("A", enable_at="tomorrow")  # type: ignore[arg-type]
    features.variant("A")  # type: ignore[call-arg]
    features.variant("A", None)  # type: ignore[type-var]
    colour: int = features.variant("A", "grey")  # type: ignore[assignment]
    next(features.history("A")).actor = "bob"  # type: ignore[misc]
    text: str = features.is_enabled("A")  # type: ignore[assignment]
    number: int = features.get("A").name  # type: ignore[assignment]
    features.get("A").name = "B"  # type: ignore[misc]
    Condition("plan")  # type: ignore[call-arg]
    PercentageBucketer("half")  # type: ignore[arg-type]
    AbstractFeatureFlagStore()  # type: ignore[abstract]
    plain("1")  # type: ignore[arg-type]
    plain(1).bit_length()  # type: ignore[attr-defined]
    coroutine(1).upper()  # type: ignore[attr-defined]
    flipper.Nothing  # type: ignore[attr-defined]
    print(text, number, colour)
