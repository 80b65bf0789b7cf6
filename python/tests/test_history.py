"""Who changed which flag, when and why: in each store that keeps a history, together with the command."""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone

import pytest
from flipper import CachedFeatureFlagStore, Condition, FeatureFlagClient, MemoryFeatureFlagStore, ReplicatedFeatureFlagStore
from flipper.aio import AsyncFeatureFlagClient
from flipper.bucketing import Percentage, PercentageBucketer
from flipper.contrib.redis import RedisFeatureFlagStore
from flipper.contrib.store import AbstractFeatureFlagStore
from flipper.events import EventType, FlipperEventSubscriber, RestoreEventType
from flipper.exceptions import ConflictError, FlipperError, InvalidInputError, UnsupportedError
from flipper.history import Entry, current_cause
from servers import PATIENCE, flipper_program, package, redis_server, wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "redis"])
def url(request, tmp_path):
    if request.param == "memory":
        return "memory:"
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/flags.db"
    server = request.getfixturevalue("server")
    return f"redis://127.0.0.1:{server.port}/0?base_key={tmp_path.name}"


@pytest.fixture
def features(url):
    return FeatureFlagClient.connect(url)


def short(entries):
    return [(entry.verb, entry.actor, entry.reason, entry.source) for entry in entries]


def test_every_write_has_its_entry(features):
    alice = features.as_actor("alice")
    why = alice.because("incident 42")
    start = datetime.now(timezone.utc)
    features.create("F", client_data={"a": 1})
    alice.enable("F")
    why.disable("F")
    alice.set_client_data("F", {"b": 2})
    why.add_condition("F", Condition(plan="pro"))
    alice.set_conditions("F", [])
    why.set_bucketer("F", PercentageBucketer(percentage=Percentage(0.5)))
    features.get("F").enable()
    why.destroy("F")
    entries = [*features.history("F")]
    assert short(entries) == [
        ("destroy", "alice", "incident 42", "program"),
        ("enable", None, None, "program"),
        ("set_bucketer", "alice", "incident 42", "program"),
        ("set_conditions", "alice", None, "program"),
        ("set_conditions", "alice", "incident 42", "program"),
        ("set_client_data", "alice", None, "program"),
        ("disable", "alice", "incident 42", "program"),
        ("enable", "alice", None, "program"),
        ("create", None, None, "program"),
    ]
    assert all(entry.name == "F" and isinstance(entry, Entry) for entry in entries)
    assert len({entry.id for entry in entries}) == len(entries)
    last, first = entries[0], entries[-1]
    assert last.after is None and first.before is None and first.after["meta"]["client_data"] == {"a": 1}
    assert all(newer.before == older.after for newer, older in zip(entries, entries[1:]))
    assert entries[-2].differences() == ({"is_enabled": False}, {"is_enabled": True})
    assert entries[5].differences() == ({"meta": {"client_data": {}}}, {"meta": {"client_data": {"b": 2}}})
    # A second for the clock of a server, which is this machine's.
    assert all(abs(entry.at - start) < timedelta(seconds=PATIENCE) and entry.at.tzinfo is not None for entry in entries)
    assert repr(entries[1]) == "Entry(\"F\", \"enable\", actor=None, source=\"program\")"


def test_the_history_of_all(features):
    for name in "ABC":
        features.as_actor("alice").create(name)
    features.enable("A")
    names = [entry.name for entry in features.history_of_all()]
    assert names == ["A", "C", "B", "A"]
    hour = timedelta(hours=1)
    for since in (hour, datetime.now(timezone.utc) - hour, datetime.now(timezone(hour)) - hour, timedelta.max):
        assert [entry.name for entry in features.history_of_all(since)] == names
    for since in (datetime.now(timezone.utc) + hour, -hour):
        assert [*features.history_of_all(since)] == []
    assert [*features.history("NONE")] == []


def test_it_is_read_in_pages(features):
    features.create("F")
    for number in range(250):
        features.set_client_data("F", {"n": number})
    entries = features.history("F")
    assert next(entries).after["meta"]["client_data"] == {"n": 249}
    # The page is read; what comes then is not in it.
    features.enable("F")
    assert [entry.after["meta"]["client_data"].get("n") for entry in entries] == [*range(248, -1, -1), None]
    assert next(entries, None) is None


def test_restore(features):
    alice = features.as_actor("alice")
    features.create("F", client_data={"a": 1})
    before = features.get_meta("F")
    features.enable("F")
    alice.because("too early").restore("F", next(features.history("F")))
    assert not features.is_enabled("F") and features.get_meta("F") == before
    last = next(features.history("F"))
    assert short([last]) == [("restore", "alice", "too early", "program")]

    features.set_client_data("F", {"b": 2})
    with pytest.raises(ConflictError, match="changed since"):
        features.restore("F", last)
    assert features.get_client_data("F") == {"a": 1, "b": 2}

    features.destroy("F")
    features.get("F").restore(next(features.history("F")))
    assert features.get_client_data("F") == {"a": 1, "b": 2}
    created = [*features.history("F")][-1]
    with pytest.raises(ConflictError):
        features.restore("F", created)
    features.create("G")
    features.get("G").restore(next(features.get("G").history()))
    assert not features.exists("G")


def test_a_flag_that_was_destroyed_and_created_again(features):
    for owner in ("one", "two"):
        features.create("F", client_data={"owner": owner})
        features.destroy("F")
    verbs = [entry.verb for entry in features.history("F")]
    assert verbs == ["destroy", "create", "destroy", "create"]
    destroyed = [*features.history("F")][2]
    with pytest.raises(ConflictError):
        features.create("F")
        features.restore("F", destroyed)


def test_bad_input(features):
    for actor, why in [
        ("", "actor is empty"),
        ("a" * 256, "actor has 256 bytes, more than 255"),
        ("é" * 128, "actor has 256 bytes, more than 255"),
        ("al\nice", "character"),
        ("\ud800", "UTF-8"),
    ]:
        with pytest.raises(InvalidInputError, match=why):
            features.as_actor(actor)
    for reason, why in [("", "reason is empty"), ("x" * (1 << 20), "1048576 bytes, more than 4096"), ("\0", "character"), ("\udfff", "UTF-8")]:
        with pytest.raises(InvalidInputError, match=why):
            features.because(reason)
    for wrong in (None, 7, b"alice", ["alice"]):
        for method in (features.as_actor, features.because):
            with pytest.raises(TypeError, match="is a str"):
                method(wrong)
    features.as_actor("é" * 127).because("x\n" * 2048).create("F")
    entry = next(features.history("F"))
    assert (entry.actor, entry.reason) == ("é" * 127, "x\n" * 2048)

    with pytest.raises(InvalidInputError, match="time zone"):
        features.history_of_all(datetime.now())
    for since in (1.5, "2h"):
        with pytest.raises(TypeError, match="a datetime, or a timedelta"):
            features.history_of_all(since)
    for name in (None, 7, b"F"):
        with pytest.raises(TypeError):
            features.history(name) if name is not None else features.restore(name, entry)
    with pytest.raises(InvalidInputError):
        features.history("\ud800")
    for other in (None, {}, entry.before):
        with pytest.raises(TypeError, match="entry of a history"):
            features.restore("F", other)
    features.create("G")
    with pytest.raises(InvalidInputError, match="of the flag"):
        features.restore("G", entry)
    assert [entry.verb for entry in features.history("G")] == ["create"]


def test_markup_is_text(features):
    features.as_actor("<script>alert(1)</script>").because("'; DROP TABLE flags; --").create("F")
    entry = next(features.history("F"))
    assert (entry.actor, entry.reason) == ("<script>alert(1)</script>", "'; DROP TABLE flags; --")


def test_clients_with_an_actor_are_the_same_client_otherwise(features):
    class Own(FeatureFlagClient):
        pass

    called = []
    own = Own(features._store)
    own.events.on(EventType.PRE_ENABLE, called.append)
    alice = own.as_actor("alice")
    assert type(alice) is Own and alice is not own
    alice.create("F")
    alice.enable("F")
    assert called == ["F"] and own.is_enabled("F") and alice.get("F").is_enabled() and features.is_enabled("F")
    own.disable("F")
    assert short(features.history("F")) == [("disable", None, None, "program"), ("enable", "alice", None, "program"), ("create", "alice", None, "program")]


def test_a_subscriber_that_writes_is_another_writer(features):
    alice = features.as_actor("alice")
    features.create("LOG")
    features.events.on(EventType.PRE_SET_CLIENT_DATA, lambda name, data: name == "F" and features.enable("LOG"))
    alice.create("F")
    alice.set_client_data("F", {"a": 1})
    assert next(features.history("LOG")).actor is None and next(features.history("F")).actor == "alice"


def test_events_of_a_restore(client):
    calls = []

    class Subscriber(FlipperEventSubscriber):
        def on_pre_restore(self, flag_name, entry):
            calls.append(("pre", flag_name, entry.verb, client.is_enabled("F")))

        def on_post_restore(self, flag_name, entry):
            calls.append(("post", flag_name, entry.verb, client.is_enabled("F")))

    class Original:
        """As the original library has it, without the base class."""

    for event in EventType:
        setattr(Original, f"on_{event.value}", lambda *args, **kwargs: None)
    client.create("F")
    client.enable("F")
    subscribers = [Subscriber(), Original()]
    for subscriber in subscribers:
        client.events.register_subscriber(subscriber)
    client.restore("F", next(client.history("F")))
    assert calls == [("pre", "F", "enable", True), ("post", "F", "enable", False)]
    for subscriber in subscribers:
        client.events.remove_subscriber(subscriber)

    def veto(name, entry):
        raise PermissionError(name)

    client.events.on(RestoreEventType.PRE_RESTORE, veto)
    with pytest.raises(PermissionError):
        client.restore("F", next(client.history("F")))
    assert not client.is_enabled("F") and len([*client.history("F")]) == 3


def test_threads(features):
    features.create("F")

    def write(number):
        mine = features.as_actor(f"actor {number}")
        for turn in range(25):
            mine.set_client_data("F", {f"{number}": turn})
            for entry in features.history("F"):
                assert entry.actor in (None, *(f"actor {each}" for each in range(8)))
                break

    failures = []

    def run(number):
        try:
            write(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    entries = [*features.history("F")][::-1]
    assert len(entries) == 201
    # It replays to the flag, and each change is by the one who made it.
    for before, entry in zip(entries, entries[1:]):
        assert entry.before == before.after
        (_, after) = entry.differences()
        assert [f"actor {number}" for number in after["meta"]["client_data"]] == [entry.actor]
    assert entries[-1].after["meta"] == features.get_meta("F")


def test_threads_share_an_iterator(features):
    features.create("F")
    for number in range(300):
        features.set_client_data("F", {"n": number})
    entries, found = features.history("F"), []

    def read():
        found.extend(entry.id for entry in entries)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == 301


def test_asyncio(features):
    async def use():
        client = AsyncFeatureFlagClient(features)
        alice = client.as_actor("alice").because("incident 42")
        flag = await alice.create("F")
        await flag.enable()
        for number in range(150):
            await client.set_client_data("F", {"n": number})
        entries = [entry async for entry in client.history("F")]
        assert short(entries[-2:]) == [("enable", "alice", "incident 42", "program"), ("create", "alice", "incident 42", "program")]
        assert len(entries) == 152 == len([entry async for entry in client.history_of_all(timedelta(hours=1))])
        await alice.restore("F", entries[0])
        await flag.restore([entry async for entry in flag.history()][0])
        assert features.get_client_data("F") == {"n": 149}
        with pytest.raises(ConflictError):
            await flag.restore(entries[-1])
        with pytest.raises(InvalidInputError):
            client.as_actor("")
        with pytest.raises(InvalidInputError):
            async for _ in client.history_of_all(datetime.now()):
                pass
        # In the order in which they began, by both clients.
        await asyncio.gather(*(each.set_client_data("F", {"last": number}) for number, each in enumerate([client, alice] * 20)))
        assert features.get_client_data("F")["last"] == 39

    asyncio.run(asyncio.wait_for(use(), 4 * PATIENCE))


@pytest.mark.parametrize("wrap", [CachedFeatureFlagStore, lambda store: ReplicatedFeatureFlagStore(store, MemoryFeatureFlagStore())])
def test_a_wrapper_passes_it_on(store, wrap):
    features, plain = FeatureFlagClient(wrap(store)), FeatureFlagClient(store)
    alice = features.as_actor("alice")
    alice.create("F")
    alice.enable("F")
    alice.because("why").set_client_data("F", {"a": 1})
    assert [entry.actor for entry in plain.history("F")] == ["alice"] * 3
    assert short(features.history("F")) == short(plain.history("F"))
    assert features.is_enabled("F")
    alice.restore("F", [*features.history("F")][0])
    assert features.get_client_data("F") == {} and len([*features.history_of_all()]) == 4
    alice.destroy("F")
    alice.restore("F", next(features.history("F")))
    assert features.is_enabled("F")


def test_replicas_have_who_too():
    primary, replica = MemoryFeatureFlagStore(), MemoryFeatureFlagStore()
    features = FeatureFlagClient(ReplicatedFeatureFlagStore(primary, replica, replication_timeout=PATIENCE)).as_actor("alice")
    features.create("F")
    features.enable("F")
    assert [entry.actor for entry in FeatureFlagClient(replica).history("F")] == ["alice", "alice"]
    features.restore("F", next(features.history("F")))
    features.restore("F", next(features.history("F")))
    features.destroy("F")
    features.restore("F", next(features.history("F")))
    assert replica.get("F").serialize() == primary.get("F").serialize()


class Audited(MemoryFeatureFlagStore):
    """A store of the program's own."""

    def set(self, feature_name, is_enabled):
        cause = current_cause()
        self.written = cause and (cause.actor, cause.reason)
        super().set(feature_name, is_enabled)


def test_a_store_of_ones_own_finds_the_cause():
    store = Audited()
    features = FeatureFlagClient(store)
    features.create("F")
    features.as_actor("alice").because("why").enable("F")
    assert store.written == ("alice", "why") and current_cause() is None
    features.enable("F")
    assert store.written is None
    assert [entry.actor for entry in features.history("F")] == [None, "alice", None]


class WithoutHistory(AbstractFeatureFlagStore):
    def __init__(self):
        self.flags = MemoryFeatureFlagStore()

    def create(self, *args, **kwargs):
        return self.flags.create(*args, **kwargs)

    def get(self, feature_name):
        return self.flags.get(feature_name)

    def set(self, *args):
        return self.flags.set(*args)

    def delete(self, *args):
        return self.flags.delete(*args)

    def list(self, *args, **kwargs):
        return self.flags.list(*args, **kwargs)

    def set_meta(self, *args):
        return self.flags.set_meta(*args)


@pytest.mark.parametrize("wrap", [lambda store: store, CachedFeatureFlagStore, ReplicatedFeatureFlagStore])
def test_a_store_without_a_history(wrap):
    features = FeatureFlagClient(wrap(WithoutHistory()))
    features.as_actor("alice").create("F")
    assert features.exists("F")
    for read in (lambda: features.history("F"), features.history_of_all):
        with pytest.raises(UnsupportedError, match="keeps no history"):
            read()
    assert issubclass(UnsupportedError, FlipperError)


def test_s3_has_none():
    features = FeatureFlagClient.connect("s3://flags?endpoint=http://127.0.0.1:1", must_arrive=False)
    with pytest.raises(UnsupportedError):
        next(features.history("F"))


def command(url, *arguments, **variables):
    ran = subprocess.run(
        [flipper_program(), "--store", url, *arguments],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        env={**os.environ, "FLIPPER_ACTOR": "bob", **variables},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def shared(url):
    if url == "memory:":
        pytest.skip("no other process sees it")
    return url


def test_with_the_command(shared):
    features = FeatureFlagClient.connect(shared)
    features.as_actor("alice").because("incident 42").create("F")
    features.enable("F")
    lines = [json.loads(line) for line in command(shared, "history", "F", "--json").splitlines()]
    assert [(line["name"], line["verb"], line["actor"], line["reason"], line["source"]) for line in lines] == [
        ("F", "enable", None, None, "program"),
        ("F", "create", "alice", "incident 42", "program"),
    ]
    assert len(command(shared, "history", "--by", "alice").splitlines()) == 1
    command(shared, "disable", "F", "--because", "it was the cache")
    wait_until(lambda: not features.is_enabled("F"), "the change arrives")
    last = next(features.history("F"))
    assert short([last]) == [("disable", "bob", "it was the cache", "command")]
    features.as_actor("alice").restore("F", last)
    command(shared, "undo", "F", "--yes")
    assert [(entry.verb, entry.actor, entry.source) for entry in features.history("F")][:2] == [
        ("restore", "bob", "command"),
        ("restore", "alice", "program"),
    ]


def test_the_shell_of_sqlite_writes_outside(tmp_path):
    path = tmp_path / "flags.db"
    features = FeatureFlagClient.connect(f"sqlite:{path}")
    features.as_actor("alice").create("F")
    # In a process of its own: see "Limits" in the README.
    statement = "UPDATE flags SET record = replace(record, '\"is_enabled\": false', '\"is_enabled\": true')"
    script = f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute({statement!r}); c.commit()"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE)
    entries = [*features.history("F")]
    assert short(entries) == [("enable", None, None, "outside"), ("create", "alice", None, "program")]
    wait_until(lambda: features.is_enabled("F"), "the change arrives")
    features.restore("F", entries[0])
    assert not features.is_enabled("F")


def test_a_redis_client_that_is_called_writes_outside(server):
    """The store calls it for each write, as the original library does: `SET` and `DEL`, and nothing of an actor."""
    redis = package("redis")

    class Called(redis.Redis):
        pass

    base_key = "called"
    features = FeatureFlagClient.connect(f"redis://127.0.0.1:{server.port}/0?base_key={base_key}")
    with Called(port=server.port) as raw:
        called = FeatureFlagClient(RedisFeatureFlagStore(raw, base_key=base_key))
        features.as_actor("alice").create("F")
        called.as_actor("carol").enable("F")
        with pytest.raises(UnsupportedError):
            called.history("F")
    first, second = features.history("F")
    assert short([first, second]) == [("enable", None, None, "outside"), ("create", "alice", None, "program")]
    assert first.differences() == ({"is_enabled": False}, {"is_enabled": True})
    wait_until(lambda: features.is_enabled("F"), "the change arrives")
    features.as_actor("alice").disable("F")
    # Between two entries it is found by what differs.
    assert [(entry.verb, entry.source) for entry in features.history("F")] == [
        ("disable", "program"),
        ("enable", "outside"),
        ("create", "program"),
    ]


def test_a_client_object_that_is_read(server):
    redis = package("redis")
    with redis.Redis(port=server.port) as raw:
        features = FeatureFlagClient(RedisFeatureFlagStore(raw, base_key="read"))
        features.as_actor("alice").create("F")
        assert short(features.history("F")) == [("create", "alice", None, "program")]


def test_forks(features, url):
    features.create("F")
    entries = features.history("F")
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def child():
        try:
            with pytest.raises(RuntimeError, match="process"):
                next(entries)
            features.as_actor("child").enable("F")
            answers.put(next(features.history("F")).actor)
        except BaseException as error:
            answers.put(repr(error))

    process = context.Process(target=child)
    process.start()
    process.join(2 * PATIENCE)
    assert process.exitcode == 0 and answers.get() == "child"
    last = next(features.history("F")).actor
    assert last is None if url == "memory:" else last == "child"


def test_a_clock_that_goes_back(tmp_path):
    path = tmp_path / "flags.db"
    url = f"sqlite:{path}"
    features = FeatureFlagClient.connect(url)
    features.create("F")
    features.enable("F")
    script = f"""
import sqlite3
c = sqlite3.connect({str(path)!r})
c.execute("UPDATE flags_history SET at = at + 7200000 WHERE number = 1")
c.execute("UPDATE flags_history SET at = -1 WHERE number = 2")
c.commit()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE)
    features.disable("F")
    entries = [*features.history("F")]
    assert [entry.verb for entry in entries] == ["disable", "enable", "create"]
    assert entries[1].at == datetime(1970, 1, 1, tzinfo=timezone.utc) and entries[2].at > entries[0].at
    assert [entry.verb for entry in features.history_of_all(timedelta(hours=1))] == ["disable", "create"]
    features.restore("F", entries[0])
    assert features.is_enabled("F")


def test_an_unreadable_flag(store, client):
    client.create("F")
    store._flags.put_text("F", "{")
    client.create("F")
    entries = [*client.history("F")]
    unreadable = next(entry for entry in entries if entry.before and "unreadable" in entry.before)
    assert entries[-1].verb == "create"
    with pytest.raises(FlipperError):
        client.restore("F", unreadable)
