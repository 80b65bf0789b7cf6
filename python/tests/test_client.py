"""The client, on a store of the library and on one in Python: what it returns, raises and announces."""

import copy
import subprocess
import sys
import threading
import time

import pytest

from flipper import Condition, FeatureFlag, FeatureFlagClient, FlagDoesNotExistError, MemoryFeatureFlagStore, exceptions
from flipper.bucketing import LinearRampPercentage, Percentage, PercentageBucketer
from flipper.contrib.interface import FlagDoesNotExistError as StoresError
from flipper.contrib.storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from flipper.contrib.store import AbstractFeatureFlagStore


class DictStore(AbstractFeatureFlagStore):
    """A store as a program writes one."""

    def __init__(self):
        self.texts = {}
        self.calls = []

    def create(self, feature_name, is_enabled=False, client_data=None):
        self._put(FeatureFlagStoreItem(feature_name, is_enabled, FeatureFlagStoreMeta(1, client_data)))

    def _put(self, item):
        self.texts[item.feature_name] = item.serialize()

    def get(self, feature_name):
        self.calls.append(feature_name)
        text = self.texts.get(feature_name)
        return None if text is None else FeatureFlagStoreItem.deserialize(text)

    def set(self, feature_name, is_enabled):
        item = self.get(feature_name)
        self._put(FeatureFlagStoreItem(feature_name, is_enabled, item._meta))

    def delete(self, feature_name):
        self.texts.pop(feature_name, None)

    def list(self, limit=None, offset=0):
        for name in sorted(self.texts)[offset:][:limit]:
            yield self.get(name)

    def set_meta(self, feature_name, meta):
        item = self.get(feature_name)
        self._put(FeatureFlagStoreItem(feature_name, item.raw_is_enabled, meta))


class MemorySubclass(MemoryFeatureFlagStore):
    """Python code in a store of the library: it is called."""

    calls = 0

    def get(self, feature_name):
        self.calls += 1
        return super().get(feature_name)


STORES = [MemoryFeatureFlagStore, DictStore, MemorySubclass]


@pytest.mark.parametrize("store", ["memory:", MemoryFeatureFlagStore])
def test_what_is_no_store_is_refused(store):
    with pytest.raises(TypeError, match=r"FeatureFlagClient\.connect\(url\)"):
        FeatureFlagClient(store)


@pytest.fixture(params=STORES, ids=lambda store: store.__name__)
def store(request):
    return request.param()


def test_the_quick_start(client):
    flag = client.create("MY_FEATURE")
    assert isinstance(flag, FeatureFlag) and flag.name == "MY_FEATURE"
    assert client.is_enabled("MY_FEATURE") is False
    client.enable("MY_FEATURE")
    assert client.is_enabled("MY_FEATURE") is True and flag.is_enabled() is True
    flag.disable()
    assert flag.is_enabled() is False
    flag.destroy()
    assert not flag.exists() and flag.is_enabled(default=True) is True


def test_writes_of_a_missing_flag(client):
    for write in [
        lambda: client.enable("F"),
        lambda: client.disable("F"),
        lambda: client.destroy("F"),
        lambda: client.add_condition("F", Condition(a=1)),
        lambda: client.set_conditions("F", []),
        lambda: client.set_bucketer("F", PercentageBucketer()),
        lambda: client.set_client_data("F", {}),
        lambda: client.get_meta("F"),
        lambda: client.get_client_data("F"),
    ]:
        with pytest.raises(FlagDoesNotExistError):
            write()
    assert not client.exists("F")


def test_create_overwrites(client):
    client.create("F", is_enabled=True, client_data={"a": 1})
    client.add_condition("F", Condition(a=1))
    client.set_bucketer("F", PercentageBucketer(Percentage(0.5)))
    client.create("F")
    meta = client.get_meta("F")
    assert not client.is_enabled("F")
    assert (meta["client_data"], meta["conditions"], meta["bucketer"]) == ({}, [], {"type": "NoOpBucketer"})


def test_client_data_is_merged_and_copied(client):
    mine = {"a": {"deep": 1}}
    client.create("F", client_data=mine)
    client.set_client_data("F", {"b": [1]})
    assert mine == {"a": {"deep": 1}}
    got = client.get_client_data("F")
    assert got == {"a": {"deep": 1}, "b": [1]}
    got["a"]["deep"] = got["c"] = 2
    mine["a"]["deep"] = 3
    client.get_meta("F")["client_data"]["b"].append(2)
    assert client.get_client_data("F") == {"a": {"deep": 1}, "b": [1]}


def test_a_check_adds_nothing_to_conditions(client):
    client.create("F", is_enabled=True)
    client.add_condition("F", Condition(a=1))
    before = copy.deepcopy(client.get_meta("F"))
    for index in range(50):
        client.is_enabled("F", **{f"other{index}": 1, "odd": object()})
    assert client.get_meta("F") == before


def test_conditions_and_bucketer(client):
    client.create("F", is_enabled=True)
    client.set_bucketer("F", PercentageBucketer(0.0))
    assert client.is_enabled("F") is False
    client.set_conditions("F", (each for each in [Condition(plan="pro", age__gte=18), Condition(country__in=["DE"])]))
    assert client.is_enabled("F", plan="pro", age=18, country="DE") is True
    assert client.is_enabled("F", plan="pro", age=17) is False
    assert client.is_enabled("F", country="FR") is False
    assert client.is_enabled("F") is False
    client.set_bucketer("F", PercentageBucketer(LinearRampPercentage(0.8, 0.2, 100, 0)))
    assert client.get_meta("F")["bucketer"]["percentage"]["final_value"] == 0.2


def test_a_variable_with_two_underscores_stays_one(client):
    client.create("F", is_enabled=True)
    client.add_condition("F", Condition.from_dict({"a__b": [{"variable": "a__b", "value": 1, "operator": "gt"}]}))
    client.add_condition("F", Condition(c=1))
    assert client.get_meta("F")["conditions"][0] == {"a__b": [{"variable": "a__b", "value": 1, "operator": "gt"}]}
    assert client.is_enabled("F", a__b=2) is True
    assert client.is_enabled("F", a__b=1) is False


def test_pages_of_flags(client):
    for name in "dbca":
        client.create(name)
    names = lambda **page: [flag.name for flag in client.list(**page)]
    assert names() == ["a", "b", "c", "d"]
    assert names(limit=2, offset=1) == ["b", "c"]
    assert names(limit=0) == [] and names(offset=9) == []


def test_listeners_are_called_around_each_write(client):
    events = []
    from flipper.events import EventType

    for event_type in EventType:
        client.events.on(event_type, lambda *args, t=event_type, **kwargs: events.append((t.value, args, kwargs)))
    condition, bucketer, conditions = Condition(a=1), PercentageBucketer(), [Condition(b=1)]
    client.create("F", client_data={"x": 1})
    client.enable("F")
    client.set_client_data("F", {"y": 2})
    client.add_condition("F", condition)
    client.set_conditions("F", conditions)
    client.set_bucketer("F", bucketer)
    client.disable("F")
    client.destroy("F")
    client.exists("F")
    merged = {"x": 1, "y": 2}
    expected = [
        ("create", ("F",), {"is_enabled": False, "client_data": {"x": 1}}),
        ("enable", ("F",), {}),
        ("set_client_data", ("F", merged), {}),
        ("add_condition", ("F", condition), {}),
        ("set_conditions", ("F", conditions), {}),
        ("set_bucketer", ("F", bucketer), {}),
        ("disable", ("F",), {}),
        ("destroy", ("F",), {}),
    ]
    assert events == [(f"{when}_{verb}", args, kwargs) for verb, args, kwargs in expected for when in ("pre", "post")]
    # The objects themselves, not copies.
    assert events[8][1][1] is conditions and events[10][1][1] is bucketer


def test_what_a_listener_raises_before_a_write_keeps_it_from_happening(client):
    from flipper.events import EventType

    def veto(*args, **kwargs):
        raise PermissionError("no")

    client.create("F")
    for event_type in EventType:
        if event_type.value.startswith("pre"):
            client.events.on(event_type, veto)
    for write in [
        lambda: client.create("F", is_enabled=True),
        lambda: client.enable("F"),
        lambda: client.destroy("F"),
        lambda: client.set_client_data("F", {"a": 1}),
        lambda: client.add_condition("F", Condition(a=1)),
        lambda: client.set_bucketer("F", PercentageBucketer(0.5)),
    ]:
        with pytest.raises(PermissionError):
            write()
    assert client.exists("F") and not client.is_enabled("F")
    meta = client.get_meta("F")
    assert (meta["client_data"], meta["conditions"], meta["bucketer"]) == ({}, [], {"type": "NoOpBucketer"})


def test_a_listener_may_use_the_client(client):
    from flipper.events import EventType

    client.create("F")
    client.create("LOG")
    client.events.on(EventType.PRE_ADD_CONDITION, lambda name, _: client.set_client_data("LOG", {name: "changed"}))
    client.events.on(EventType.POST_ADD_CONDITION, lambda name, _: client.enable(name))
    client.add_condition("F", Condition(a=1))
    assert client.get_client_data("LOG") == {"F": "changed"} and client.is_enabled("F", a=1)


def test_a_store_that_is_python_code_is_called():
    for make in (DictStore, MemorySubclass):
        store = make()
        client = FeatureFlagClient(store)
        client.create("F", is_enabled=True)
        before = copy.copy(store.calls)
        assert client.is_enabled("F") is True
        assert store.calls != before


def test_what_a_store_raises_passes_through():
    class Down(DictStore):
        def get(self, feature_name):
            raise ConnectionError("down")

    client = FeatureFlagClient(Down())
    for call in (lambda: client.is_enabled("F"), lambda: client.enable("F"), lambda: client.exists("F")):
        with pytest.raises(ConnectionError):
            call()


def test_a_method_that_a_test_replaces_is_called():
    store = MemoryFeatureFlagStore()
    client = FeatureFlagClient(store)
    client.create("F")
    store.get = lambda name: FeatureFlagStoreItem(name, True, FeatureFlagStoreMeta(1))
    assert client.is_enabled("F") is True and client.is_enabled("NONE") is True
    other = FeatureFlagClient(store)
    assert other.is_enabled("NONE") is True


def test_another_store_for_a_client():
    client, other = FeatureFlagClient(MemoryFeatureFlagStore()), DictStore()
    other.create("F", is_enabled=True)
    client._store = other
    assert client.is_enabled("F") is True and client.get_meta("F")["created_date"] == 1


def test_clients_of_one_store_share_its_flags():
    store = MemoryFeatureFlagStore()
    first, second = FeatureFlagClient(store), FeatureFlagClient(store)
    first.create("F", is_enabled=True)
    assert second.is_enabled("F") and store.get("F").is_enabled()
    store.set("F", False)
    assert not first.is_enabled("F")


def test_no_update_is_lost():
    client = FeatureFlagClient(MemoryFeatureFlagStore())
    client.create("F")

    def write(worker):
        for index in range(50):
            client.set_client_data("F", {f"{worker}-{index}": 1})
        client.add_condition("F", Condition(**{worker: 1}))

    threads = [threading.Thread(target=write, args=(f"w{worker}",)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    meta = client.get_meta("F")
    assert len(meta["client_data"]) == 400 and len(meta["conditions"]) == 8


def test_what_cannot_be_written():
    client = FeatureFlagClient(MemoryFeatureFlagStore())
    client.create("F")
    with pytest.raises(ValueError):
        client.set_client_data("F", {"a": "x" * 300_000})
    with pytest.raises(exceptions.InvalidInputError):
        client.set_bucketer("F", PercentageBucketer(Percentage(25)))
    with pytest.raises(exceptions.FlipperError):
        client.create("x" * 5000)
    with pytest.raises((TypeError, ValueError)):
        client.set_client_data("F", "ab")
    with pytest.raises(TypeError):
        client.create(5)
    assert client.get_client_data("F") == {} and [flag.name for flag in client.list()] == ["F"]


def test_names_of_any_text():
    client = FeatureFlagClient(MemoryFeatureFlagStore())
    for name in ["", "a/b", "a\nb", "*", "é😀", "x" * 4096]:
        client.create(name, is_enabled=True)
        assert client.is_enabled(name) is True and client.get(name).is_enabled() is True
        client.disable(name)
        client.destroy(name)
    assert not client.exists("\ud800") and client._store.get("\ud800") is None
    with pytest.raises(ValueError):
        client.create("\ud800")


def test_text_that_is_no_flag():
    client = FeatureFlagClient(MemoryFeatureFlagStore())
    client.create("GOOD", is_enabled=True)
    client._flags.put_text("BAD", "{")
    assert client.is_enabled("BAD") is False and client.is_enabled("BAD", default="d", a=object()) == "d"
    assert client.exists("BAD") and client.is_enabled("GOOD")
    with pytest.raises(exceptions.UnreadableFlagError):
        client.enable("BAD")
    client.destroy("BAD")
    assert not client.exists("BAD")


def test_unknown_fields_are_kept(store):
    client = FeatureFlagClient(store)
    text = (
        '{"feature_name": "F", "is_enabled": false, "meta": {"client_data": {}, "created_date": 1, "conditions": [], '
        '"bucketer": {"type": "NoOpBucketer"}, "owner": "me"}, "later": 1}'
    )
    if isinstance(store, DictStore):
        store.texts["F"] = text.encode()
    else:
        store._flags.put_text("F", text)
    client.enable("F")
    client.set_client_data("F", {"a": 1})
    client.add_condition("F", Condition(a=1))
    assert client.get_meta("F")["owner"] == "me"
    if not isinstance(store, DictStore):
        assert b'"later": 1' in store.get("F").serialize()


def test_deny_conditions_and_strict_flags_hold_for_values_of_any_class():
    client = FeatureFlagClient(MemoryFeatureFlagStore())
    check = '{"%s": [{"variable": "%s", "value": "%s", "operator": null}]}'
    text = (
        '{"feature_name": "F", "is_enabled": true, "meta": {"created_date": 1, "conditions": [%s], "deny_conditions": [%s],'
        ' "strict_conditions": %s}}'
    )
    plan, banned = check % ("plan", "plan", "pro"), check % ("country", "country", "XX")
    client._flags.put_text("F", text % (plan, banned, "true"))

    class Text(str):
        """Left to Python."""

    for kind in (str, Text):
        assert client.is_enabled("F", plan=kind("pro")) is True
        assert client.is_enabled("F", plan=kind("pro"), country=kind("XX")) is False
        assert client.is_enabled("F", other=kind("x")) is False
    assert client.is_enabled("F") is False


def test_a_url_names_a_store(tmp_path):
    client = FeatureFlagClient.connect(f"sqlite:{tmp_path / 'flags.db'}")
    client.create("F", is_enabled=True, client_data={"a": 1})
    assert client.is_enabled("F")
    client.set_bucketer("F", PercentageBucketer(0.5))
    with pytest.raises(TypeError):
        client.set_client_data("F", {"a": {1, 2}})
    again = FeatureFlagClient.connect(f"sqlite:{tmp_path / 'flags.db'}")
    assert again.get_client_data("F") == {"a": 1}
    assert FeatureFlagClient.connect("memory:").is_enabled("F") is False
    for url in ["", "ftp://x", "nothing", "memory:x"]:
        with pytest.raises(exceptions.InvalidInputError):
            FeatureFlagClient.connect(url)


def test_one_base_class():
    try:
        FeatureFlagClient(MemoryFeatureFlagStore()).enable("F")
    except exceptions.FlipperError as error:
        assert "'F'" in str(error)
    assert issubclass(FlagDoesNotExistError, StoresError) and issubclass(StoresError, FlagDoesNotExistError)
    for name, each in vars(exceptions).items():
        if isinstance(each, type):
            assert issubclass(each, exceptions.FlipperError), name
    for wrong in (lambda: Condition(a__foo=1), lambda: Condition(a__=1)):
        with pytest.raises(exceptions.FlipperError):
            wrong()


def test_a_subclass_with_its_own_arguments():
    class Client(FeatureFlagClient):
        def __init__(self, prefix, *, store):
            super().__init__(store)
            self.prefix = prefix

    client = Client("x", store=MemoryFeatureFlagStore())
    client.create("F", is_enabled=True)
    assert client.is_enabled("F") and client.prefix == "x"


def test_repr_names_the_store(client):
    assert repr(client).startswith("FeatureFlagClient(")
    assert repr(client.get("F")) == "FeatureFlag('F')"


def test_other_threads_run_while_many_names_are_listed():
    client = FeatureFlagClient(MemoryFeatureFlagStore())
    for number in range(2000):
        client.create(str(number))
    counted, is_over = [0], threading.Event()

    def count():
        while not is_over.is_set():
            counted[0] += 1
            time.sleep(0)

    interval = sys.getswitchinterval()
    counter = threading.Thread(target=count)
    try:
        # So the list itself must let the other thread run.
        sys.setswitchinterval(600)
        counter.start()
        begin, deadline = counted[0], time.monotonic() + 60
        while counted[0] == begin and time.monotonic() < deadline:
            assert len(client._flags.names()) == 2000
        assert counted[0] > begin
    finally:
        sys.setswitchinterval(interval)
        is_over.set()
        counter.join()


def test_a_subinterpreter_is_refused():
    program = """
import flipper
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
other = interpreters.create()
interpreters.run_string(other, "try: import flipper\\nexcept ImportError as error: print(error, flush=True)")
interpreters.destroy(other)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "subinterpreters" in ran.stdout and ran.returncode == 0, ran
