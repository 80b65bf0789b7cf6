"""Forked processes: each follows the flags, checks without waiting, and writes, over connections of its own."""

import concurrent.futures
import contextlib
import copy
import json
import multiprocessing
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
import uuid
from pathlib import Path

import pytest
from flipper import (
    CachedFeatureFlagStore,
    FeatureFlagClient,
    MemoryFeatureFlagStore,
    RedisFeatureFlagStore,
    ReplicatedFeatureFlagStore,
)
from flipper.events import EventType
from servers import (
    PATIENCE,
    consul_agent,
    flipper_serve,
    free_port,
    missing,
    new_bucket,
    package,
    postgresql_server,
    process,
    redis_server,
    s3_client,
    seaweedfs,
    wait_until,
)

redis = package("redis")

if not hasattr(os, "fork"):
    pytest.skip("this system has no forks", allow_module_level=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def url(server):
    return f"redis://127.0.0.1:{server.port}?base_key={uuid.uuid4()}"


@pytest.fixture(params=["redis", "redis client", "consul", "thrift", "http", "sqlite", "postgresql", "s3"])
def clients(request, tmp_path, monkeypatch):
    """Two clients of one store, of which one is for the program that forks."""
    with contextlib.ExitStack() as stack:
        match request.param:
            case "redis":
                url = request.getfixturevalue("url")
            case "redis client":
                server = request.getfixturevalue("server")
                base_key = str(uuid.uuid4())
                made = [RedisFeatureFlagStore(redis.Redis(port=server.port), base_key) for _ in range(2)]
                yield [FeatureFlagClient(store) for store in made]
                return
            case "consul":
                url = f"consul://127.0.0.1:{stack.enter_context(consul_agent(tmp_path)).port}"
            case "thrift":
                url = f"thrift://127.0.0.1:{stack.enter_context(flipper_serve(tmp_path))}"
            case "http":
                url = f"http://127.0.0.1:{stack.enter_context(flipper_serve(tmp_path, door='http'))}"
            case "sqlite":
                url = f"sqlite:{tmp_path}/flags.db"
            case "postgresql":
                url = stack.enter_context(postgresql_server()).url()
            case "s3":
                place = stack.enter_context(seaweedfs(tmp_path))
                bucket = new_bucket(s3_client(place.port))
                monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
                monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", place.secret)
                # Under a prefix the others hear of a write within a second.
                url = f"s3://{bucket}/flags?region=us-east-1&endpoint=http://127.0.0.1:{place.port}"
        yield [FeatureFlagClient.connect(url) for _ in range(2)]


class Child:
    """A forked process, and what it reports, line by line."""

    def __init__(self, work):
        reader, writer = os.pipe()
        self._id = os.fork()
        if self._id == 0:
            # It must not return to the test, whatever happens.
            try:
                signal.alarm(PATIENCE)
                os.close(reader)
                work(lambda value: os.write(writer, (json.dumps(value) + "\n").encode()))
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(writer)
        self._reader = reader
        self._text = b""

    def next(self):
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._text:
            assert select.select([self._reader], [], [], max(0, deadline - time.monotonic()))[0], "the child hangs"
            part = os.read(self._reader, 4096)
            assert part, "the child ended"
            self._text += part
        line, self._text = self._text.split(b"\n", 1)
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        ended = (0, 0)

        def is_over():
            nonlocal ended
            ended = os.waitpid(self._id, os.WNOHANG)
            return ended[0] != 0

        try:
            wait_until(is_over, "the end of the child")
        except AssertionError:
            os.kill(self._id, signal.SIGKILL)
            os.waitpid(self._id, 0)
            raise
        finally:
            os.close(self._reader)
        assert os.waitstatus_to_exitcode(ended[1]) == 0


def when(condition):
    """The time when it comes about, on the clock that all processes share."""
    wait_until(condition)
    return time.monotonic()


# The limits of time below are what is promised: a check waits for nothing, and a flip arrives within a second.
def test_a_child_follows_and_writes(clients, request):
    client, other = clients
    client.create("F")
    client.create("G")
    wait_until(lambda: other.exists("G"))

    def work(report):
        begin = time.monotonic()
        report([client.is_enabled("F"), client.get("G").is_enabled(default=True), time.monotonic() - begin])
        report(when(lambda: client.is_enabled("F")))
        client.enable("G")
        report(client.is_enabled("G"))
        client.create("NEW", client_data={"a": 1})
        client.set_client_data("NEW", {"b": 2})
        report(client.get_client_data("NEW"))

    with Child(work) as child:
        first, second, took = child.next()
        assert (first, second) == (False, False) and took < 0.1
        flipped = time.monotonic()
        other.enable("F")
        polled = request.node.callspec.params["clients"] in ("postgresql", "s3")
        assert child.next() - flipped < (PATIENCE if polled else 1)
        assert child.next() is True
        wait_until(lambda: client.is_enabled("G") and other.is_enabled("G"))
        assert child.next() == {"a": 1, "b": 2}
        wait_until(lambda: client.exists("NEW") and client.get_client_data("NEW") == {"a": 1, "b": 2})
    # The parent's own connections are as they were.
    client.disable("F")
    wait_until(lambda: not other.is_enabled("F"))
    other.disable("G")
    wait_until(lambda: not client.is_enabled("G"))


def test_children_of_children(url):
    client = FeatureFlagClient.connect(url)
    client.create("F")

    def grandchild(report):
        report(client.is_enabled("F"))
        client.enable("F")

    def child(report):
        # The middle one asks nothing before it forks.
        with Child(grandchild) as grand:
            report(grand.next())
        report(when(lambda: client.is_enabled("F")))

    with Child(child) as running:
        assert running.next() is False
        running.next()
    wait_until(lambda: client.is_enabled("F"))


def test_a_client_that_is_closed_stays_closed(url):
    client = FeatureFlagClient.connect(url)
    client.create("F", is_enabled=True)
    client._flags.close()

    def work(report):
        report(client.is_enabled("F"))
        with pytest.raises(Exception, match="closed"):
            client.disable("F")

    with Child(work) as child:
        assert child.next() is True


def test_the_memory_store_is_each_processs_own():
    client = FeatureFlagClient(MemoryFeatureFlagStore())
    client.create("F")

    def work(report):
        client.enable("F")
        report([client.is_enabled("F"), client.get("F").is_enabled()])

    with Child(work) as child:
        assert child.next() == [True, True]
    assert not client.is_enabled("F")


def test_a_child_whose_server_is_away_checks_what_it_inherited(tmp_path):
    port = free_port()
    with redis_server(tmp_path, port=port):
        client = FeatureFlagClient.connect(f"redis://127.0.0.1:{port}")
        client.create("F", is_enabled=True)

    def work(report):
        report(client.is_enabled("F"))
        wait_until(lambda: "connect" in (client._flags.trouble or "").lower())
        report(client.is_enabled("F"))
        report(when(lambda: client.exists("AFTER")))

    with Child(work) as child:
        assert child.next() is True and child.next() is True
        with redis_server(tmp_path, port=port):
            FeatureFlagClient.connect(f"redis://127.0.0.1:{port}").create("AFTER")
            child.next()


def test_a_lock_that_is_held_during_the_fork():
    cached = CachedFeatureFlagStore(MemoryFeatureFlagStore())
    replicated = ReplicatedFeatureFlagStore(MemoryFeatureFlagStore(), MemoryFeatureFlagStore())

    def work(report):
        for store in (cached, replicated):
            client = FeatureFlagClient(store)
            client.create("F", is_enabled=True)
            report(client.is_enabled("F"))

    with cached._cache._lock, replicated._replicas[0]._lock, Child(work) as child:
        assert child.next() and child.next()


def test_a_fork_in_the_middle_of_a_write(url):
    """As by a listener. It is the parent's write, and the child may write again."""
    client = FeatureFlagClient.connect(url)
    client.create("F")
    children = []

    def listener(*_):
        children.append(os.fork())

    client.events.on(EventType.PRE_SET_CLIENT_DATA, listener)
    try:
        client.set_client_data("F", {"a": 1})
        raised = False
    except RuntimeError:
        raised = True
    if children == [0]:
        try:
            signal.alarm(PATIENCE)
            client.events.remove_listener(EventType.PRE_SET_CLIENT_DATA, listener)
            client.set_client_data("F", {"b": 2})
            os._exit(0 if raised else 2)
        finally:
            os._exit(1)
    assert not raised and os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    wait_until(lambda: client.get_client_data("F") == {"a": 1, "b": 2})


def test_a_server_sees_no_goodbye(server, url):
    raw = redis.Redis(port=server.port)
    before = {each["id"] for each in raw.client_list()}
    client = FeatureFlagClient.connect(url)
    client.create("F")
    connections = {each["id"] for each in raw.client_list()} - before

    def work(report):
        nonlocal client
        client.enable("F")
        del client
        report(True)

    with Child(work) as child:
        child.next()
    wait_until(lambda: client.is_enabled("F"))
    assert connections and connections <= {each["id"] for each in raw.client_list()}


# SQLite writes to the disk each time.
@pytest.mark.parametrize("store, flips", [("redis", 1000), ("sqlite", 200)])
def test_flips_and_forks_beside_writers(request, tmp_path, store, flips):
    file = tmp_path / "flags.db"
    client = FeatureFlagClient.connect(request.getfixturevalue("url") if store == "redis" else f"sqlite:{file}")
    for name in ("F", "W0", "W1"):
        client.create(name)
    ends, counts, failures = threading.Event(), [0, 0], []

    def write(index):
        try:
            while not ends.is_set():
                client.set_client_data(f"W{index}", {str(counts[index] % 50): counts[index]})
                counts[index] += 1
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(index,), daemon=True) for index in range(2)]
    for writer in writers:
        writer.start()
    children = 0
    for number in range(flips):
        is_on = number % 2 == 0
        (client.enable if is_on else client.disable)("F")
        assert client.is_enabled("F") is is_on
        if number % (flips // 40):
            continue

        def work(report, name=f"C{children}", is_on=is_on):
            report(client.is_enabled("F"))
            client.create(name, is_enabled=is_on)
            report(client.is_enabled(name))

        with Child(work) as child:
            # The one flip before it, or what it has read since.
            assert child.next() is is_on and child.next() is is_on
        children += 1
    ends.set()
    for writer in writers:
        writer.join(PATIENCE)
    assert not failures and not any(writer.is_alive() for writer in writers)
    assert children == 40 and all(counts)
    wait_until(lambda: all(client.exists(f"C{number}") for number in range(children)))
    for index, count in enumerate(counts):
        assert max(client.get_client_data(f"W{index}").values()) == count - 1
    if store == "sqlite":
        # In a process of its own: two SQLites in one process take each other's locks.
        check = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check'))"
        assert subprocess.check_output([sys.executable, "-c", check, file], text=True) == "('ok',)\n"


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="this system does not list its locks")
def test_a_child_has_locks_of_its_own_on_the_file(tmp_path):
    """SQLite would take those of the parent for its own, of which a child has none."""
    file = tmp_path / "flags.db"
    client = FeatureFlagClient.connect(f"sqlite:{file}")
    client.create("F")

    def work(report):
        client.enable("F")
        report(os.getpid())
        wait_until(lambda: client.exists("DONE"))

    with Child(work) as child:
        holder = str(child.next())
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        inodes = {str(Path(f"{file}{suffix}").stat().st_ino) for suffix in ("", "-shm")}
        held = {place.rsplit(":", 1)[1] for *_, pid, place, _, _ in locks if pid == holder}
        client.create("DONE")
    assert inodes <= held


INHERITED = []


def in_a_process(url, names):
    """Runs by `multiprocessing`: a forked process has the client, another one makes it."""
    signal.alarm(PATIENCE)
    client = INHERITED[0] if INHERITED else FeatureFlagClient.connect(url)
    wait_until(lambda: client.is_enabled("F"))
    for name in names:
        client.enable(name)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(url, method):
    client = FeatureFlagClient.connect(url)
    for name in ("F", "A", "B"):
        client.create(name)
    context = multiprocessing.get_context(method)
    INHERITED[:] = [client]
    try:
        workers = [context.Process(target=in_a_process, args=(url, [name, "B"])) for name in ("A", "B")]
        for worker in workers:
            worker.start()
    finally:
        INHERITED.clear()
    client.enable("F")
    for worker in workers:
        worker.join(PATIENCE)
        assert worker.exitcode == 0
    wait_until(lambda: client.is_enabled("A") and client.is_enabled("B"))


APPLICATION = """
import json, os
from flipper import FeatureFlagClient
client = FeatureFlagClient.connect(os.environ["FLAGS"])
made_in = os.getpid()

def application(environ, start_response):
    verb, name = environ["PATH_INFO"].strip("/").split("/")
    answer = client.is_enabled(name) if verb == "check" else client.enable(name)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([made_in == os.getpid(), os.getpid(), answer]).encode()]
"""

GUNICORN = [sys.executable, "-m", "gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "application"]
UWSGI = [str(Path(sys.executable).parent / "uwsgi"), "--master", "--processes", "2", "--http-socket", "127.0.0.1:{port}"]
UWSGI += ["--wsgi-file", "application.py", "--home", sys.prefix, "--die-on-term"]


def end_group(running):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "command, forks_after",
    [
        (GUNICORN, False),
        ([*GUNICORN, "--preload"], True),
        (UWSGI, True),
        ([*UWSGI, "--enable-threads"], True),
    ],
    ids=["gunicorn", "gunicorn --preload", "uwsgi", "uwsgi --enable-threads"],
)
def test_web_servers(url, tmp_path, command, forks_after):
    if command[:2] == UWSGI[:2]:
        if not Path(UWSGI[0]).exists():
            missing("uwsgi", "the package pyuwsgi is not installed")
    else:
        package("gunicorn")
    (tmp_path / "application.py").write_text(APPLICATION)
    client = FeatureFlagClient.connect(url)
    for name in ("F", "A"):
        client.create(name)
    port = free_port()
    log = tmp_path / "server.log"

    def ask(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=PATIENCE) as answer:
            return json.load(answer)

    with contextlib.ExitStack() as stack:
        threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor(8))
        command = [part.format(port=port) for part in command]
        environment = {**os.environ, "FLAGS": url}
        running = stack.enter_context(
            process(command, log, cwd=tmp_path, env=environment, start_new_session=True)
        )
        # Of all its processes.
        stack.callback(end_group, running)

        def answers(path):
            """Of both workers, each by its process."""
            found = {}

            def both():
                assert running.poll() is None, log.read_text()
                with contextlib.suppress(OSError):
                    for is_maker, worker, answer in threads.map(lambda _: ask(path), range(8)):
                        assert is_maker is not forks_after, "it is not made where it should be"
                        found[worker] = answer
                return len(found) == 2

            wait_until(both, f"an answer of both workers to {path}")
            return found

        assert [*answers("check/F").values()] == [False, False]
        flipped = time.monotonic()
        client.enable("F")
        assert when(lambda: all(answers("check/F").values())) - flipped < 1
        answers("enable/A")
        wait_until(lambda: client.is_enabled("A"))
        client.disable("A")
        answers("enable/A")
        wait_until(lambda: client.is_enabled("A"))
        running.terminate()
        running.wait(PATIENCE)
    assert "Traceback" not in log.read_text(), log.read_text()


EXITS = """
import sys, threading
from flipper import FeatureFlagClient
from flipper.events import EventType

client = FeatureFlagClient.connect(sys.argv[1])
client.create("F")
client.create("G")

def check():
    flag = client.get("F")
    while True:
        client.is_enabled("F", plan="pro")
        client.is_enabled("F", plan=object())
        flag.is_enabled()

def write():
    while True:
        client.enable("G")
        client.set_client_data("F", {"a": 1})

begun = threading.Event()
client.events.on(EventType.PRE_ENABLE, lambda name: begun.set() or sum(range(1000)))
for work in (check, check, write, write):
    threading.Thread(target=work, daemon=True).start()
assert begun.wait(30)
"""


@pytest.mark.parametrize("round", range(5))
def test_an_interpreter_that_ends(url, tmp_path, round):
    ended = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", EXITS, url], capture_output=True, timeout=PATIENCE, text=True
    )
    assert (ended.returncode, ended.stderr, ended.stdout) == (0, "", "")


def test_a_child_that_ends_at_once(url):
    """Its background work begins while it ends."""
    client = FeatureFlagClient.connect(url)
    client.create("F")
    for _ in range(20):
        with Child(lambda report: report(client.is_enabled("F"))) as child:
            assert child.next() is False


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.deepcopy])
def test_no_copies(url, duplicate):
    client = FeatureFlagClient.connect(url)
    for each in (client, client.get("F"), client._store, FeatureFlagClient(MemoryFeatureFlagStore())):
        with pytest.raises(TypeError, match="make a client in each process"):
            duplicate(each)
