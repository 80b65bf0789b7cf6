"""What the original answers, ours answers: by the Rust check, and by the check in Python."""

import json

import pytest
from golden import cases, clock, sorted_whitelist

from flipper import Condition, FeatureFlagClient, _flipper, exceptions
from flipper.bucketing import BucketerFactory
from flipper.contrib.native import NativeFeatureFlagStore
from flipper.contrib.storage import FeatureFlagStoreItem
from flipper.events import EventType

NAME = "FLAG"
RAMP = "flipper.bucketing.percentage.linear_ramp_percentage.datetime"


def outcome(call):
    try:
        return call()
    except TypeError:
        return TypeError


def evaluate(case, monkeypatch):
    expect = case["expect"]
    now = case.get("now", 0)
    monkeypatch.setattr(RAMP, clock(now))
    flags = _flipper.Flags.memory(now)
    client = FeatureFlagClient(NativeFeatureFlagStore(flags))
    text = case["item_raw"] if "item_raw" in case else case["item"] and json.dumps(case["item"])
    if text is not None:
        flags.put_text(NAME, text)
    given = {**case["kwargs"], **({"default": case["default"]} if "default" in case else {})}

    if expect.get("stage") == "load":
        assert client.is_enabled(NAME, **given) == case.get("default", False)
        with pytest.raises(exceptions.UnreadableFlagError):
            client.get_meta(NAME)
        return
    expected = TypeError if "error" in expect else expect["result"]
    assert outcome(lambda: client.is_enabled(NAME, **given)) is expected
    if text is None:
        return
    items = [client._store.get(NAME), FeatureFlagStoreItem.deserialize(text.encode())]
    # A ramp's beginning is written in whole seconds, so only the item of the case's own text has the fraction.
    percentage = (json.loads(text)["meta"].get("bucketer") or {}).get("percentage") or {}
    fraction = (percentage.get("initial_time") or 0) % 1
    for item in items[1:] if fraction else items:
        assert outcome(lambda item=item: item.is_enabled(**case["kwargs"])) is expected
        if "rt" in expect:
            assert sorted_whitelist(item.serialize()) == sorted_whitelist(expect["rt"])
    if "percentage" in expect and "error" not in expect:
        assert items[1]._meta.bucketer.percentage == pytest.approx(expect["percentage"], abs=1e-12)


def test_evaluations(monkeypatch):
    failed = []
    all_cases = cases("golden.jsonl.gz")
    for case in all_cases:
        try:
            evaluate(case, monkeypatch)
        except Exception as error:
            failed.append((case["id"], error))
    assert len(all_cases) > 5000
    assert not failed, f"{len(failed)} differ, such as {failed[0]}"


def operate(client, step):
    name = step["name"]
    match step["op"]:
        case "create":
            given = {key: step[key] for key in ("is_enabled", "client_data") if key in step}
            return client.create(name, **given).name
        case "set_client_data":
            return client.set_client_data(name, step["client_data"])
        case "add_condition":
            return client.add_condition(name, Condition(**step["condition"]))
        case "set_conditions":
            return client.set_conditions(name, [Condition(**each) for each in step["conditions"]])
        case "set_bucketer":
            return client.set_bucketer(name, BucketerFactory.create(step["bucketer"]))
        case "store_set":
            return client._store.set(name, step["value"])
        case "list_sorted":
            return sorted(flag.name for flag in client.list(limit=step["limit"], offset=step["offset"]))
        case "is_enabled":
            default = {"default": step["default"]} if "default" in step else {}
            return client.is_enabled(name, **default, **step["kwargs"])
        case "enable" | "disable" | "destroy" | "exists" | "get_meta" | "get_client_data" as verb:
            return getattr(client, verb)(name)
        case other:
            raise AssertionError(f"unknown operation {other!r}")


def plain(value):
    """As the cases have an event's arguments."""
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    value = value.to_dict() if hasattr(value, "to_dict") else value
    if isinstance(value, dict) and "key_whitelist" in value:
        value = {**value, "key_whitelist": sorted(value["key_whitelist"])}
    return {key: plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def run_sequence(case, monkeypatch):
    monkeypatch.setattr("flipper.contrib.util.date.now", lambda: case["now"])
    monkeypatch.setattr(RAMP, clock(case["now"]))
    client = FeatureFlagClient(NativeFeatureFlagStore(_flipper.Flags.memory(case["now"])))
    events = []
    for event_type in EventType:

        def note(*args, event=event_type.value, **kwargs):
            events.append([event, plain(args), plain(kwargs)])

        client.events.on(event_type, note)
    for step in case["steps"]:
        expect = step["expect"]
        events.clear()
        try:
            result = operate(client, step)
        except Exception as error:
            assert type(error).__name__ == expect.get("error"), (step, error)
        else:
            assert "error" not in expect, step
            assert plain(result) == plain(expect["result"]), step
            assert json.dumps(plain(result)) == json.dumps(plain(expect["result"])), step
        assert events == plain(expect["events"]), step
        item = client._store.get(step["name"])
        if expect["stored"] is None:
            assert item is None, step
        else:
            assert sorted_whitelist(item.serialize()) == sorted_whitelist(expect["stored"]), step
            assert sorted_whitelist(client._flags.get(step["name"])[0]) == sorted_whitelist(expect["stored"]), step


def test_sequences(monkeypatch):
    all_cases = cases("golden_ops.jsonl.gz")
    assert len(all_cases) == 400
    for case in all_cases:
        run_sequence(case, monkeypatch)
