"""The check by hand: its arguments, its errors, and the references it takes."""

import contextlib
import enum
import gc
import inspect
import resource
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from flipper import Condition, FeatureFlagClient, MemoryFeatureFlagStore, _flipper
from flipper.bucketing import ConsistentHashPercentageBucketer, Percentage, PercentageBucketer


@pytest.fixture
def on(client):
    client.create("ON", is_enabled=True)
    return client


def test_name_by_keyword(on):
    assert on.is_enabled(feature_name="ON") is True
    assert on.is_enabled(feature_name="NONE", default=7) == 7


def test_default_is_returned_as_it_is(on):
    default = object()
    assert on.is_enabled("NONE", default) is default
    assert on.is_enabled("NONE", default=default) is default
    assert on.is_enabled("NONE", default=default, a=1) is default
    assert on.is_enabled("NONE", default=default, a=object()) is default
    assert on.is_enabled("ON", default) is True
    assert on.is_enabled("NONE") is False


def test_wrong_calls_are_type_errors(on):
    for args, kwargs in [
        ((), {}),
        ((), {"default": 1}),
        (("ON", 1, 2), {}),
        (("ON",), {"feature_name": "ON"}),
        (("ON", 1), {"default": 1}),
        ((1,), {}),
        ((None,), {}),
        ((b"ON",), {}),
        (([],), {"a": 1}),
    ]:
        with pytest.raises(TypeError):
            on.is_enabled(*args, **kwargs)


def test_no_exception_is_left_behind(on):
    # Each is cleared: a stray one would come up as a SystemError in the next call.
    assert on.is_enabled("\ud800") is False
    assert on.is_enabled("ON", **{"\ud800": 1}) is True
    assert on.is_enabled("ON", a="\ud800") is True
    assert on.is_enabled("ON", a=10**30) is True
    assert len("ab") == 2


def test_it_is_a_method_with_a_signature():
    signature = inspect.signature(FeatureFlagClient.is_enabled)
    assert list(signature.parameters) == ["self", "feature_name", "default", "conditions"]
    assert "is on" in FeatureFlagClient.is_enabled.__doc__
    with pytest.raises(TypeError):
        FeatureFlagClient.is_enabled(object(), "ON")
    with pytest.raises(TypeError):
        FeatureFlagClient.is_enabled()


def test_a_client_without_flags_raises():
    bare = _flipper.Client()
    with pytest.raises(AttributeError):
        bare.is_enabled("ON")


class Strange:
    """Raises wherever it is compared or hashed."""

    def __eq__(self, other):
        raise RuntimeError("compared")

    def __hash__(self):
        raise RuntimeError("hashed")


def test_what_a_comparison_raises_passes_through(on):
    on.add_condition("ON", Condition(a=1))
    with pytest.raises(RuntimeError, match="compared"):
        on.is_enabled("ON", a=Strange())


def test_mixed_types_are_type_errors_in_the_callers_order(on):
    on.add_condition("ON", Condition(a__gt=1, b="y"))
    with pytest.raises(TypeError):
        on.is_enabled("ON", b="y", a="x")
    assert on.is_enabled("ON", b="x", a="x") is False
    with pytest.raises(TypeError):
        on.is_enabled("ON", a="x", b="x")


class Plan(str, enum.Enum):
    PRO = "pro"


class Level(enum.IntEnum):
    HIGH = 3


def test_values_of_other_classes_are_compared_by_python(on):
    on.add_condition("ON", Condition(plan="pro", level__gte=2))
    assert on.is_enabled("ON", plan=Plan.PRO, level=Level.HIGH) is True
    assert on.is_enabled("ON", plan=Plan.PRO, level=True) is False
    assert on.is_enabled("ON", plan=uuid.uuid4()) is False


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, -(10**30), 1.5, float("inf"), True, None])
def test_numbers_are_exact(on, number):
    on.set_conditions("ON", [Condition(a=number)])
    assert on.is_enabled("ON", a=number) is True
    if number is not None:
        other = number + 1 if abs(number) < float("inf") and number != 1.5 else 0
        assert on.is_enabled("ON", a=other) is (other == number)


def test_conditions_beyond_eight(on):
    names = [f"a{index}" for index in range(30)]
    on.add_condition("ON", Condition(**{name: index for index, name in enumerate(names)}))
    right = {name: index for index, name in enumerate(names)}
    assert on.is_enabled("ON", **right) is True
    for name in names:
        assert on.is_enabled("ON", **{**right, name: -1}) is False


def test_the_hash_is_the_same_both_ways(on):
    on.set_bucketer("ON", ConsistentHashPercentageBucketer(percentage=Percentage(0.5)))
    item = on._store.get("ON")
    for index in range(300):
        given = {"user_id": index, "plan": str(index), "rate": index / 7, "beta": index % 2 == 0, "none": None}
        assert on.is_enabled("ON", **given) is item.is_enabled(**given)


def test_randomizer_is_called(on):
    on.set_bucketer("ON", PercentageBucketer(percentage=Percentage(0.5)))
    assert on.is_enabled("ON", randomizer=lambda: 0.4) is True
    assert on.is_enabled("ON", randomizer=lambda: 0.6) is False


def test_a_flag_asks_its_client(on, monkeypatch):
    flag, none = on.get("ON"), on.get("NONE")
    default = object()
    assert flag.is_enabled() is True and flag.is_enabled(a=1) is True
    assert none.is_enabled() is False and none.is_enabled(default) is default and none.is_enabled(default=default) is default
    assert none.is_enabled(default=default, a=object()) is default
    for args, kwargs in [((1, 2), {}), ((1,), {"default": 1}), ((), {"feature_name": "ON"})]:
        with pytest.raises(TypeError):
            flag.is_enabled(*args, **kwargs)
    assert list(inspect.signature(type(flag).is_enabled).parameters) == ["self", "default", "conditions"]
    monkeypatch.setattr(FeatureFlagClient, "is_enabled", lambda self, name, **given: (name, given))
    assert flag.is_enabled(a=1) == ("ON", {"default": False, "a": 1})
    monkeypatch.undo()
    assert flag.is_enabled() is True


def test_a_flag_asks_its_client_as_a_test_has_it(on):
    flag = on.get("ON")
    on.is_enabled = lambda name, **given: "replaced"
    assert flag.is_enabled() == "replaced" and on.get("ON").is_enabled(a=1) == "replaced"


def test_a_flag_asks_the_subclass_of_a_client(store):
    class Client(FeatureFlagClient):
        def is_enabled(self, feature_name, default=False, **conditions):
            return "subclass"

    assert Client(store).get("F").is_enabled() == "subclass"


def references(call, *objects):
    """How many references a thousand calls leave behind, per object, after the first one: items are held for the next check."""
    with contextlib.suppress(TypeError, RuntimeError):
        call()
    before = [sys.getrefcount(objects[index]) for index in range(len(objects))]
    for _ in range(1000):
        with contextlib.suppress(TypeError, RuntimeError):
            call()
    return [sys.getrefcount(objects[index]) - before[index] for index in range(len(objects))]


def test_references_are_given_back(on):
    on.create("COND", is_enabled=True)
    on.add_condition("COND", Condition(a=1))
    name, missing, default, value, key = "".join(["O", "N"]), "NO" + str(1), object(), "x" * 40, "a" * 30
    flag, none = on.get("COND"), on.get(missing)
    number, strange, uncommon = 10**6 + 5, Strange(), uuid.uuid4()
    calls = [
        lambda: on.is_enabled(name),
        lambda: on.is_enabled(missing),
        lambda: on.is_enabled(missing, default),
        lambda: on.is_enabled(missing, default=default),
        lambda: on.is_enabled(feature_name=name, default=default),
        lambda: on.is_enabled(name, **{key: value}),
        lambda: on.is_enabled(name, default=default, a=number, b=value),
        lambda: on.is_enabled("COND", default, a=value),
        lambda: on.is_enabled("COND", a=strange),
        lambda: on.is_enabled("COND", a=uncommon),
        lambda: on.is_enabled("COND", default=default, **{key: strange}),
        lambda: on.is_enabled(name, default, default=default),
        lambda: on.is_enabled(name, default, value),
        lambda: on.is_enabled(number, default),
        lambda: on.is_enabled(default=default),
        lambda: on.is_enabled(missing, default, **{f"k{index}": value for index in range(20)}),
        lambda: flag.is_enabled(),
        lambda: flag.is_enabled(default, a=value),
        lambda: flag.is_enabled(default=default, a=strange),
        lambda: flag.is_enabled(default, default=default),
        lambda: flag.is_enabled(default, value),
        lambda: none.is_enabled(default),
        lambda: none.is_enabled(default=default, **{key: value}),
    ]
    objects = (flag, none, FeatureFlagClient.is_enabled, on, name, missing, default, value, key, number, strange, uncommon)
    for index, call in enumerate(calls):
        call_references = references(call, *objects)
        assert call_references == [0] * len(objects), index


def resident():
    """The bytes of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="without /proc")
def test_no_call_leaks(on):
    on.create("COND", is_enabled=True)
    on.add_condition("COND", Condition(a=1, b__in=[1, 2]))
    on.create("OWN", is_enabled=True)
    on.set_bucketer("OWN", ConsistentHashPercentageBucketer(percentage=Percentage(0.5)))
    flag, strange, surrogate = on.get("COND"), Strange(), "\ud800" * 20
    many = {f"k{index}": str(index) for index in range(20)}
    calls = [
        (100_000, lambda: on.is_enabled("ON")),
        (100_000, lambda: on.is_enabled("NONE", strange)),
        (100_000, lambda: on.is_enabled(feature_name="NONE", default=strange)),
        (100_000, lambda: on.is_enabled("COND", a=1, b=2)),
        (100_000, lambda: on.is_enabled("OWN", user_id=7)),
        (100_000, lambda: on.is_enabled("ON", **many)),
        (100_000, lambda: flag.is_enabled(a=1)),
        (10_000, lambda: on.is_enabled("COND", a=strange)),
        (10_000, lambda: on.is_enabled("COND", b=strange)),
        (10_000, lambda: on.is_enabled("COND", a=10**30)),
        (10_000, lambda: on.is_enabled("COND", a=surrogate)),
        (10_000, lambda: on.is_enabled("COND", **{surrogate: 1})),
        (10_000, lambda: on.is_enabled("OWN", user_id=strange)),
        (10_000, lambda: on.is_enabled(surrogate)),
        (10_000, lambda: flag.is_enabled(a=strange)),
        (10_000, lambda: flag.is_enabled(1, default=2)),
        (10_000, lambda: on.is_enabled()),
        (10_000, lambda: on.is_enabled("ON", 1, 2)),
        (10_000, lambda: on.is_enabled("ON", feature_name="ON")),
        (10_000, lambda: on.is_enabled(strange)),
    ]
    for index, (count, call) in enumerate(calls):
        # Python keeps up to 2,000 tuples of each size.
        repeat(call, 3000)
        blocks, before = sys.getallocatedblocks(), resident()
        repeat(call, count)
        assert sys.getallocatedblocks() - blocks < 100, index
        # What Rust allocates: 20 bytes for each call of the fast way.
        assert resident() - before < 2_000_000, index


def repeat(call, count):
    for _ in range(count):
        try:
            call()
        except (TypeError, RuntimeError):
            pass


def test_clients_and_stores_are_freed():
    import weakref

    class Client(FeatureFlagClient):
        pass

    client = Client(MemoryFeatureFlagStore())
    client.create("ON", is_enabled=True)
    assert client.is_enabled("ON", a=object())
    dead = weakref.ref(client)
    del client
    gc.collect()
    assert dead() is None


def test_a_closed_store_still_answers(on):
    on._flags.close()
    assert on.is_enabled("ON") is True


def test_checks_and_writes_of_many_threads(on):
    on.add_condition("ON", Condition(a=1))
    stop, failures = threading.Event(), []

    def check():
        while not stop.is_set():
            for given in ({}, {"a": 1}, {"a": 1, "b": object()}):
                if on.is_enabled("ON", **given) is not True:
                    failures.append(given)

    threads = [threading.Thread(target=check) for _ in range(8)]
    for thread in threads:
        thread.start()
    for index in range(500):
        on.set_client_data("ON", {"n": index})
        on.create("OTHER", is_enabled=True)
        on.destroy("OTHER")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert list(on.get_meta("ON")["conditions"][0]) == ["a"]


def test_a_thousand_threads_check_while_flags_flip(on):
    on.create("FLIPS")
    on.add_condition("ON", Condition(a=1))
    threads, stop = [], threading.Event()
    begin = threading.Barrier(1001)
    seen, failures = set(), []

    def check():
        begin.wait()
        try:
            while not stop.is_set():
                seen.add(on.is_enabled("FLIPS"))
                for answer in (on.is_enabled("ON", a=1), not on.is_enabled("ON", a=2), on.is_enabled("NONE", True)):
                    if answer is not True:
                        failures.append(answer)
        except BaseException as error:
            failures.append(error)

    size = threading.stack_size(256 * 1024)
    try:
        for _ in range(1000):
            threads.append(threading.Thread(target=check))
            threads[-1].start()
    finally:
        threading.stack_size(size)
    begin.wait()
    deadline = time.monotonic() + 60
    while seen != {True, False} and time.monotonic() < deadline:
        on.enable("FLIPS")
        on.disable("FLIPS")
    for index in range(100):
        on.set_client_data("ON", {"n": index})
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures and seen == {True, False}
    assert on.get_client_data("ON") == {"n": 99}
