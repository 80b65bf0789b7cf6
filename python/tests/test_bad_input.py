"""Wrong values raise what the original library raises, or a subclass of it; where not, this file has the reason."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from unittest import mock

import pytest
import servers

import flipper

SWEEP = Path(__file__).with_name("sweep.py")
ORIGINAL = Path(os.environ.get("FLIPPER_PYTHON", Path(__file__).parents[2] / ".cache/python/bin/python"))

URL = "a text is the URL of a store"
CLIENT = "what is no client, nor a fake of one, is refused at once"
NAME = "a flag's name is a str, and text in UTF-8; the original's memory store takes any key of a dict, and no other of its stores does"
RULE = "a rule that cannot be stored is refused at once; the original's memory store keeps it, and the next check raises"
DATA = "client data is a dict; the original's memory store takes anything, and fails at the next change"

# Call -> class -> reason.
DIFFERENCES = {
    "FeatureFlagClient(V).is_enabled('A')": {"TypeError": "a URL, or the class of a store, is refused at once"},
    "FeatureFlag(V, client).is_enabled()": {"TypeError": NAME},
    "PercentageBucketer(V).check()": {"TypeError": "an empty value is refused; in the original it is the default percentage"},
    "PercentageBucketer(percentage=V).check()": {"TypeError": "the same"},
    "PercentageBucketer(Percentage(0.5)).check(randomizer=V)": {"TypeError": "a text is compared, not read as a number"},
    "BucketerFactory.create(V)": {"InvalidBucketerTypeError": "a missing type is like one that is not supported"},
    "PercentageFactory.create(V)": {"InvalidPercentageTypeError": "the same"},
    "CachedFeatureFlagStore(store, V)": {"TypeError": "a size is checked when it is given", "ValueError": "the same"},
    "RedisFeatureFlagStore(V).get('A')": {"InvalidInputError": URL, "UnicodeEncodeError": URL, "TypeError": CLIENT},
    "ThriftRPCFeatureFlagStore(V).get('A')": {"InvalidInputError": URL, "UnicodeEncodeError": URL, "TypeError": CLIENT},
    "decorators.is_enabled(V, 'A')(int)(1)": {"TypeError": "a text in the place of the client is refused at once"},
    "client.create(V)": {"TypeError": NAME, "InvalidInputError": NAME},
    "client.create('B', client_data=V)": {"InvalidInputError": DATA},
    "client.add_condition('A', V)": {"AttributeError": RULE, "UnreadableFlagError": RULE},
    "client.set_conditions('A', V)": {"AttributeError": RULE},
    "client.set_conditions('A', [V])": {"AttributeError": RULE, "UnreadableFlagError": RULE},
    "client.set_bucketer('A', V)": {"AttributeError": RULE, "InvalidBucketerTypeError": RULE},
    "flag.add_condition(V)": {"AttributeError": RULE, "UnreadableFlagError": RULE},
    "flag.set_conditions(V)": {"AttributeError": RULE},
    "flag.set_bucketer(V)": {"AttributeError": RULE, "InvalidBucketerTypeError": RULE},
    "store.create(V)": {"TypeError": NAME, "InvalidInputError": NAME},
    "store.create('B', client_data=V)": {"InvalidInputError": DATA},
    "store.set(V, True)": {"TypeError": NAME, "InvalidInputError": NAME},
    "store.set_meta('A', V)": {"AttributeError": RULE},
    **{
        call: {"TypeError": NAME}
        for call in [
            "client.exists(V)",
            "client.get(V).name",
            "client.is_enabled(V)",
            "client.enable(V)",
            "client.disable(V)",
            "client.destroy(V)",
            "client.add_condition(V, Condition())",
            "client.set_bucketer(V, NoOpBucketer())",
            "client.set_client_data(V, {})",
            "client.get_client_data(V)",
            "client.get_meta(V)",
            "store.get(V)",
            "store.delete(V)",
            "store.set_meta(V, FeatureFlagStoreMeta(1))",
            "decorators.is_enabled(client, V)(int)(1)",
        ]
    },
}


def sweep(python):
    # Not from the folder of the tests, where this package may be.
    environment = {**os.environ, "PYTHONPATH": ""} if python != sys.executable else None
    return json.loads(subprocess.check_output([python, SWEEP], cwd="/", env=environment))


def test_wrong_values_raise_as_in_the_original():
    if not ORIGINAL.exists():
        servers.missing("bad input", "the original library is not installed; scripts/setup installs it")
    ours, theirs = sweep(sys.executable), sweep(ORIGINAL)
    assert ours.keys() == theirs.keys() and len(ours) > 80
    unlisted, used = [], set()
    for call, outcomes in ours.items():
        for value, raised in outcomes.items():
            original = theirs[call][value]
            if raised == original or (raised and original and original[0] in raised):
                continue
            name = raised[0] if raised else "nothing"
            used.add((call, name))
            if name not in DIFFERENCES.get(call, {}):
                unlisted.append(f"{call} with {value}: {name}, in the original {original[:1] or 'nothing'}")
    assert not unlisted, "\n".join(unlisted)
    stale = {(call, name) for call, names in DIFFERENCES.items() for name in names} - used
    assert not stale


def test_what_takes_the_place_of_a_store_or_a_client():
    redis, openfeature = servers.package("redis"), servers.package("flipper.openfeature")
    store = flipper.MemoryFeatureFlagStore()
    for wrong, says in [
        (lambda: flipper.FeatureFlagClient(redis.Redis()), "RedisFeatureFlagStore"),
        (lambda: flipper.FeatureFlagClient(redis.RedisCluster), r"connect\(url\)"),
        (lambda: flipper.RedisFeatureFlagStore(None), r"redis\.Redis\(\), not None"),
        (lambda: flipper.RedisFeatureFlagStore(redis), "not <module 'redis'"),
        (lambda: flipper.ConsulFeatureFlagStore(8500), r"consul\.Consul\(\), not 8500"),
        (lambda: flipper.ThriftRPCFeatureFlagStore({}), r"Client\(protocol\), not {}"),
        (lambda: flipper.CachedFeatureFlagStore(store, ttl="900"), "such as 900"),
        (lambda: flipper.decorators.is_enabled("F", flipper.FeatureFlagClient(store)), r"is_enabled\(client, 'F'\)"),
        (lambda: openfeature.FlipperProvider("redis://x"), r"connect\(url\)"),
    ]:
        with pytest.raises(TypeError, match=says):
            wrong()
    with pytest.raises(ValueError, match="nan"):
        flipper.CachedFeatureFlagStore(store, expiration=float("nan"))


def test_what_looks_like_a_store_or_a_client_is_one():
    class Store(servers.package("redis").Redis):
        create = set_meta = None

    class Later:
        """As a client that is made by `init_app`."""

        def __getattr__(self, name):
            raise AttributeError(name)

    for store in (Store(), Later(), mock.MagicMock(), types.SimpleNamespace(get=lambda name: None)):
        flipper.FeatureFlagClient(store)
    for client in (Later(), mock.MagicMock(), {}):
        flipper.RedisFeatureFlagStore(client)
