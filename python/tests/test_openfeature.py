"""The provider, through the SDK's own client; its reasons are those of the command."""

import asyncio
import functools
import json
import queue
import subprocess
from datetime import datetime, timezone

import pytest
from flipper import Condition, FeatureFlagClient, MemoryFeatureFlagStore
from flipper.aio import AsyncFeatureFlagClient
from flipper.bucketing import (
    ConsistentHashPercentageBucketer,
    Percentage,
    PercentageBucketer,
    SaltedPercentageBucketer,
)
from flipper.contrib.native import NativeFeatureFlagStore
from flipper.contrib.storage import FeatureFlagStoreItem
from flipper.contrib.store import AbstractFeatureFlagStore
from flipper.testing import override_flags
from servers import PATIENCE, flipper_program, package, redis_server

package("openfeature")

from flipper.openfeature import FlipperProvider  # noqa: E402
from openfeature import api  # noqa: E402
from openfeature.evaluation_context import EvaluationContext  # noqa: E402
from openfeature.event import ProviderEvent  # noqa: E402
from openfeature.exception import ErrorCode, ParseError, ProviderNotReadyError  # noqa: E402
from openfeature.flag_evaluation import Reason  # noqa: E402
from openfeature.provider import ProviderStatus  # noqa: E402


@pytest.fixture
def ask(client):
    """The SDK's client."""
    api.set_provider_and_wait(FlipperProvider(client, targeting_key="user_id", poll_seconds=0.01))
    yield api.get_client()
    api.clear_providers()


def context(key=None, **attributes):
    return EvaluationContext(key, attributes)


def bool_of(ask, flag="FLAG", default=False, key=None, **attributes):
    return ask.get_boolean_details(flag, default, context(key, **attributes))


def stored(client, meta, is_enabled=True):
    meta = {"created_date": 1, **meta}
    text = json.dumps({"feature_name": "FLAG", "is_enabled": is_enabled, "meta": meta})
    client._flags.put_text("FLAG", text)


def test_a_segment_is_no_flag(ask, client):
    client.set_segment("beta", "plan = pro")
    for details in (bool_of(ask, "segments/beta"), ask.get_string_details("segments/beta", "")):
        assert (details.error_code, details.reason) == (ErrorCode.FLAG_NOT_FOUND, Reason.ERROR)


def test_a_bool_is_the_flags_answer_with_its_reason(ask, client):
    details = bool_of(ask, default=True)
    assert (details.value, details.error_code, details.reason) == (True, ErrorCode.FLAG_NOT_FOUND, Reason.ERROR)
    client.create("FLAG", client_data={"owner": "ann", "size": 3, "list": []})
    details = bool_of(ask, default=True)
    assert (details.value, details.reason, details.variant) == (False, Reason.DISABLED, "off")
    metadata = dict(details.flag_metadata)
    assert metadata.pop("flipper.created_date") > 0
    assert metadata.pop("flipper.reason") == "the flag is disabled"
    assert metadata == {"owner": "ann", "size": 3, "flipper.reason_code": "disabled"}
    client.enable("FLAG")
    details = bool_of(ask)
    assert (details.value, details.reason, details.variant, details.error_code) == (True, Reason.STATIC, "on", None)
    client.add_condition("FLAG", Condition(plan="pro"))
    for plan, on in [("pro", True), ("free", False)]:
        details = bool_of(ask, plan=plan)
        assert (details.value, details.reason) == (on, Reason.TARGETING_MATCH)
    for attributes in ({}, {"Plan": "free"}):
        details = bool_of(ask, **attributes)
        assert (details.value, details.reason) == (True, Reason.DEFAULT)
        assert details.flag_metadata["flipper.not_given"] == "plan"


def test_buckets_and_chance_are_a_split(ask, client):
    client.create("FLAG", is_enabled=True)
    client.set_bucketer("FLAG", ConsistentHashPercentageBucketer(percentage=0.5))
    for user in map(str, range(50)):
        details = bool_of(ask, key=user)
        assert details.reason == Reason.SPLIT and details.value == client.is_enabled("FLAG", user_id=user)
        assert details.value == (details.flag_metadata["flipper.bucket_score"] <= 0.5)
    client.set_bucketer("FLAG", PercentageBucketer(Percentage(0.5)))
    assert bool_of(ask).reason == Reason.SPLIT
    client.set_bucketer("FLAG", SaltedPercentageBucketer("user_id", 0.5))
    details = bool_of(ask)
    assert details.error_code == ErrorCode.TARGETING_KEY_MISSING and "user_id" in details.error_message
    assert bool_of(ask, key="7").reason == Reason.SPLIT
    client.set_bucketer("FLAG", SaltedPercentageBucketer("user_id", 1.0))
    assert bool_of(ask).value is True


def test_errors(ask, client):
    client._flags.put_text("FLAG", "no flag")
    assert bool_of(ask).error_code == ErrorCode.PARSE_ERROR
    client.create("FLAG", is_enabled=True)
    client.add_condition("FLAG", Condition(age__gte=18))
    assert bool_of(ask, age="ten").error_code == ErrorCode.INVALID_CONTEXT
    percentage = {"type": "Percentage", "percentage": "half"}
    stored(client, {"bucketer": {"type": "PercentageBucketer", "percentage": percentage}})
    assert bool_of(ask, age=3).error_code == ErrorCode.PARSE_ERROR


def test_other_types_are_client_data(ask, client):
    data = {"value": "green", "n": 3, "f": 0.5, "o": {"in": {"x": None, "y": [1, {"z": True}]}}, "null": None, "yes": True}
    client.create("FLAG", is_enabled=True, client_data=data)
    assert ask.get_string_value("FLAG", "d") == "green"
    assert ask.get_integer_value("FLAG/n", 0) == 3
    assert ask.get_float_value("FLAG/n", 0.0) == 3.0 and ask.get_float_value("FLAG/f", 0.0) == 0.5
    assert ask.get_object_value("FLAG/o/in", {}) == {"y": [1, {"z": True}]}
    assert ask.get_object_value("FLAG/o/in/y", []) == [1, {"z": True}]
    assert ask.get_object_value("FLAG", {})["value"] == "green"
    details = ask.get_string_details("FLAG", "d")
    assert (details.reason, details.variant) == (Reason.STATIC, "on")
    for mismatch in (
        ask.get_integer_details("FLAG", 0),
        ask.get_integer_details("FLAG/f", 0),
        ask.get_integer_details("FLAG/yes", 0),
        ask.get_float_details("FLAG/yes", 0.0),
        ask.get_string_details("FLAG/n", "d"),
        ask.get_string_details("FLAG/none", "d"),
        ask.get_string_details("FLAG/value/more", "d"),
        ask.get_string_details("FLAG/null", "d"),
        ask.get_object_details("FLAG/n", {}),
    ):
        assert mismatch.error_code == ErrorCode.TYPE_MISMATCH and mismatch.error_message, mismatch
    client.create("FLAG", is_enabled=True)
    assert ask.get_string_details("FLAG", "d").error_code == ErrorCode.TYPE_MISMATCH
    assert ask.get_string_details("NONE", "d").error_code == ErrorCode.FLAG_NOT_FOUND


def test_off_the_default_applies(ask, client):
    client.create("FLAG", client_data={"value": "green"})
    details = ask.get_string_details("FLAG", "d")
    assert (details.value, details.reason, details.variant, details.error_code) == ("d", Reason.DISABLED, "off", None)


def test_the_context(ask, client):
    client.create("FLAG", is_enabled=True)
    client.set_conditions("FLAG", [Condition(user_id="7", since=3600, plan__in=["pro"])])
    since = datetime(1970, 1, 1, 1, tzinfo=timezone.utc)
    assert bool_of(ask, key="7", since=since, plan="pro", more=[1], other={"a": since}).value is True
    assert bool_of(ask, key="7", user_id="8", since=since, plan="pro").value is True
    assert bool_of(ask, key="8", user_id="7").value is False
    assert ask.get_boolean_value("FLAG", False) is True


def test_async(ask, client):
    client.create("FLAG", is_enabled=True, client_data={"value": "green", "n": 1})

    async def use():
        assert await ask.get_boolean_value_async("FLAG", False) is True
        assert await ask.get_string_value_async("FLAG", "d") == "green"
        assert await ask.get_integer_value_async("FLAG/n", 0) == 1
        assert await ask.get_float_value_async("FLAG/n", 0.0) == 1.0
        assert await ask.get_object_value_async("FLAG", {}) == {"value": "green", "n": 1}
        assert (await ask.get_boolean_details_async("NONE", True)).error_code == ErrorCode.FLAG_NOT_FOUND

    asyncio.run(use())


def test_a_store_that_is_called():
    class Store(MemoryFeatureFlagStore):
        def get(self, feature_name):
            return super().get(feature_name)

    client = FeatureFlagClient(Store())
    client.create("FLAG", is_enabled=True)
    client._backend._flags.put_text("WRONG", "no flag")
    api.set_provider_and_wait(FlipperProvider(client))
    ask = api.get_client()
    assert ask.get_boolean_value("FLAG", False)
    assert asyncio.run(ask.get_boolean_value_async("FLAG", False))
    assert ask.get_boolean_details("WRONG", False).error_code == ErrorCode.PARSE_ERROR
    api.clear_providers()


def test_overrides(ask, client):
    with override_flags(client, FLAG=True):
        details = bool_of(ask)
        assert (details.value, details.reason, details.variant) == (True, "OVERRIDDEN", "on")
        assert ask.get_string_details("FLAG", "d").error_code == ErrorCode.FLAG_NOT_FOUND


def test_an_asynchronous_client(client):
    api.set_provider_and_wait(FlipperProvider(AsyncFeatureFlagClient(client)))
    client.create("FLAG", is_enabled=True)
    assert api.get_client().get_boolean_value("FLAG", False)
    api.clear_providers()


def events_of(*kinds):
    """What the SDK's handlers receive."""
    received = queue.Queue()

    def receive(kind, details):
        if details.provider_name == "flipper":
            received.put((kind, details))

    for kind in kinds:
        api.add_handler(kind, functools.partial(receive, kind))
    return received


@pytest.fixture
def _no_handlers():
    yield
    api.clear_providers()
    from openfeature import _event_support

    _event_support.clear()


@pytest.mark.usefixtures("_no_handlers")
def test_changes_are_emitted(client):
    client.create("KEPT", is_enabled=True)
    client.create("GONE")
    provider = FlipperProvider(client, poll_seconds=0.01)
    api.set_provider_and_wait(provider)
    received = events_of(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)

    def changed():
        kind, details = received.get(timeout=PATIENCE)
        assert kind == ProviderEvent.PROVIDER_CONFIGURATION_CHANGED
        return details.flags_changed

    for change in (
        lambda: client.create("NEW"),
        lambda: client.enable("NEW"),
        lambda: client.set_client_data("NEW", {"a": 1}),
        lambda: client.set_bucketer("NEW", PercentageBucketer(Percentage(0.3))),
    ):
        change()
        assert changed() == ["NEW"]
    client.destroy("GONE")
    assert changed() == ["GONE"]
    watcher = provider._watcher
    api.shutdown()
    assert not watcher.is_alive()
    client.disable("KEPT")
    assert received.empty() and not client.is_enabled("KEPT")


@pytest.mark.usefixtures("_no_handlers")
def test_a_store_that_is_lost_and_back(tmp_path):
    # What is there is kept: an empty store would be doubted.
    with redis_server(tmp_path, "appendonly yes") as server:
        client = FeatureFlagClient.connect(f"redis://127.0.0.1:{server.port}")
        client.create("FLAG", is_enabled=True)
        port = server.port
        api.set_provider_and_wait(FlipperProvider(client, poll_seconds=0.01))
        ask = api.get_client()
        received = events_of(ProviderEvent.PROVIDER_STALE, ProviderEvent.PROVIDER_READY)
        assert received.get(timeout=PATIENCE)[0] == ProviderEvent.PROVIDER_READY
    kind, details = received.get(timeout=PATIENCE)
    assert kind == ProviderEvent.PROVIDER_STALE and details.message
    assert ask.get_provider_status() == ProviderStatus.STALE and ask.get_boolean_value("FLAG", False)
    with redis_server(tmp_path, "appendonly yes", port=port):
        assert received.get(timeout=PATIENCE)[0] == ProviderEvent.PROVIDER_READY
        assert ask.get_provider_status() == ProviderStatus.READY


@pytest.mark.usefixtures("_no_handlers")
def test_a_store_that_is_away_at_the_start(tmp_path):
    from flipper import RedisFeatureFlagStore
    from servers import free_port

    port = free_port()
    client = FeatureFlagClient(RedisFeatureFlagStore(f"redis://127.0.0.1:{port}"))
    assert isinstance(client._store, NativeFeatureFlagStore)
    received = events_of(ProviderEvent.PROVIDER_READY)
    with pytest.raises(ProviderNotReadyError, match="not in memory yet"):
        api.set_provider_and_wait(FlipperProvider(client, poll_seconds=0.01))
    details = api.get_client().get_boolean_details("FLAG", True)
    assert (details.value, details.error_code) == (True, ErrorCode.PROVIDER_NOT_READY)
    with redis_server(tmp_path, port=port):
        assert received.get(timeout=PATIENCE)[0] == ProviderEvent.PROVIDER_READY
        assert api.get_client().get_boolean_details("FLAG", True).error_code == ErrorCode.FLAG_NOT_FOUND


RULES = {
    "OFF": {},
    "ON": {},
    "CONDITIONS": {"conditions": [Condition(plan="pro", age__gte=18).to_dict(), Condition(country__in=["de"]).to_dict()]},
    "STRICT": {"conditions": [Condition(plan="pro", age__gte=18).to_dict()], "strict_conditions": True},
    "DENY": {"deny_conditions": [Condition(plan="free").to_dict(), Condition(age__lt=18, plan="pro").to_dict()]},
    "HASH": {"bucketer": ConsistentHashPercentageBucketer(percentage=0.5).to_dict()},
    "HASH_BY": {"bucketer": ConsistentHashPercentageBucketer(percentage=0.5, key_whitelist=["user_id"]).to_dict()},
    "SALTED": {"bucketer": SaltedPercentageBucketer("user_id", 0.25).to_dict()},
    "SALTED_ALL": {"bucketer": SaltedPercentageBucketer("user_id", 1.0).to_dict()},
    "RANDOM": {"bucketer": PercentageBucketer(Percentage(0.0)).to_dict()},
    "BOTH": {"conditions": [Condition(plan="pro").to_dict()], "bucketer": SaltedPercentageBucketer("user_id", 0.5).to_dict()},
    "WRONG": {"bucketer": {"type": "PercentageBucketer", "percentage": {"type": "Percentage", "percentage": "half"}}},
}
CONTEXTS = [{}, {"plan": "free"}, {"plan": "pro", "age": 17}, {"plan": "pro", "age": 18, "country": "fr"}]
CONTEXTS += [{"user_id": 7}, {"user_id": "7", "plan": "pro"}, {"age": "ten", "plan": "pro"}, {"country": "de"}]


def test_reasons_are_those_of_the_command(tmp_path):
    """Codes, texts, scores and what is not given: for each flag and context the same, in Python and in Rust."""
    from flipper.evaluation import evaluate

    program = flipper_program()
    url = f"sqlite:{tmp_path}/flags.db"
    lines = [
        json.dumps({"feature_name": name, "is_enabled": name != "OFF", "meta": {"created_date": 1, **rules}})
        for name, rules in RULES.items()
    ]

    def run(*arguments, text=None):
        command = [program, "--store", url, *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=PATIENCE, check=False)

    imported = run("import", "-", text="\n".join(lines))
    assert imported.returncode == 0, imported.stderr
    flags = FeatureFlagClient.connect(url)
    compared = 0
    for attributes in CONTEXTS:
        given = [f"{name}={json.dumps(value)}" for name, value in attributes.items()]
        printed = run("evaluate", "--json", *RULES, *given)
        for answer in map(json.loads, printed.stdout.splitlines()):
            name = answer["name"]
            own = evaluate(flags._native().shared_item(name), attributes)
            where = (name, attributes)
            assert (own.is_enabled, own.code) == (answer["enabled"], answer["rule"]), where
            assert list(own.not_given) == answer["not_given"], where
            if own.code != "type_mismatch":
                assert own.explanation == answer["reason"], where
            if own.bucket_score is not None:
                assert own.bucket_score == answer["bucket"]["score"], where
            compared += 1
    assert compared == len(RULES) * len(CONTEXTS)


def test_variants_are_values(ask, client):
    client.create("FLAG", is_enabled=True, client_data={"value": "of the client data", "size": 3})
    for kind, default, values in [
        ("string", "grey", ["red", "blue"]),
        ("integer", 0, [1, 2]),
        ("float", 0.5, [1, 2.5]),
        ("object", {}, [{"a": 1}, {"a": [2]}]),
        ("boolean", False, [True, False]),
    ]:
        resolve = getattr(ask, f"get_{kind}_details")
        weighed = [{"name": name, "weight": 50_000, "value": each} for name, each in zip("ab", values, strict=True)]
        client.set_variants("FLAG", {"by": "user_id", "values": weighed})
        got = {resolve("FLAG", default, context(str(key))).variant for key in range(40)}
        assert got == {"a", "b"}, kind
        details = resolve("FLAG", default, context("7"))
        assert details.value == values["ab".index(details.variant)] and details.error_code is None, kind
        assert details.reason == Reason.STATIC
    # Client data are still found by their keys.
    assert ask.get_integer_details("FLAG/size", 0, context("7")).value == 3
    client.set_variants("FLAG", {"by": "user_id", "values": [{"name": "a", "weight": 100_000, "value": "x"}]})
    details = ask.get_integer_details("FLAG", 5, context("7"))
    assert (details.value, details.error_code) == (5, ErrorCode.TYPE_MISMATCH)
    # Without variants that are bools it is the flag's answer.
    assert bool_of(ask, key="7").value is True
    client.disable("FLAG")
    details = ask.get_string_details("FLAG", "grey", context("7"))
    assert (details.value, details.variant, details.reason) == ("grey", "off", Reason.DISABLED)
    client.set_variants("FLAG", {"by": "user_id", "off": "a", "values": [{"name": "a", "weight": 100_000, "value": "x"}]})
    details = ask.get_string_details("FLAG", "grey", context("7"))
    assert (details.value, details.variant, details.reason) == ("x", "a", Reason.DISABLED)


def test_variants_that_the_context_does_not_get(ask, client):
    client.create("FLAG", is_enabled=True, client_data={"value": "of the client data", "size": 3})
    switches = {"values": [{"name": "yes", "weight": 50_000, "value": True}, {"name": "no", "weight": 50_000, "value": False}]}
    colours = {"values": [{"name": "red", "weight": 50_000}, {"name": "blue", "weight": 50_000}]}
    for kind, default, variants in [("boolean", True, switches), ("boolean", False, switches), ("string", "grey", colours)]:
        resolve = getattr(ask, f"get_{kind}_details")
        client.enable("FLAG")
        client.set_variants("FLAG", {"by": "user_id", **variants})
        details = resolve("FLAG", default, context())
        assert (details.value, details.error_code) == (default, ErrorCode.TARGETING_KEY_MISSING), kind
        assert "user_id" in details.error_message
        client.disable("FLAG")
        details = resolve("FLAG", default, context("7"))
        got = (details.value, details.variant, details.reason, details.error_code)
        assert got == (default, "off", Reason.DISABLED, None), kind
        client.set_variants("FLAG", {"by": "user_id", "off": variants["values"][0]["name"], **variants})
        details = resolve("FLAG", default, context("7"))
        assert (details.variant, details.reason) == (variants["values"][0]["name"], Reason.DISABLED)
        assert details.value == variants["values"][0].get("value", "red")
    # What is no value of a variant has the flag's answer, and its name.
    client.enable("FLAG")
    for key in ("1", "2", None):
        details = bool_of(ask, key=key)
        assert (details.value, details.variant) == (True, "on")
        details = ask.get_integer_details("FLAG/size", 0, context(key))
        assert (details.value, details.variant) == (3, "on")
    client.disable("FLAG")
    details = bool_of(ask, default=True, key="1")
    assert (details.value, details.variant) == (False, "off")
    mixed = {"values": [{"name": "a", "weight": 50_000, "value": "x"}, {"name": "b", "weight": 50_000, "value": "y"}]}
    client.set_variants("FLAG", {"by": "user_id", **mixed})
    with override_flags(client, FLAG=True):
        details = ask.get_string_details("FLAG", "grey", context("7"))
        assert (details.value, details.variant, details.reason) == ("of the client data", "on", "OVERRIDDEN")


def test_reasons_of_rules(ask, client):
    client.create("FLAG", is_enabled=True)
    client.create("BASE")
    client.set_rules("FLAG", [{"when": "plan = pro", "serve": "on"}, {"serve": {"share": 0.5, "by": "user_id"}}])
    details = bool_of(ask, plan="pro")
    assert (details.value, details.reason) == (True, Reason.TARGETING_MATCH)
    assert details.flag_metadata["flipper.reason_code"] == "rule"
    details = [bool_of(ask, key=str(key)) for key in range(40)]
    assert {each.value for each in details} == {True, False} and {each.reason for each in details} == {Reason.SPLIT}
    assert all(0 <= each.flag_metadata["flipper.bucket_score"] < 1 for each in details)
    assert bool_of(ask).error_code == ErrorCode.TARGETING_KEY_MISSING
    client.set_prerequisites("FLAG", ["BASE"])
    details = bool_of(ask, plan="pro")
    assert (details.value, details.reason) == (False, Reason.TARGETING_MATCH)
    assert "BASE" in details.flag_metadata["flipper.reason"]
    client.set_prerequisites("FLAG", [])
    client.set_schedule("FLAG", enable_at=4_000_000_000)
    assert (bool_of(ask, plan="pro").value, bool_of(ask, plan="pro").reason) == (False, Reason.DISABLED)


def test_a_flag_whose_rules_cannot_be_read_is_a_parse_error(ask, client):
    stored(client, {"rules": [{"serve": "maybe"}]})
    assert bool_of(ask).error_code == ErrorCode.PARSE_ERROR
    of_own = FlipperProvider(FeatureFlagClient(_OfOwn({"rules": [{"serve": "maybe"}]})))
    with pytest.raises(ParseError):
        of_own.resolve_boolean_details("FLAG", False)


class _OfOwn(AbstractFeatureFlagStore):
    """A store in Python, of one flag."""

    def __init__(self, meta):
        self._meta = {"created_date": 1, **meta}

    def get(self, feature_name):
        fields = {"feature_name": feature_name, "is_enabled": True, "meta": self._meta}
        return FeatureFlagStoreItem.deserialize(json.dumps(fields).encode())

    create = set = delete = list = set_meta = None
