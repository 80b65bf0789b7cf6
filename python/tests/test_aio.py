"""The client for asyncio: with a real server that can be paused, and with stores whose methods wait."""

import asyncio
import contextvars
import gc
import inspect
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from flipper import Condition, FeatureFlag, FeatureFlagClient, FlagDoesNotExistError, MemoryFeatureFlagStore
from flipper.aio import AsyncFeatureFlag, AsyncFeatureFlagClient
from flipper.bucketing import Percentage, PercentageBucketer
from flipper.decorators import is_enabled
from flipper.events import EventType, FlipperEventSubscriber
from servers import PATIENCE, package, redis_server

redis = package("redis")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def raw(server):
    with redis.Redis(port=server.port) as client:
        yield client


@pytest.fixture
def features(client):
    return AsyncFeatureFlagClient(client)


class Store(MemoryFeatureFlagStore):
    """One that is called, and may be made to wait."""

    def __init__(self):
        super().__init__()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.reached = threading.Event()
        self.written = []
        self.threads = set()

    def set(self, feature_name, is_enabled):
        self.threads.add(threading.current_thread())
        self.reached.set()
        assert self.may_go_on.wait(PATIENCE)
        self.written.append((feature_name, is_enabled))
        super().set(feature_name, is_enabled)


@pytest.fixture
def called():
    """A store that is called, and its client."""
    store = Store()
    with pytest.warns(RuntimeWarning, match="may block the event loop"):
        return store, AsyncFeatureFlagClient(store)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


@pytest.mark.parametrize("kinds", [(FeatureFlagClient, AsyncFeatureFlagClient), (FeatureFlag, AsyncFeatureFlag)])
def test_the_guide_names_each_method_that_is_not_awaited(kinds):
    guide = (Path(__file__).parents[1] / "docs/asyncio.md").read_text(encoding="utf-8").split("All other methods")[0]
    own, asynchronous = kinds
    plain = set()
    for name in dir(own):
        method = getattr(asynchronous, name, None)
        if name.startswith("_") or not callable(getattr(own, name)) or name in ("get_events", "set_events"):
            continue
        assert method is not None, name
        if not inspect.iscoroutinefunction(method):
            plain.add(name)
    assert {"is_enabled", "variant", "evaluate"} <= plain
    assert [name for name in sorted(plain) if f"`{name}`" not in guide] == []


def test_variants_of_a_store_that_is_called_in_a_thread(called):
    store, features = called
    threads = set()

    class Watched(type(store)):
        def get(self, feature_name):
            threads.add(threading.current_thread())
            return super().get(feature_name)

    store.__class__ = Watched

    async def use():
        await features.create("F", is_enabled=True)
        await features.set_variants("F", {"by": "user_id", "values": [{"name": "red", "weight": 100_000}]})
        threads.clear()
        assert await asyncio.to_thread(features.variant, "F", "grey", user_id=7) == "red"
        assert (await asyncio.to_thread(features.evaluate, "F", user_id=7)).variant == "red"
        assert threads and threading.current_thread() not in threads

    run(use())


def test_every_method(features, client):
    async def use():
        flag = await features.create("F", is_enabled=True, client_data={"a": 1})
        assert isinstance(flag, AsyncFeatureFlag) and flag.name == "F" and repr(flag) == "AsyncFeatureFlag('F')"
        for each in (flag, features):
            name = [] if each is flag else ["F"]
            await each.disable(*name)
            assert not each.is_enabled(*name)
            await each.enable(*name)
            assert each.is_enabled(*name) is True and await each.check(*name) is True
            await each.add_condition(*name, Condition(plan="pro"))
            assert not each.is_enabled(*name, plan="free") and not await each.check(*name, plan="free")
            await each.set_conditions(*name, [])
            assert each.is_enabled(*name, plan="free")
            await each.set_bucketer(*name, PercentageBucketer(Percentage(0.0)))
            assert not each.is_enabled(*name)
            await each.set_client_data(*name, {"b": 2})
            assert await each.get_client_data(*name) == {"a": 1, "b": 2}
            assert (await each.get_meta(*name))["client_data"] == {"a": 1, "b": 2}
            assert await each.exists(*name)
            await each.destroy(*name)
            assert not await each.exists(*name) and each.is_enabled(*name, default="no such flag") == "no such flag"
            await features.create("F", client_data={"a": 1})
        with pytest.raises(FlagDoesNotExistError):
            await features.enable("NONE")
        with pytest.raises(TypeError):
            await features.create(1)
        assert features.sync is client

    run(use())


@pytest.mark.parametrize(("twin", "of"), [(AsyncFeatureFlagClient, FeatureFlagClient), (AsyncFeatureFlag, FeatureFlag)])
def test_it_has_all_methods_of_the_client(twin, of):
    """With the same arguments; what is added there is added here."""
    for name, method in inspect.getmembers(of, inspect.isfunction):
        # Answers from memory are the client's own methods.
        if name.startswith("_") or name in ("get_events", "set_events", "variant", "evaluate"):
            continue
        own = getattr(twin, name)
        makes_another = name in ("get", "as_actor", "because")
        assert inspect.iscoroutinefunction(own) or makes_another or inspect.isasyncgenfunction(own), name
        assert [*inspect.signature(own).parameters] == [*inspect.signature(method).parameters], name


def test_flags_are_listed(features):
    async def use():
        for number in range(250):
            await features.create(f"F{number:03}")
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        flags = [flag async for flag in features.list()]
        task.cancel()
        assert [flag.name for flag in flags] == [f"F{number:03}" for number in range(250)] and turns >= 2
        assert [flag.name async for flag in features.list(limit=2, offset=3)] == ["F003", "F004"]
        assert all(isinstance(flag, AsyncFeatureFlag) for flag in flags)

    run(use())


def test_subscribers_are_called(features):
    request_id = contextvars.ContextVar("request_id")
    seen = []

    class Subscriber(FlipperEventSubscriber):
        def on_pre_enable(self, flag_name):
            seen.append(("pre", flag_name, request_id.get()))
            if flag_name == "REFUSED":
                raise KeyError(flag_name)

        def on_post_enable(self, flag_name):
            seen.append(("post", flag_name, request_id.get()))

    async def use():
        request_id.set(7)
        features.events.register_subscriber(Subscriber())
        for name in ("F", "REFUSED"):
            await features.create(name)
        await features.enable("F")
        with pytest.raises(KeyError):
            await features.enable("REFUSED")
        assert seen == [("pre", "F", 7), ("post", "F", 7), ("pre", "REFUSED", 7)]
        assert not features.is_enabled("REFUSED")

    run(use())


@pytest.mark.parametrize("error", [StopIteration, SystemExit, asyncio.CancelledError])
def test_what_a_subscriber_raises_arrives(features, error):
    """`StopIteration` cannot pass through a coroutine; Python makes a `RuntimeError` of it."""

    async def use():
        def listener(*args, **kwargs):
            raise error

        features.events.on(EventType.PRE_CREATE, listener)
        with pytest.raises(RuntimeError if error is StopIteration else error):
            await features.create("F")
        features.events.remove_listener(EventType.PRE_CREATE, listener)
        await features.create("F")
        assert await features.exists("F")

    run(use())


def test_no_thread_before_the_first_use(client):
    before = set(threading.enumerate())
    features = AsyncFeatureFlagClient(client, threads=2)

    async def check():
        assert not features.is_enabled("F")
        assert set(threading.enumerate()) <= before

    run(check())
    run(features.create("F"))
    run(features.enable("F"))
    own = [thread for thread in {*threading.enumerate()} - before if thread.name.startswith("flipper")]
    assert 1 <= len(own) <= 2
    with pytest.raises(ValueError):
        AsyncFeatureFlagClient(client, threads=0)
    # The threads end with the client.
    del features
    gc.collect()
    for thread in own:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_writes_of_a_flag_keep_their_order(called):
    store, features = called

    async def use():
        await features.create("F")
        await asyncio.gather(*(features.disable("F") if number % 3 else features.enable("F") for number in range(300)))
        assert store.written == [("F", number % 3 == 0) for number in range(300)]

    run(use())


def test_no_more_threads_than_wanted(called):
    store, features = called

    async def use():
        for number in range(50):
            await features.create(f"F{number}")
        await asyncio.gather(*(features.enable(f"F{number}") for number in range(50)))
        assert len(store.threads) <= 4 and threading.current_thread() not in store.threads

    run(use())


def test_a_cancelled_write(called):
    """Begun, it may still arrive, and before the flag's next one; not begun, it does not."""
    store, features = called

    async def use():
        await features.create("F")
        store.may_go_on.clear()
        store.reached.clear()
        first = asyncio.create_task(features.enable("F"))
        await asyncio.to_thread(store.reached.wait, PATIENCE)
        second = asyncio.create_task(features.enable("F"))
        third = asyncio.create_task(features.disable("F"))
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        for task in (first, second):
            with pytest.raises(asyncio.CancelledError):
                await task
        assert store.written == []
        store.may_go_on.set()
        await third
        assert store.written == [("F", True), ("F", False)]

    run(use())


def test_a_loop_that_ends_before_its_write(called):
    store, features = called
    run(features.create("F"))
    store.may_go_on.clear()
    store.reached.clear()

    async def leave():
        asyncio.create_task(features.enable("F"))
        await asyncio.to_thread(store.reached.wait, PATIENCE)

    run(leave())
    store.may_go_on.set()
    run(features.disable("F"))
    assert store.written == [("F", True), ("F", False)]


def test_several_loops(features):
    run(features.create("F"))

    def use(number):
        run(features.create(f"F{number}"))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(1 for _ in features.sync.list()) == 9


def test_checks_of_a_called_store(called):
    _, features = called

    async def use():
        await features.create("F", is_enabled=True)
        assert await features.check("F", user=1) and await features.get("F").check() and features.is_enabled("F")

    run(use())


def test_the_decorator(features):
    @is_enabled(features, "F")
    async def function():
        return "on"

    async def use():
        assert await function() is None
        await features.create("F", is_enabled=True)
        assert await function() == "on"

    run(use())


def test_without_a_loop(features):
    with pytest.raises(RuntimeError, match="no running event loop"):
        features.enable("F").send(None)


def test_anyio(features):
    anyio = package("anyio")
    anyio.run(features.create, "F", True, backend="asyncio")
    assert features.is_enabled("F")


def test_the_loop_goes_on_while_a_thousand_writes_wait(server, raw):
    """Counted, not timed: the server takes no write, so that the loop's turns all happen while the writes wait."""

    async def use():
        features = await AsyncFeatureFlagClient.connect(f"redis://127.0.0.1:{server.port}")
        for number in range(100):
            await features.create(f"F{number}")
        raw.execute_command("CLIENT", "PAUSE", 1000 * PATIENCE, "WRITE")
        writes = [asyncio.create_task(features.enable(f"F{number % 100}")) for number in range(1000)]
        for turn in range(2000):
            await asyncio.sleep(0)
            assert not features.is_enabled(f"F{turn % 100}")
        assert not any(write.done() for write in writes)
        raw.execute_command("CLIENT", "UNPAUSE")
        await asyncio.gather(*writes)
        assert all(features.is_enabled(f"F{number}") for number in range(100))

    run(use())


def test_no_callback_of_a_write_computes_for_a_millisecond(server, monkeypatch):
    """Elapsed time is what is tested, in the loop's thread alone, without what other threads and processes take of it."""
    longest = []
    run_handle = asyncio.Handle._run

    def timed(handle):
        started = time.thread_time()
        run_handle(handle)
        longest.append(time.thread_time() - started)

    async def use():
        features = await AsyncFeatureFlagClient.connect(f"redis://127.0.0.1:{server.port}")
        await asyncio.gather(*(features.create(f"T{number}") for number in range(8)))
        # Tasks are made one by one: a thousand at once take longer than that, whatever they do.
        monkeypatch.setattr(asyncio.Handle, "_run", timed)
        writes = []
        for number in range(1000):
            write = features.set_client_data(f"T{number % 8}", {"n": number}) if number % 2 else features.create(f"U{number}")
            writes.append(asyncio.create_task(write))
            await asyncio.sleep(0)
        for write in writes:
            await write
        monkeypatch.undo()
        assert len(longest) > 1000
        # Garbage collection, and a clock of coarse steps, may hit one of them.
        late = [seconds for seconds in longest if seconds > 0.001]
        assert len(late) <= len(longest) // 500, late

    run(use())


def test_a_program_that_ends_finishes_its_writes(server, raw):
    """Without a traceback, and without a wait for what is done."""
    program = textwrap.dedent(
        """
        import asyncio, sys
        from flipper.aio import AsyncFeatureFlagClient

        async def main():
            features = await AsyncFeatureFlagClient.connect(sys.argv[1])
            for number in range(20):
                asyncio.create_task(features.create(f"END{number}"))
            await asyncio.sleep(0)
            asyncio.get_running_loop().stop()

        loop = asyncio.new_event_loop()
        loop.create_task(main())
        loop.run_forever()
        """
    )
    url = f"redis://127.0.0.1:{server.port}"
    ended = subprocess.run(
        [sys.executable, "-c", program, url], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0 and "Traceback" not in ended.stderr, ended.stderr
    assert len(raw.keys("*END*")) == 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_has_its_own_threads(features):
    """Those of the parent do not survive the fork."""
    run(features.create("F"))
    child = os.fork()
    if child == 0:
        try:
            run(features.enable("F"))
            os._exit(0 if features.is_enabled("F") else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
