"""Rules, variants, prerequisites, schedules and segments: by the Rust library wherever the flags are."""

import asyncio
import copy
import enum
import json
import logging
import pickle
from datetime import date, datetime, timedelta, timezone

import pytest

from flipper import CachedFeatureFlagStore, Condition, FeatureFlagClient, MemoryFeatureFlagStore, ReplicatedFeatureFlagStore
from flipper.aio import AsyncFeatureFlagClient
from flipper.bucketing import BucketerFactory, NoOpBucketer, SaltedPercentageBucketer
from flipper.bucketing.base import AbstractBucketer
from flipper.contrib.comparing import ComparingFeatureFlagStore
from flipper.contrib.native import ClientFeatureFlagStore
from flipper.contrib.storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from flipper.contrib.store import AbstractFeatureFlagStore
from flipper.events import FlipperEventSubscriber
from flipper.evaluation import evaluate
from flipper.exceptions import FlagDoesNotExistError, InvalidInputError, UnsupportedError
from flipper.scope import Scope
from flipper.testing import override_flags

NOW = datetime.now(timezone.utc)
STAFF = [{"when": 'email ends with "@corp.com"', "serve": "on"}, {"serve": "off"}]
COLOURS = {"by": "user_id", "values": [{"name": "red", "weight": 50_000}, {"name": "blue", "weight": 50_000}]}


class Texts(AbstractFeatureFlagStore):
    """A store of one's own, as the original library's are: it writes what it has read."""

    def __init__(self):
        self.texts = {}

    def create(self, feature_name, is_enabled=False, client_data=None):
        return self._save(FeatureFlagStoreItem(feature_name, is_enabled, FeatureFlagStoreMeta(1, client_data)))

    def get(self, feature_name):
        text = self.texts.get(feature_name)
        return None if text is None else FeatureFlagStoreItem.deserialize(text)

    def set(self, feature_name, is_enabled):
        item = self.get(feature_name)
        if item is None:
            self.create(feature_name, is_enabled)
        else:
            self._save(FeatureFlagStoreItem(feature_name, is_enabled, FeatureFlagStoreMeta.from_dict(item.meta)))

    def delete(self, feature_name):
        self.texts.pop(feature_name, None)

    def list(self, limit=None, offset=0):
        names = sorted(self.texts)[offset:]
        return map(self.get, names if limit is None else names[:limit])

    def set_meta(self, feature_name, meta):
        item = self.get(feature_name)
        if item is None:
            raise FlagDoesNotExistError(feature_name)
        self._save(FeatureFlagStoreItem(feature_name, item.raw_is_enabled, meta))

    def _save(self, item):
        self.texts[item.feature_name] = item.serialize()
        return item


class Columns(Texts):
    """A store of one's own with a column for the switch, as the guide describes it."""

    def __init__(self):
        self.rows = {}

    def get(self, feature_name):
        row = self.rows.get(feature_name)
        if row is None:
            return None
        fields = {"feature_name": feature_name, "is_enabled": row[0], "meta": json.loads(row[1])}
        return FeatureFlagStoreItem.deserialize(json.dumps(fields).encode())

    def delete(self, feature_name):
        self.rows.pop(feature_name, None)

    def list(self, limit=None, offset=0):
        names = sorted(self.rows)[offset:]
        return map(self.get, names if limit is None else names[:limit])

    def _save(self, item):
        fields = item.to_dict()
        self.rows[item.feature_name] = fields["is_enabled"], json.dumps(fields["meta"])
        return item


class Comparing(ComparingFeatureFlagStore):
    def __init__(self):
        self.texts = {}

    def create(self, feature_name, is_enabled=False, client_data=None):
        item = FeatureFlagStoreItem(feature_name, is_enabled, FeatureFlagStoreMeta(1, client_data))
        self.texts[feature_name] = item.serialize()
        return item

    delete = Texts.delete
    list = Texts.list

    def _read(self, feature_name):
        text = self.texts.get(feature_name)
        return None if text is None else (text, text)

    def _add(self, feature_name, serialized):
        return self.texts.setdefault(feature_name, serialized) is serialized

    def _replace(self, feature_name, serialized, read):
        if self.texts.get(feature_name) != read:
            return False
        self.texts[feature_name] = serialized
        return True


STORES = {
    "memory": MemoryFeatureFlagStore,
    "texts": Texts,
    "columns": Columns,
    "comparing": Comparing,
    "cached": lambda: CachedFeatureFlagStore(Comparing()),
    "cached-memory": lambda: CachedFeatureFlagStore(MemoryFeatureFlagStore()),
    "replicated-memory": lambda: ReplicatedFeatureFlagStore(MemoryFeatureFlagStore(), MemoryFeatureFlagStore()),
    "replicated": lambda: ReplicatedFeatureFlagStore(Comparing(), Comparing()),
}


@pytest.fixture(params=STORES)
def client(request):
    client = FeatureFlagClient(STORES[request.param]())
    client.create("F", is_enabled=True)
    return client


def stored(client, name="F"):
    """The flag as other libraries read it."""
    return json.loads(client._store.get(name).serialize())


def test_rules_are_dicts_and_texts(client):
    assert client.get_rules("F") == []
    client.set_rules("F", [STAFF[0], {"name": "some", "serve": {"share": 0.25, "by": "user_id"}}])
    email = {"attribute": "email", "operator": "ends_with", "value": "@corp.com"}
    share = {"name": "some", "serve": {"share": 0.25, "by": "user_id"}}
    assert client.get_rules("F") == [{"when": email, "serve": "on"}, share]
    assert client.is_enabled("F", email="a@corp.com")
    assert not client.is_enabled("F", email="a@other.com")
    assert not client.is_enabled("F")
    on = sum(client.is_enabled("F", user_id=number) for number in range(400))
    assert 60 < on < 140
    flag = client.get("F")
    assert flag.get_rules() == client.get_rules("F")
    flag.set_rules(client.get_rules("F")[:1])
    # Where no rule holds, the rest of the flag decides.
    assert flag.is_enabled(email="a@corp.com") and flag.is_enabled() and len(flag.get_rules()) == 1
    # Without rules it is what it was.
    flag.set_rules([])
    assert flag.is_enabled() and stored(client)["is_enabled"] is True and "enabled" not in stored(client)["meta"]


def test_a_flag_with_rules_is_stored_as_off(client):
    client.set_rules("F", STAFF)
    assert stored(client)["is_enabled"] is False and stored(client)["meta"]["enabled"] is True
    client.disable("F")
    assert stored(client)["is_enabled"] is False and "enabled" not in stored(client)["meta"]
    assert not client.is_enabled("F", email="a@corp.com")
    assert client.evaluate("F", email="a@corp.com").code == "disabled"
    client.enable("F")
    assert stored(client)["is_enabled"] is False and stored(client)["meta"]["enabled"] is True
    assert client.is_enabled("F", email="a@corp.com") and not client.is_enabled("F", email="b@d.e")
    assert client._store.get("F").raw_is_enabled is True


def test_a_column_for_the_switch_is_off_where_a_flag_has_rules():
    store = Columns()
    client = FeatureFlagClient(store)
    client.create("F", is_enabled=True)
    client.set_rules("F", STAFF)
    assert store.rows["F"][0] is False and client.is_enabled("F", email="a@corp.com")
    client.disable("F")
    assert not client.is_enabled("F", email="a@corp.com")
    client.enable("F")
    assert store.rows["F"][0] is False and client.is_enabled("F", email="a@corp.com")
    client.set_rules("F", [])
    assert store.rows["F"][0] is True


def test_other_writes_keep_them(client):
    client.set_rules("F", STAFF)
    client.set_variants("F", COLOURS)
    client.set_client_data("F", {"owner": "ann"})
    client.add_condition("F", Condition(plan="pro"))
    client.set_conditions("F", [])
    client.set_bucketer("F", SaltedPercentageBucketer("user_id", 0.0))
    client._store.set_meta("F", FeatureFlagStoreMeta.from_dict(client._store.get("F").meta))
    client._store.set("F", client._store.get("F").raw_is_enabled)
    assert client.get_rules("F")[1:] == STAFF[1:] and client.get_variants("F")["values"][0]["name"] == "red"
    assert client.is_enabled("F", email="a@corp.com") and not client.is_enabled("F", user_id=7)
    assert client.get_client_data("F") == {"owner": "ann"}


@pytest.mark.parametrize("store", [MemoryFeatureFlagStore, Comparing])
def test_meta_data_of_ones_own_keep_them(store):
    """What is not among the new meta data is kept, and no flag is on for the lack of it."""
    client = FeatureFlagClient(store())
    client.create("F", is_enabled=True)
    client.set_rules("F", STAFF)
    client._store.set_meta("F", FeatureFlagStoreMeta(1, {"a": 1}))
    assert client.get_rules("F")[1:] == STAFF[1:] and client.get_client_data("F") == {"a": 1}
    assert not client.is_enabled("F")
    # Nor does an old copy turn it on again.
    old = FeatureFlagStoreMeta.from_dict(client._store.get("F").meta)
    client.disable("F")
    client._store.set_meta("F", old)
    assert not client.is_enabled("F", email="a@corp.com")


def test_values_of_other_classes(client):
    """No check in Python answers for them."""

    class Plan(str):
        pass

    class Colour(enum.IntEnum):
        RED = 1

    rules = [{"when": when, "serve": "on"} for when in ("plan = pro and n = 1", "at >= date 2026-12-01")]
    client.set_rules("F", [*rules, {"serve": "off"}])
    assert client.is_enabled("F", plan=Plan("pro"), n=Colour.RED)
    assert client.is_enabled("F", plan=Plan("pro"), n=True) is client.is_enabled("F", plan="pro", n=True)
    assert not client.is_enabled("F", plan=Plan("free"), n=Colour.RED)
    assert client.is_enabled("F", at=date(2026, 12, 1))
    assert client.is_enabled("F", at=datetime(2026, 12, 1, tzinfo=timezone.utc))
    assert not client.is_enabled("F", at=datetime(2026, 11, 30, tzinfo=timezone.utc))
    circular = []
    circular.append(circular)
    for value in (object(), {1, 2}, 10**30, circular, b"pro", float("nan"), "\ud800"):
        assert client.is_enabled("F", plan=value, n=1) is False
        assert client.is_enabled("F", plan="pro", n=1, other=value) is True


def test_a_wrong_type_is_off_and_no_error(client):
    client.add_condition("F", Condition(age__gt=17))
    with pytest.raises(TypeError):
        client.is_enabled("F", age="old")
    client.set_rules("F", STAFF[:1])
    assert client.is_enabled("F", age="old") is False
    assert client.is_enabled("F", age=object()) is False
    assert client.is_enabled("F", age=18) is True
    assert client.evaluate("F", age="old").code == "type_mismatch"


def test_segments(client):
    client.set_segment("beta", "plan = pro")
    client.set_segment("wide", {"any": [{"segment": "beta"}, {"attribute": "staff", "operator": "eq", "value": True}]})
    assert [*client.segments()] == ["beta", "wide"]
    assert client.segments()["beta"] == {"attribute": "plan", "operator": "eq", "value": "pro"}
    assert [flag.name for flag in client.list()] == ["F"]
    client.set_rules("F", [{"when": "in segment wide", "serve": "on"}, {"when": "not in segment beta", "serve": "off"}])
    assert client.is_enabled("F", plan="pro") and client.is_enabled("F", staff=True)
    assert not client.is_enabled("F", plan="free")
    assert client.is_enabled("F", plan="pro", other=object())
    client.set_segment("beta", "plan = team")
    if not isinstance(client._store, CachedFeatureFlagStore):
        assert client.is_enabled("F", plan="team") and not client.is_enabled("F", plan="pro")
    # It is no flag that is on.
    assert stored(client, "segments/beta")["is_enabled"] is False
    assert client.is_enabled("segments/beta", plan="team") is False
    assert client._store.get("segments/beta").is_enabled() is False
    with pytest.raises(InvalidInputError):
        client.set_rules("F", [{"when": "in segment none", "serve": "on"}])
    client.delete_segment("beta")
    assert [*client.segments()] == ["wide"]
    with pytest.raises(FlagDoesNotExistError, match="segment"):
        client.delete_segment("beta")
    # Neither rule is known to hold, so the rest of the flag decides.
    assert client.evaluate("F", plan="team").code == "enabled"


def test_of_a_missing_segment_nothing_is_known(client):
    client.set_segment("blocked", "country = xx")
    client.set_segment("beta", "plan = pro")
    client.set_rules("F", [
        {"when": "not in segment blocked and plan = free", "serve": "on"},
        {"when": "in segment beta or not in segment blocked or staff = true", "serve": "on"},
        {"serve": "off"},
    ])
    assert client.is_enabled("F", plan="free", country="de")
    client.delete_segment("blocked")
    assert not client.is_enabled("F", plan="free", country="de") and not client.is_enabled("F", plan="free")
    # The rest decides.
    assert client.is_enabled("F", plan="pro") and client.is_enabled("F", staff=True)
    client.set_segment("blocked", "country = xx")
    assert client.is_enabled("F", plan="free", country="de")


def test_prerequisites(client):
    client.create("BASE", is_enabled=True)
    for wrong in (["NONE"], ["F"], [{"flag": "BASE", "variant": "green"}], [{"name": "BASE"}], [1]):
        with pytest.raises(InvalidInputError):
            client.set_prerequisites("F", wrong)
    client.set_prerequisites("F", ["BASE"])
    assert client.get_prerequisites("F") == [{"flag": "BASE"}]
    assert client.is_enabled("F") and client.is_enabled("F", a=object())
    client.disable("BASE")
    assert not client.is_enabled("F") and not client.is_enabled("F", a=object())
    evaluation = client.evaluate("F")
    assert (evaluation.code, evaluation.is_enabled) == ("prerequisite", False) and "BASE" in evaluation.explanation
    client.enable("BASE")
    client.set_variants("BASE", COLOURS)
    client.set_prerequisites("F", [{"flag": "BASE", "variant": "red"}])
    assert {client.is_enabled("F", user_id=number) for number in range(50)} == {True, False}
    with pytest.raises(TypeError):
        client.set_prerequisites("F", "BASE")
    client.create("OTHER")
    client.set_prerequisites("OTHER", ["F"])
    with pytest.raises(InvalidInputError):
        client.set_prerequisites("BASE", ["OTHER"])


def test_schedules(client):
    end = NOW + timedelta(days=1)
    client.set_schedule("F", disable_at=end)
    assert client.get_schedule("F") == {"disable_at": int(end.timestamp())}
    assert client.is_enabled("F") and client.is_enabled("F", a=object())
    client.set_schedule("F", enable_at=NOW + timedelta(hours=1), disable_at=end)
    assert not client.is_enabled("F") and not client.is_enabled("F", a=object())
    assert client.evaluate("F").code == "scheduled"
    assert stored(client)["is_enabled"] is False
    # Now, not in an hour.
    client.enable("F")
    assert client.is_enabled("F")
    client.set_schedule("F", None)
    assert client.get_schedule("F") is None and client.is_enabled("F")
    client.set_schedule("F", steps=[(end, 0.5), (end + timedelta(days=1), 1)], by="user_id")
    first, second = client.get_schedule("F")["steps"]
    assert first == {"at": int(end.timestamp()), "share": 0.5} and second["share"] == 1
    client.set_schedule("F", {"steps": [{"at": end, "share": 0.25}], "by": "user_id"})
    assert client.get_schedule("F") == {"steps": [{"at": int(end.timestamp()), "share": 0.25}], "by": "user_id"}
    for wrong in (dict(enable_at=end, disable_at=NOW), dict(disable_at=NOW - timedelta(days=1))):
        with pytest.raises(InvalidInputError):
            client.set_schedule("F", **wrong)
    with pytest.raises(InvalidInputError, match="time zone"):
        client.set_schedule("F", enable_at=datetime.now())
    with pytest.raises(TypeError):
        client.set_schedule("F", {"by": "user_id"}, enable_at=end)
    with pytest.raises(TypeError):
        client.set_schedule("F", enable_at="tomorrow")


@pytest.mark.parametrize("native", [True, False])
def test_steps_that_have_begun(native):
    client = FeatureFlagClient(MemoryFeatureFlagStore() if native else Texts())
    meta = {"created_date": 1, "enabled": True, "schedule": {"steps": [{"at": 1, "share": 0.5}], "by": "user_id"}}
    text = json.dumps({"feature_name": "F", "is_enabled": False, "meta": meta})
    if native:
        client._flags.put_text("F", text)
    else:
        client._store.texts["F"] = text.encode()
    on = [client.is_enabled("F", user_id=number) for number in range(50)]
    assert {*on} == {True, False}
    assert [client.is_enabled("F", user_id=number, other=object()) for number in range(50)] == on
    assert client.evaluate("F", user_id=1).code == "bucket"


def test_a_schedule_enables(client):
    client.disable("F")
    # An end alone does not.
    client.set_schedule("F", disable_at=NOW + timedelta(days=1))
    assert not client.is_enabled("F") and client.get_schedule("F")
    for times in ({"enable_at": NOW + timedelta(days=1)}, {"steps": [(NOW + timedelta(days=1), 0.5)], "by": "user_id"}):
        client.disable("F")
        if isinstance(client._store, Texts):
            with pytest.raises(UnsupportedError):
                client.set_schedule("F", **times)
            continue
        client.set_schedule("F", **times)
        assert client._store.get("F").raw_is_enabled is True and client.evaluate("F", user_id=1).code != "disabled"


def test_a_schedule_that_keeps_a_flag_off_leaves_it_off(client):
    client.set_schedule("F", enable_at=NOW + timedelta(days=1))
    assert client._store.get("F").raw_is_enabled is True and not client.is_enabled("F")
    client.set_schedule("F")
    assert client._store.get("F").raw_is_enabled is False and not client.is_enabled("F")
    assert client.get_schedule("F") is None


VALUES = {
    bool: (True, [False, True]),
    int: (1, [2, 3]),
    float: (0.5, [1.5, 2.5]),
    str: ("grey", ["red", "blue"]),
    dict: ({"a": 0}, [{"a": 1}, {"a": [2]}]),
    list: ([0], [[1], [2, None]]),
}


def colours(values):
    return {"by": "user_id", "off": "red", "values": [
        {"name": name, "weight": 50_000, "value": value} for name, value in zip(("red", "blue"), values, strict=True)
    ]}


@pytest.mark.parametrize("kind", VALUES)
def test_a_variant_has_the_type_of_the_default(client, kind):
    default, values = VALUES[kind]
    client.set_variants("F", colours(values))
    got = [client.variant("F", default, user_id=number) for number in range(40)]
    assert all(value in values and type(value) is kind for value in got) and any(value != got[0] for value in got)
    assert [client.get("F").variant(default, user_id=number) for number in range(40)] == got
    assert [client.variant("F", default, user_id=number, other=object()) for number in range(40)] == got
    assert client.variant("NONE", default, user_id=1) is default
    assert client.variant("F", default) is default, "there is nothing to choose by"
    others = {bool: "x", int: True, float: True, str: 1, dict: [1], list: {"a": 1}}
    assert client.variant("F", others[kind], user_id=1) == others[kind] or kind is int and others[kind] is True
    client.disable("F")
    assert client.variant("F", default, user_id=1) == values[0] and client.evaluate("F", user_id=1).variant == "red"


def test_numbers_are_of_one_type_and_bools_are_none(client):
    client.set_variants("F", colours([1, 2.0]))
    assert {client.variant("F", 0.5, user_id=number) for number in range(40)} == {1.0, 2.0}
    assert all(type(client.variant("F", 0.5, user_id=number)) is float for number in range(40))
    assert all(type(client.variant("F", 7, user_id=number)) is int for number in range(40))
    assert client.variant("F", True, user_id=1) is True
    client.set_variants("F", colours([1.5, 2.5]))
    assert client.variant("F", 7, user_id=1) == 7
    client.set_variants("F", colours([True, False]))
    assert client.variant("F", 7, user_id=1) == 7 and client.variant("F", 0.5, user_id=1) == 0.5
    client.set_variants("F", colours([None, None]))
    assert client.variant("F", "x", user_id=1) == "x"
    for wrong in (None, object(), (1,)):
        with pytest.raises(TypeError):
            client.variant("F", wrong, user_id=1)


def test_rules_serve_variants(client):
    client.set_variants("F", COLOURS)
    client.set_rules("F", [{"when": "staff = true", "serve": {"variant": "blue"}}])
    evaluation = client.evaluate("F", staff=True)
    assert (evaluation.variant, evaluation.value, evaluation.code) == ("blue", "blue", "rule")
    assert client.get("F").evaluate(staff=True) == evaluation
    assert client.variant("F", "grey", staff=True, other=object()) == "blue"
    with pytest.raises(InvalidInputError):
        client.set_rules("F", [{"serve": {"variant": "green"}}])
    with pytest.raises(InvalidInputError):
        client.set_variants("F", colours(["x", 1]))
    with pytest.raises(InvalidInputError):
        client.set_variants("F", None)
    client.set_rules("F", [])
    client.set_variants("F", None)
    assert client.get_variants("F") is None and client.evaluate("F", user_id=1).variant is None


def test_what_is_wrong_is_said_and_not_written(client):
    before = stored(client)
    for wrong in (
        [{"when": "plan =", "serve": "on"}],
        [{"when": "plan = pro"}],
        [{"when": "plan = pro", "serve": "maybe"}],
        [{"when": {"attribute": "plan"}, "serve": "on"}],
        [{"when": "plan = pro", "serve": "on", "unless": 1}],
        [{"serve": {"share": 2, "by": "user_id"}}],
        ["on"],
        [object()],
    ):
        with pytest.raises(InvalidInputError):
            client.set_rules("F", wrong)
    with pytest.raises(FlagDoesNotExistError):
        client.set_rules("NONE", STAFF)
    with pytest.raises(InvalidInputError):
        client.set_segment("beta", "plan =")
    with pytest.raises(InvalidInputError):
        client.set_segment("a/b", "plan = pro")
    assert stored(client) == before and client.segments() == {}


class Odd(AbstractBucketer):
    def check(self, **checks):
        return checks.get("user_id", 0) % 2 == 1

    @classmethod
    def get_type(cls):
        return "OddBucketer"

    def to_dict(self):
        return {"type": self.get_type()}

    @classmethod
    def from_dict(cls, fields):
        return cls()


def test_a_bucketer_in_python_decides_after_the_rules(client):
    BucketerFactory.BUCKETER_MAP["OddBucketer"] = Odd
    client.set_bucketer("F", Odd())
    client.set_variants("F", {**COLOURS, "off": "red"})
    client.set_rules("F", [{"when": "staff = true", "serve": "on"}, {"when": "user_id = 3", "serve": "off"}])
    assert client.is_enabled("F", staff=True, user_id=2)
    assert [client.is_enabled("F", user_id=number) for number in range(6)] == [False, True, False, False, False, True]
    assert [client.variant("F", "grey", user_id=number) for number in (0, 2, 4)] == ["red"] * 3
    assert {client.variant("F", "grey", user_id=number) for number in range(1, 80, 2)} == {"red", "blue"}
    assert client.evaluate("F", user_id=5).code == "custom_bucketer"
    client.create("NEEDS", is_enabled=True)
    client.set_prerequisites("NEEDS", ["F"])
    assert client.is_enabled("NEEDS", staff=True) and not client.is_enabled("NEEDS", user_id=5)


def test_conditions_that_are_objects():
    client = FeatureFlagClient(MemoryFeatureFlagStore())
    client.create("F", is_enabled=True)
    client.set_rules("F", [{"when": "staff = true", "serve": "on"}])
    client.add_condition("F", Condition(plan=frozenset(["pro"])))
    assert client.is_enabled("F", staff=True, plan=frozenset(["free"]))
    assert client.is_enabled("F", plan=frozenset(["pro"]))
    assert not client.is_enabled("F", plan=frozenset(["free"]))
    assert client._store.get("F").is_enabled(plan=frozenset(["free"])) is False
    assert client._store.get("F").is_enabled(plan=frozenset(["pro"])) is True
    client.add_condition("F", Condition(age__gt=17))
    assert client.is_enabled("F", plan=frozenset(["pro"]), age="old") is False
    assert client.evaluate("F", plan=frozenset(["pro"]), age="old").code == "type_mismatch"
    with pytest.raises(InvalidInputError):
        client.set_schedule("F", steps=[(NOW, 0.5)], by="user_id")
    client.disable("F")
    assert not client.is_enabled("F", staff=True)


class Items(AbstractFeatureFlagStore):
    """A store of one's own, of the objects themselves."""

    def __init__(self):
        self.items = {}

    def create(self, feature_name, is_enabled=False, client_data=None):
        self.items[feature_name] = FeatureFlagStoreItem(feature_name, is_enabled, FeatureFlagStoreMeta(1, client_data))

    def get(self, feature_name):
        return self.items.get(feature_name)

    def set(self, feature_name, is_enabled):
        self.items[feature_name]._is_enabled = is_enabled

    def delete(self, feature_name):
        self.items.pop(feature_name, None)

    def list(self, limit=None, offset=0):
        return iter([self.items[name] for name in sorted(self.items)])

    def set_meta(self, feature_name, meta):
        self.items[feature_name]._meta = meta


@pytest.mark.parametrize("store", [MemoryFeatureFlagStore, Items])
def test_a_prerequisite_with_conditions_that_are_objects_is_off(store, caplog):
    client = FeatureFlagClient(store())
    for name in ("BASE", "OTHER", "F"):
        client.create(name, is_enabled=True)
    client.set_prerequisites("BASE", ["OTHER"])
    client.set_prerequisites("F", ["BASE"])
    pro = {"plan": frozenset(["pro"])}
    client.set_conditions("BASE", [Condition(**pro)])
    with caplog.at_level(logging.WARNING, logger="flipper"):
        item = client._store.get("F")
        assert evaluate(item, pro, find=client._store.get).is_enabled is False
    assert "'BASE' is off for 'F'" in caplog.text
    assert evaluate(client._store.get("BASE"), pro, find=client._store.get).is_enabled is True
    if store is Items:
        assert client.is_enabled("F", **pro) is False and client.evaluate("F").code == "prerequisite"
    else:
        assert item.is_enabled(**pro) is False


@pytest.mark.parametrize("store", [MemoryFeatureFlagStore, Items])
def test_a_wrong_type_has_the_variant_of_a_flag_that_is_off(store):
    client = FeatureFlagClient(store())
    client.create("F", is_enabled=True)
    plan = frozenset(["pro"])
    client.set_variants("F", {"off": "off", "values": [
        {"name": "new", "weight": 100_000, "value": "#0f0"}, {"name": "off", "weight": 0, "value": "#888"},
    ], "by": "user_id"})
    client.set_conditions("F", [Condition(plan=plan, age__gt=17)])
    on = client.evaluate("F", plan=plan, age=18, user_id=1)
    assert (on.is_enabled, on.variant, on.value) == (True, "new", "#0f0")
    wrong = client.evaluate("F", plan=plan, age="old", user_id=1)
    assert (wrong.is_enabled, wrong.code, wrong.variant, wrong.value) == (False, "type_mismatch", "off", "#888")
    assert client.variant("F", "grey", plan=plan, age="old", user_id=1) == "#888"


def test_an_item_alone_is_off_where_it_needs_others(caplog):
    client = FeatureFlagClient(Texts())
    client.create("F", is_enabled=True)
    client.set_rules("F", STAFF)
    item = client._store.get("F")
    assert item.is_enabled(email="a@corp.com") and not item.is_enabled(email="b@c.d")
    client.set_segment("beta", "plan = pro")
    client.set_rules("F", [{"when": "not in segment beta", "serve": "on"}])
    assert client.is_enabled("F", plan="free")
    with caplog.at_level(logging.WARNING, logger="flipper"):
        assert client._store.get("F").is_enabled(plan="free") is False
    assert "depends on others" in caplog.text


@pytest.mark.parametrize("meta", [
    {"rules": [{"when": {"attribute": "a", "operator": "newer"}, "serve": "on"}]},
    {"rules": 5},
    {"schedule": {"at": "dawn"}},
    {"prerequisites": ["BASE"]},
    {"rules": [{"serve": {"variant": "none"}}]},
])
def test_what_cannot_be_read_is_off(meta, caplog):
    store = Texts()
    fields = {"feature_name": "F", "is_enabled": True, "meta": {"created_date": 1, **meta}}
    store.texts["F"] = json.dumps(fields).encode()
    client = FeatureFlagClient(store)
    assert client.is_enabled("F", a=1) is False and client.is_enabled("F") is False
    assert client.evaluate("F", a=1).code == "corrupt"
    memory = FeatureFlagClient(MemoryFeatureFlagStore())
    memory._flags.put_text("F", json.dumps(fields))
    assert memory.is_enabled("F", a=1) is False and memory.is_enabled("F", a=object()) is False


def test_a_program_that_turned_it_on_where_it_is_stored_as_off():
    store = Texts()
    client = FeatureFlagClient(store)
    client.create("F")
    client.set_rules("F", STAFF)
    fields = json.loads(store.texts["F"])
    fields["is_enabled"] = True
    store.texts["F"] = json.dumps(fields).encode()
    assert client.is_enabled("F", email="a@corp.com") and not client.is_enabled("F")
    client.set_client_data("F", {"a": 1})
    assert json.loads(store.texts["F"])["is_enabled"] is False and client.is_enabled("F", email="a@corp.com")


def test_replicas_get_all_of_it():
    primary, replica = Comparing(), Comparing()
    client = FeatureFlagClient(ReplicatedFeatureFlagStore(primary, replica))
    client.create("F")
    client.set_rules("F", STAFF)
    client.set_variants("F", COLOURS)
    client.set_schedule("F", enable_at=NOW + timedelta(days=1))
    ours, copy = (json.loads(store.texts["F"]) for store in (primary, replica))
    assert ours == copy and ours["meta"]["enabled"] is True and ours["meta"]["schedule"]
    client.set_rules("F", [])
    client.set_schedule("F")
    ours, copy = (json.loads(store.texts["F"]) for store in (primary, replica))
    assert ours == copy and "rules" not in copy["meta"]


class Held(ClientFeatureFlagStore):
    """A store of this package that writes what it has read: to enable a flag ends its schedule."""

    def __init__(self):
        self.texts = {}

    get = Texts.get
    delete = Texts.delete
    list = Texts.list
    _save = Texts._save


class Forgetful(Texts):
    """A store that drops what it does not know, as a Thrift server of the original library's does."""

    def set_meta(self, feature_name, meta):
        known = FeatureFlagStoreMeta(meta.created_date, meta.client_data, meta.conditions, meta.bucketer)
        super().set_meta(feature_name, known)


def watched(kind, failing):
    """A replica whose writes of this number and of later ones fail, and all texts that it has had."""
    seen = []

    class Texts(dict):
        def __setitem__(self, name, text):
            if len(seen) >= failing:
                raise ConnectionError
            seen.append(text)
            super().__setitem__(name, text)

    replica = kind()
    replica.texts = Texts()
    return replica, seen


LIMITED = {
    "rules": [
        lambda client: client.set_rules("F", STAFF),
        lambda client: client.enable("F"),
        lambda client: client.set_client_data("F", {"a": 1}),
    ],
    "schedule": [
        lambda client: client.set_schedule("F", enable_at=NOW + timedelta(days=1)),
        lambda client: client.set_client_data("F", {"a": 1}),
    ],
    "both": [
        lambda client: client.set_rules("F", STAFF),
        lambda client: client.set_schedule("F", enable_at=NOW + timedelta(days=1)),
    ],
}


@pytest.mark.parametrize("failing", [1, 2, 3, 4, 5, 100])
@pytest.mark.parametrize("writes", LIMITED)
@pytest.mark.parametrize("kind", [Comparing, Texts, Held, Forgetful])
def test_a_replica_is_on_for_no_more_callers_at_any_time(kind, writes, failing):
    replica, seen = watched(kind, failing)
    primary = Comparing()
    client = FeatureFlagClient(ReplicatedFeatureFlagStore(primary, replica))
    client.create("F")
    for write in LIMITED[writes]:
        write(client)
    assert seen and not any(FeatureFlagStoreItem.deserialize(text).is_enabled() for text in seen)
    if failing == 100:
        ours, copy = primary.get("F"), replica.get("F")
        assert ours.raw_is_enabled is True and copy.raw_is_enabled is (kind is not Forgetful)
        assert kind is Forgetful or copy == ours


@pytest.mark.parametrize("kind", [Comparing, Texts, Held])
def test_a_restored_flag_is_not_on_before_its_start(kind):
    replica, seen = watched(kind, 100)
    client = FeatureFlagClient(ReplicatedFeatureFlagStore(MemoryFeatureFlagStore(), replica))
    client.create("F")
    client.set_schedule("F", enable_at=NOW + timedelta(days=1))
    client.destroy("F")
    seen.clear()
    client.restore("F", next(client.history("F")))
    assert seen and not any(FeatureFlagStoreItem.deserialize(text).is_enabled() for text in seen)
    assert replica.get("F").raw_is_enabled is True and replica.get("F").meta["schedule"]


@pytest.mark.parametrize("kind", [Comparing, Texts, Held])
def test_a_change_that_disables_a_flag_does_so_in_replicas(kind):
    primary, replica = Comparing(), kind()
    store = ReplicatedFeatureFlagStore(primary, replica)
    client = FeatureFlagClient(store)
    client.create("F", is_enabled=True)
    client.set_rules("F", STAFF)
    assert replica.get("F").raw_is_enabled is True

    def clear(draft):
        draft.become(json.dumps({"feature_name": "F", "is_enabled": False, "meta": {"created_date": 1}}))

    store.change("F", clear)
    assert primary.get("F").raw_is_enabled is replica.get("F").raw_is_enabled is False
    assert "rules" not in replica.get("F").meta


def test_writes_have_their_cause():
    client = FeatureFlagClient(MemoryFeatureFlagStore()).as_actor("ann").because("launch")
    client.create("F")
    client.set_rules("F", STAFF)
    client.enable("F")
    last, rules, _ = client.history("F")
    assert (last.verb, last.actor, rules.actor, rules.reason) == ("enable", "ann", "ann", "launch")
    client.restore("F", last)
    client.set_segment("beta", "plan = pro")
    assert next(client.history("segments/beta")).actor == "ann"
    assert len(client.get_rules("F")) == 2 and not client.is_enabled("F", email="a@corp.com")


def test_subscribers_are_called(client):
    calls = []

    class Log(FlipperEventSubscriber):
        def on_pre_set_targeting(self, flag_name, part, value):
            if flag_name == "PROTECTED":
                raise PermissionError(flag_name)
            calls.append(("pre", flag_name, part, value))

        def on_post_set_targeting(self, flag_name, part, value):
            calls.append(("post", flag_name, part, value))

    client.events.register_subscriber(Log())
    client.set_rules("F", STAFF)
    client.set_segment("beta", "plan = pro")
    client.delete_segment("beta")
    names = [("F", "rules", STAFF), ("segments/beta", "segment", "plan = pro"), ("segments/beta", "segment", None)]
    assert calls == [(when, *name) for name in names for when in ("pre", "post")]
    client.create("PROTECTED")
    with pytest.raises(PermissionError):
        client.set_variants("PROTECTED", COLOURS)
    assert client.get_variants("PROTECTED") is None


def test_overrides_are_answers_with_a_reason(client):
    client.set_rules("F", STAFF)
    with override_flags(client, F=True):
        assert client.is_enabled("F") and client.evaluate("F").code == "overridden"
        assert client.evaluate("F").is_enabled
    client.set_rules("F", [])
    client.set_variants("F", COLOURS)
    with override_flags(client, F=False):
        assert client.variant("F", "grey", user_id=1) == "grey"
    with override_flags(client, F=True):
        assert client.variant("F", "grey", user_id=1) in ("red", "blue")
    client.set_rules("F", STAFF)
    assert client.evaluate("F").code == "rule"


def test_in_asyncio_and_in_a_scope():
    async def use():
        client = AsyncFeatureFlagClient(MemoryFeatureFlagStore())
        flag = await client.create("F", is_enabled=True)
        await client.set_segment("beta", "plan = pro")
        await client.set_rules("F", [{"when": "in segment beta", "serve": "on"}])
        await flag.set_rules([*await flag.get_rules(), {"serve": "off"}])
        await flag.set_variants(COLOURS)
        assert await client.get_variants("F") == await flag.get_variants()
        assert client.is_enabled("F", plan="pro") and not flag.is_enabled(plan="free")
        assert client.variant("F", "grey", plan="pro", user_id=1) == flag.variant("grey", plan="pro", user_id=1) != "grey"
        assert client.evaluate("F", plan="free").code == flag.evaluate(plan="free").code == "rule"
        await client.create("BASE", is_enabled=True)
        await flag.set_prerequisites(["BASE"])
        await flag.set_schedule(disable_at=NOW + timedelta(days=1))
        assert await flag.get_prerequisites() and (await flag.get_schedule())["disable_at"]
        assert [*await client.segments()] == ["beta"]
        assert [each.name async for each in client.list()] == ["BASE", "F"]
        scope = Scope(client, {"plan": "pro"})
        assert scope.is_enabled("F") and scope.variant("F", "grey", user_id=1) in ("red", "blue")
        assert scope.evaluate("F", user_id=1).variant in ("red", "blue")
        await client.set_schedule("F")
        await client.set_prerequisites("F", [])
        await client.set_rules("F", [])
        await client.delete_segment("beta")
        assert await client.segments() == {} and await client.get_rules("F") == []

    asyncio.run(use())


def test_an_item_is_copied_without_its_store(client):
    client.set_rules("F", STAFF)
    item = client._store.get("F")
    for copied in (pickle.loads(pickle.dumps(item)), copy.deepcopy(item)):
        assert copied == item and copied.is_enabled(email="a@corp.com") and not copied.is_enabled()


def test_an_item_without_limits_is_checked_in_python():
    item = FeatureFlagStoreItem("F", True, FeatureFlagStoreMeta(1, bucketer=NoOpBucketer()))
    assert item.is_enabled() and item.to_dict()["is_enabled"] is True
    item._meta._others = {"rules": [], "schedule": None, "enabled": False}
    assert item.is_enabled() and item.to_dict()["is_enabled"] is True
