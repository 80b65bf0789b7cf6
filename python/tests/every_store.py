"""What every store must do."""

import json

import pytest

from flipper import Condition, FeatureFlagClient, FlagDoesNotExistError, ThriftRPCFeatureFlagStore
from flipper.bucketing import ConsistentHashPercentageBucketer, Percentage
from flipper.contrib.native import NativeFeatureFlagStore
from flipper.contrib.storage import FeatureFlagStoreMeta
from flipper.exceptions import InvalidInputError, UnsupportedError


def is_served(store):
    """Whether the Rust library answers, and not the client."""
    return isinstance(store, NativeFeatureFlagStore)


def use(store):
    """Uses an empty store; the flag `G` is left. Each write is seen at once."""
    client = FeatureFlagClient(store)
    assert not client.is_enabled("F") and not client.exists("F") and store.get("F") is None
    for write in (
        lambda: client.enable("F"),
        lambda: client.set_client_data("F", {"a": 1}),
        lambda: store.set_meta("F", FeatureFlagStoreMeta(1)),
    ):
        with pytest.raises(FlagDoesNotExistError):
            write()
    client.create("F", client_data={"a": 1})
    assert not client.is_enabled("F")
    client.enable("F")
    assert client.is_enabled("F")
    for number in range(10):
        client.set_client_data("F", {str(number): number})
    assert client.get_client_data("F") == {"a": 1, **{str(number): number for number in range(10)}}
    client.add_condition("F", Condition(plan="pro", age__gte=18))
    client.set_bucketer("F", ConsistentHashPercentageBucketer(percentage=Percentage(1.0)))
    assert client.is_enabled("F", plan="pro", age=18)
    assert not client.is_enabled("F", plan="free") and not client.is_enabled("F", age=17)
    store.set("G", True)
    assert store.get("G").is_enabled() and [flag.name for flag in client.list()] == ["F", "G"]
    assert [item.feature_name for item in store.list(limit=1, offset=1)] == ["G"]
    store.set_meta("G", FeatureFlagStoreMeta(5, {"c": 3}))
    assert store.get("G").meta["created_date"] == 5 and store.get("G").is_enabled()
    client.disable("F")
    assert not client.is_enabled("F", plan="pro", age=18)
    store.delete("NONE")
    client.destroy("F")
    assert not client.exists("F") and not client.is_enabled("F")
    client.create("G")
    assert not client.is_enabled("G") and client.get_client_data("G") == {}
    use_rules(client)
    with pytest.raises(TypeError):
        store.create(1)


def use_rules(client):
    """Of the flag `G`, which is off afterwards, as before."""
    store = client._store
    client.enable("G")
    rules = [{"when": "in segment beta", "serve": "on"}, {"serve": "off"}]
    if isinstance(store, ThriftRPCFeatureFlagStore) and not is_served(store):
        # The original's calls have no place for them.
        with pytest.raises(UnsupportedError):
            client.set_rules("G", rules[1:])
        assert client.is_enabled("G") and client.get_rules("G") == []
        client.disable("G")
        return
    client.set_segment("beta", "plan = pro")
    client.set_rules("G", rules)
    client.set_client_data("G", {"a": 1})
    assert client.is_enabled("G", plan="pro") and client.is_enabled("G", plan="pro", other=object())
    assert not client.is_enabled("G") and not client.is_enabled("G", plan="free", other=object())
    # An item finds what it depends on.
    for item in (store.get("G"), *(each for each in store.list() if each.feature_name == "G")):
        assert item.is_enabled(plan="pro") and not item.is_enabled(plan="free")
    stored = json.loads(store.get("G").serialize())
    assert stored["is_enabled"] is False and stored["meta"]["enabled"] is True
    assert [flag.name for flag in client.list()] == ["G"] and [*client.segments()] == ["beta"]
    client.disable("G")
    assert not client.is_enabled("G", plan="pro") and "enabled" not in client.get_meta("G")
    client.enable("G")
    assert client.is_enabled("G", plan="pro") and len(client.get_rules("G")) == 2
    client.delete_segment("beta")
    assert not client.is_enabled("G", plan="pro")
    client.set_rules("G", [])
    assert client.is_enabled("G") and json.loads(store.get("G").serialize())["is_enabled"] is True
    client.disable("G")


def refuse(store, names):
    """No flag can have these names."""
    for name in names:
        for write in (lambda: store.create(name), lambda: store.set(name, True)):
            with pytest.raises(InvalidInputError):
                write()
        assert store.get(name) is None
