"""Flags in PostgreSQL, with a real server."""

import json
import logging
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time

import pytest
from flipper import CachedFeatureFlagStore, FeatureFlagClient, ReplicatedFeatureFlagStore
from flipper.contrib import comparing
from flipper.contrib._clients import postgresql as connections
from flipper.contrib.postgresql import PostgreSQLFeatureFlagStore, PostgresNotEnabled
from flipper.contrib.storage import FeatureFlagStoreItem, FeatureFlagStoreMeta
from flipper.exceptions import (
    ConflictError,
    FlipperError,
    InvalidInputError,
    StoreUnavailableError,
    UnauthorizedError,
    UnreadableFlagError,
)
from every_store import refuse, use
from servers import ROOT, free_port, missing, package, pgbouncer, postgresql_server, wait_until

psycopg = package("psycopg")


@pytest.fixture(scope="module")
def server():
    with postgresql_server() as server:
        yield server


@pytest.fixture
def raw(server):
    """A connection, for what other programs do."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def table(request, raw):
    name = request.node.name[:50]
    yield name
    raw.execute(f'DROP TABLE IF EXISTS "{name}"')


@pytest.fixture
def store(server, table):
    return PostgreSQLFeatureFlagStore(server.url(), table)


def text_of(raw, table, name="F"):
    (text,) = raw.execute(f'SELECT item FROM "{table}" WHERE name = %s', [name]).fetchone()
    return bytes(text)


def test_what_every_store_does(store):
    use(store)


def test_the_table_and_text_are_those_of_the_original(store, raw, table):
    store.create("F", is_enabled=True, client_data={"é": 1.0})
    meta = '{"client_data": {"\\u00e9": 1.0}, "created_date": %d, "conditions": [], "bucketer": {"type": "NoOpBucketer"}}'
    created = store.get("F").meta["created_date"]
    assert text_of(raw, table).decode() == f'{{"feature_name": "F", "is_enabled": true, "meta": {meta % created}}}'
    columns = "SELECT column_name, data_type, character_maximum_length, is_nullable FROM information_schema.columns"
    assert raw.execute(f"{columns} WHERE table_name = %s ORDER BY ordinal_position", [table]).fetchall() == [
        ("name", "character varying", 40, "NO"),
        ("item", "bytea", None, "NO"),
    ]


def test_names_of_table_and_columns_are_quoted(server, raw):
    store = PostgreSQLFeatureFlagStore(server.url(), 'a.b "c"', "the name", 'the "item"')
    store.create("F")
    store.set("F", True)
    assert raw.execute('SELECT "the name" FROM "a.b ""c"""').fetchall() == [("F",)] and [*store.list()] != []


def test_a_table_is_created_only_if_it_is_missing(server, raw, table):
    store = PostgreSQLFeatureFlagStore(server.url(), table, run_migrations=False)
    with pytest.raises(psycopg.errors.UndefinedTable):
        store.get("F")
    raw.execute("CREATE ROLE visitor LOGIN PASSWORD 'visitor'")
    raw.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    visitor = server.url(user="visitor", password="visitor")
    with pytest.raises(UnauthorizedError):
        PostgreSQLFeatureFlagStore(visitor, table)
    store.run_migrations()
    store.create("F", is_enabled=True)
    raw.execute(f'GRANT SELECT ON "{table}" TO visitor')
    reader = PostgreSQLFeatureFlagStore(visitor, table)
    assert FeatureFlagClient(reader).is_enabled("F")
    for write in (lambda: reader.set("F", False), lambda: reader.create("G"), lambda: reader.delete("F")):
        with pytest.raises(UnauthorizedError):
            write()
    raw.execute(f'REVOKE SELECT ON "{table}" FROM visitor')
    with pytest.raises(UnauthorizedError):
        reader.get("F")
    raw.execute("DROP ROLE visitor")


def test_many_create_the_table_at_once(server, table):
    failures = in_threads(12, lambda _: PostgreSQLFeatureFlagStore(server.url(), table))
    assert failures == []


def in_threads(number, work):
    failures = []

    def run(index):
        try:
            work(index)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_lists_are_ordered_by_code_point(server, raw, table):
    raw.execute(f'CREATE TABLE "{table}" (name varchar(40) COLLATE "en-x-icu" PRIMARY KEY, item bytea NOT NULL)')
    store = PostgreSQLFeatureFlagStore(server.url(), table)
    names = sorted(["b", "a", "B", "_", "é", "10", "9", "\U0001f600", "\uffff"])
    for name in reversed(names):
        store.create(name)
    assert [item.feature_name for item in store.list()] == names
    assert [item.feature_name for item in store.list(limit=2, offset=3)] == names[3:5]
    assert [*store.list(limit=0)] == []
    with pytest.raises(InvalidInputError):
        [*store.list(limit=-1)]


def test_names(store, raw, table):
    for name in ("", "é" * 40, "a/b", "x\ny", "%s $1 {}", "trailing "):
        store.create(name, is_enabled=True)
        assert store.get(name).is_enabled() and text_of(raw, table, name) == store.get(name).serialize()
    names = ("x" * 41, "x" * 40 + " ", "a\0b", "\ud800")
    refuse(store, names)
    for name in names:
        store.delete(name)
    with pytest.raises(psycopg.errors.StringDataRightTruncation, match='41 characters, more than the column "name" takes'):
        store.create("x" * 41)


def test_a_wider_column_takes_longer_names(store, raw, table):
    raw.execute(f'ALTER TABLE "{table}" ALTER name TYPE text')
    store.create("x" * 300)
    store.set("x" * 300, True)
    assert store.get("x" * 300).is_enabled()


def test_rows_that_are_no_flags(store, raw, table, caplog):
    client = FeatureFlagClient(store)
    client.create("F", is_enabled=True)
    for name, text in (("BROKEN", b"{"), ("EMPTY", b""), ("LATIN", b"\xff"), ("LIST", b"[]"), ("NEWER", b'{"feature_name": "NEWER"}')):
        raw.execute(f'INSERT INTO "{table}" VALUES (%s, %s)', [name, text])
    assert [flag.name for flag in client.list()] == ["F"]
    assert caplog.text.count("is no flag") == 5
    assert client.is_enabled("BROKEN", default="default") == "default"
    for read in (lambda: store.get("BROKEN"), lambda: client.set_client_data("BROKEN", {}), lambda: store.set("BROKEN", True)):
        with pytest.raises(UnreadableFlagError):
            read()
    assert text_of(raw, table, "BROKEN") == b"{"
    client.create("BROKEN")
    assert client.exists("BROKEN")


def test_fields_of_newer_versions_are_kept(store, raw, table):
    fields = FeatureFlagStoreItem("F", False, FeatureFlagStoreMeta(1)).to_dict()
    fields["added"], fields["meta"]["added"] = 1, 2
    raw.execute(f'INSERT INTO "{table}" VALUES (%s, %s)', ["F", json.dumps(fields).encode()])
    client = FeatureFlagClient(store)
    client.enable("F")
    client.set_client_data("F", {"a": 1})
    stored = json.loads(text_of(raw, table))
    assert (stored["is_enabled"], stored["added"], stored["meta"]["added"]) == (True, 1, 2)


# Writers


def merge(url, table, index, number):
    client = FeatureFlagClient(PostgreSQLFeatureFlagStore(url, table))
    for each in range(number):
        client.set_client_data("F", {f"{index}-{each}": 1})


ORIGINAL = """
import itertools, os, sys
from flipper import FeatureFlagClient, PostgreSQLFeatureFlagStore
url, table = sys.argv[1:]
client = FeatureFlagClient(PostgreSQLFeatureFlagStore(url, table))
print("ready", flush=True)
for number in itertools.count():
    client.create("ORIGINAL", is_enabled=number % 2 == 0, client_data={"n": number})
    client.set_client_data("ORIGINAL", {"m": number})
"""


@pytest.fixture
def original(server, table, tmp_path):
    """The original library, which writes another flag all the time."""
    python = ROOT / ".cache/python/bin/python"
    if not python.exists() or subprocess.run([python, "-c", "import psycopg"], capture_output=True, check=False).returncode:
        missing("the original library", "scripts/setup installs it into .cache/python")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    writer = [python, "-c", ORIGINAL, server.url(), table]
    with subprocess.Popen(writer, stdout=subprocess.PIPE, cwd=tmp_path, env=environment, text=True) as running:
        assert running.stdout.readline() == "ready\n"
        yield running
        running.kill()


def test_no_change_of_eight_processes_is_lost(server, store, table, original):
    store.create("F")
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=merge, args=(server.url(), table, index, 200)) for index in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 8
    assert len(store.get("F").meta["client_data"]) == 1600
    assert original.poll() is None and FeatureFlagClient(store).get_client_data("ORIGINAL")["n"] > 0


@pytest.mark.parametrize("layer", ["bare", "cached", "replicated"])
def test_no_change_of_eight_threads_is_lost(server, store, table, layer):
    def client():
        own = PostgreSQLFeatureFlagStore(server.url(), table)
        if layer == "bare":
            return FeatureFlagClient(own)
        layered = CachedFeatureFlagStore(own) if layer == "cached" else ReplicatedFeatureFlagStore(own)
        assert layered.get("F") is not None
        return FeatureFlagClient(layered)

    store.create("F")
    clients = [client() for _ in range(8)]

    def work(index):
        for number in range(20):
            clients[index].set_client_data("F", {f"{index}-{number}": 1})
            clients[index].disable("F") if number % 2 else clients[index].enable("F")

    assert in_threads(8, work) == []
    assert len(store.get("F").meta["client_data"]) == 160


def test_one_flag_is_created_by_two_at_once(store):
    assert in_threads(8, lambda index: store.set("F", True)) == []
    assert store.get("F").is_enabled()


def test_a_change_between_read_and_write_is_kept(store):
    store.create("F")
    client, other, announced = FeatureFlagClient(store), FeatureFlagClient(store), []

    class Subscriber:
        def on_pre_set_client_data(self, *args, **kwargs):
            announced.append(args)
            other.enable("F")
            other.set_client_data("F", {"other": 1})

    from flipper.events import FlipperEventSubscriber

    client.events.register_subscriber(type("Sub", (Subscriber, FlipperEventSubscriber), {})())
    client.set_client_data("F", {"own": 1})
    assert client.get_client_data("F") == {"own": 1, "other": 1} and client.is_enabled("F") and len(announced) == 1


def test_methods_that_a_subclass_replaces_are_called(server, table):
    class Audited(PostgreSQLFeatureFlagStore):
        seen = ()

        def set_meta(self, feature_name, meta):
            self.seen += (feature_name,)
            super().set_meta(feature_name, meta)

    store = Audited(server.url(), table)
    for layered in (store, CachedFeatureFlagStore(store), ReplicatedFeatureFlagStore(store)):
        client = FeatureFlagClient(layered)
        client.create("F")
        client.set_client_data("F", {"a": 1})
        assert client.get_client_data("F") == {"a": 1}
    assert store.seen == ("F",) * 3


def test_a_transaction_that_loses_against_another_is_repeated(server, store, table, raw):
    store.create("F")
    serializable = PostgreSQLFeatureFlagStore(f"{server.url()}?options=-cdefault_transaction_isolation%3Dserializable", table)
    stores = [store, serializable]

    def work(index):
        for number in range(20):
            FeatureFlagClient(stores[index % 2]).set_client_data("F", {f"{index}-{number}": 1})

    assert in_threads(4, work) == []
    assert len(store.get("F").meta["client_data"]) == 80


def test_a_write_ends_that_others_always_outrun(store, monkeypatch):
    monkeypatch.setattr(comparing, "PATIENCE", 0.05)
    monkeypatch.setattr(store, "_replace", lambda *arguments: False)
    store.create("F")
    for write in (lambda: store.set("F", True), lambda: FeatureFlagClient(store).set_client_data("F", {"a": 1})):
        with pytest.raises(ConflictError):
            write()


# Faults


def test_a_server_that_is_lost_and_comes_back(tmp_path, caplog):
    with postgresql_server() as server:
        store = PostgreSQLFeatureFlagStore(server.url())
        client, cached = FeatureFlagClient(store), FeatureFlagClient(CachedFeatureFlagStore(store, ttl=-1))
        client.create("F", is_enabled=True)
        assert cached.is_enabled("F")
        server.crash()
        for call in (lambda: client.is_enabled("F"), lambda: client.enable("F"), lambda: PostgreSQLFeatureFlagStore(server.url())):
            with pytest.raises(StoreUnavailableError) as caught:
                call()
            # As with the original, for programs that catch the driver's errors.
            assert isinstance(caught.value, psycopg.OperationalError)
            assert "s3cr3t" not in str(caught.value) + repr(caught.value) and caught.value.__cause__ is None
        assert cached.is_enabled("F")
        with pytest.raises(StoreUnavailableError):
            cached.is_enabled("OTHER")
        server.start()
        # The first call finds the connection closed, and opens another.
        client.disable("F")
        assert not client.is_enabled("F") and not cached.is_enabled("F")


def test_a_server_that_does_not_answer(server, table):
    store = PostgreSQLFeatureFlagStore(server.url(), table, timeout=0.5)
    cached = FeatureFlagClient(CachedFeatureFlagStore(store, ttl=-1))
    cached.create("F", is_enabled=True)
    with server.frozen():
        # The elapsed time is the very thing under test.
        begin = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="has not answered for 0.5 s"):
            store.set("F", False)
        with pytest.raises(StoreUnavailableError):
            store.get("F")
        assert cached.is_enabled("F")
        assert time.monotonic() - begin < 20
    store.set("F", False)
    assert not store.get("F").is_enabled()


def test_a_lock_that_another_holds_is_not_waited_for_long(server, raw, table):
    store = PostgreSQLFeatureFlagStore(server.url(), table, timeout=0.5)
    store.create("F")
    with raw.transaction():
        raw.execute(f'LOCK TABLE "{table}"')
        failures = in_threads(12, lambda _: store.get("F"))
        assert len(failures) == 12 and all(isinstance(failure, StoreUnavailableError) for failure in failures)
    assert store.get("F") is not None


def test_threads_share_few_connections(server, store, raw, table):
    store.create("F", is_enabled=True)
    assert in_threads(40, lambda _: [store.get("F") for _ in range(10)]) == []
    assert connections_of(raw, table) <= connections.MAX_CONNECTIONS


def connections_of(raw, table):
    listed = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE %s AND pid != pg_backend_pid()"
    return raw.execute(listed, [f'%"{table}"%']).fetchone()[0]


def test_connections_are_closed_with_the_store(server, store, raw, table):
    store.create("F", is_enabled=True)
    other = PostgreSQLFeatureFlagStore(server.url(), table)
    assert other.get("F").is_enabled()
    assert connections_of(raw, table) == 2
    store.close()
    del other
    wait_until(lambda: connections_of(raw, table) == 0)
    assert store.get("F").is_enabled()


def test_a_child_process_has_connections_of_its_own(store):
    store.create("F", is_enabled=True)
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()

    def backend():
        return store._server.run("SELECT pg_backend_pid()::text").get_value(0, 0)

    def child():
        results.put((backend(), store.get("F").is_enabled()))

    children = [fork.Process(target=child) for _ in range(4)]
    own = backend()
    for process in children:
        process.start()
    answers = [results.get(timeout=60) for _ in children]
    for process in children:
        process.join()
    assert len({own, *(backend for backend, _ in answers)}) == 5 and all(is_enabled for _, is_enabled in answers)
    # That of this process was not closed by them.
    assert backend() == own and store.get("F").is_enabled()


def test_a_pool_that_changes_connections(server, table):
    with pgbouncer(server) as port:
        url = server.url(port)
        PostgreSQLFeatureFlagStore(url, table).create("F")
        stores = [PostgreSQLFeatureFlagStore(url, table) for _ in range(6)]

        def work(index):
            name = f"OWN-{index}"
            stores[index].create(name)
            for number in range(15):
                FeatureFlagClient(stores[index]).set_client_data("F", {f"{index}-{number}": 1})
                stores[index].set(name, number % 2 == 0)
                assert stores[index].get(name).feature_name == name

        assert in_threads(6, work) == []
        assert len(stores[0].get("F").meta["client_data"]) == 90


@pytest.mark.parametrize(
    "conninfo",
    ["nonsense s3cr3t", "postgresql://u:p@s3cr3t@h/d", "postgresql://u:p/s3cr3t@h/d", "port=s3cr3t"],
)
def test_connection_strings_that_cannot_be_read(conninfo):
    with pytest.raises(InvalidInputError) as caught:
        PostgreSQLFeatureFlagStore(conninfo)
    assert isinstance(caught.value, psycopg.Error) and "s3cr3t" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_wrong_arguments(server, table):
    for arguments in ((None,), (b"",), (server.url(), 1), (server.url(), table, None)):
        with pytest.raises(TypeError):
            PostgreSQLFeatureFlagStore(*arguments)
    with pytest.raises(UnauthorizedError):
        PostgreSQLFeatureFlagStore(server.url(password="wrong"))
    with pytest.raises(StoreUnavailableError):
        PostgreSQLFeatureFlagStore(f"postgresql://127.0.0.1:{free_port()}/d", timeout=2)
    # Without the table's creation nothing is asked.
    PostgreSQLFeatureFlagStore(f"postgresql://127.0.0.1:{free_port()}/d", run_migrations=False)


def test_without_the_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(PostgresNotEnabled, match="psycopg"):
        PostgreSQLFeatureFlagStore("postgresql://h/d")


def test_errors_pass_between_processes(store):
    with pytest.raises(FlipperError) as caught:
        store.create("x" * 41)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is InvalidInputError and str(copy) == str(caught.value)


def test_no_password_is_shown(server, store, caplog):
    caplog.set_level(logging.DEBUG)
    store.create("F")
    assert "s3cr3t" not in repr(store) + repr(FeatureFlagClient(CachedFeatureFlagStore(store))) + caplog.text


def test_a_parameter_that_changes_is_no_failure(server, store, raw):
    store.create("F", is_enabled=True)
    raw.execute("ALTER SYSTEM SET TimeZone = 'Asia/Tokyo'")
    raw.execute("SELECT pg_reload_conf()")
    wait_until(lambda: raw.execute("SHOW TimeZone").fetchone() == ("Asia/Tokyo",))
    assert store.get("F").is_enabled()
    raw.execute("ALTER SYSTEM RESET TimeZone")
