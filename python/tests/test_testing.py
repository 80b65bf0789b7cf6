"""Overrides: by hand, and by the fixture in runs of pytest of their own."""

import asyncio
import threading
from unittest.mock import Mock

import pytest
from flipper import FeatureFlagClient, MemoryFeatureFlagStore
from flipper.aio import AsyncFeatureFlagClient
from flipper.contrib.native import NativeFeatureFlagStore
from flipper.decorators import is_enabled
from flipper.scope import Scope
from flipper.testing import override_flags

pytest_plugins = ["pytester"]

OWN = FeatureFlagClient.is_enabled


@pytest.fixture(autouse=True)
def _restored():
    yield
    assert FeatureFlagClient.is_enabled is OWN


def test_every_way_to_check(client):
    features = AsyncFeatureFlagClient(client)
    flag = client.get("F")
    function = is_enabled(client, "F")(lambda: "on")

    def answers():
        return [
            client.is_enabled("F"),
            client.is_enabled(feature_name="F", default=None, plan="free"),
            flag.is_enabled(),
            flag.is_enabled(plan="free"),
            features.is_enabled("F"),
            features.get("F").is_enabled(),
            asyncio.run(features.check("F")),
            function() == "on",
            Scope(client)["F"],
        ]

    with override_flags(client, F=True):
        assert all(answers()) and not client.is_enabled("G")
        with pytest.raises(TypeError):
            client.is_enabled()
        with pytest.raises(TypeError):
            client.is_enabled(3)
    assert not any(answers())
    client.create("F", is_enabled=True)
    with override_flags(features, {"F": False}):
        assert not any(answers())
    assert all(answers())
    # Checks are Rust's again, and writes always were.
    assert client._native() is not None


def test_nested(client):
    with override_flags(client, F=True, G=True):
        with override_flags(client, F=False):
            assert not client.is_enabled("F") and client.is_enabled("G")
        assert client.is_enabled("F")


def test_ended_in_another_order(client):
    first = override_flags(client, F=True).start()
    second = override_flags(client, F=False).start()
    first.stop()
    assert not client.is_enabled("F", default=True)
    second.stop()
    second.stop()
    assert client.is_enabled("F", default=True)


def test_started_twice(client):
    override = override_flags(client, F=True).start()
    with override:
        assert client.is_enabled("F")
    assert not client.is_enabled("F")


def test_clients_of_one_store(store):
    first, second, other = FeatureFlagClient(store), FeatureFlagClient(store), FeatureFlagClient(MemoryFeatureFlagStore())
    with override_flags(first, F=True):
        assert second.is_enabled("F") and not other.is_enabled("F")


def test_other_threads(client):
    seen = []
    with override_flags(client, F=True):
        thread = threading.Thread(target=lambda: seen.append(client.is_enabled("F")))
        thread.start()
        thread.join()
    assert seen == [True]


def test_stores_that_are_called():
    class Store(MemoryFeatureFlagStore):
        def get(self, feature_name):
            return super().get(feature_name)

    client = FeatureFlagClient(Store())
    with override_flags(client, F=True):
        assert client.is_enabled("F") and client.get("F").is_enabled()
    assert not client.is_enabled("F")


def test_subclasses(store):
    class Client(FeatureFlagClient):
        def is_enabled(self, feature_name, default=False, **conditions):
            return super().is_enabled(feature_name, default, **conditions)

    client = Client(store)
    own = Client.is_enabled
    with override_flags(client, F=True):
        assert client.is_enabled("F") and client.get("F").is_enabled()
    assert not client.is_enabled("F") and Client.is_enabled is own


@pytest.mark.parametrize("client", [None, MemoryFeatureFlagStore(), "redis://localhost", FeatureFlagClient, Mock()])
def test_what_is_no_client(client):
    with pytest.raises(TypeError, match="are overridden for a FeatureFlagClient, not for"):
        override_flags(client, F=True)


def test_a_client_that_does_not_ask(client):
    client.is_enabled = Mock(return_value="mine")
    with pytest.raises(TypeError, match="do not ask for overrides"):
        override_flags(client, F=True).start()


@pytest.mark.parametrize("answers", [{"F": 1}, {"F": None}, {3: True}])
def test_what_is_no_answer(client, answers):
    with pytest.raises(TypeError, match="a name and a bool"):
        override_flags(client, answers)


def test_a_store_is_not_written(client):
    with override_flags(client, F=True):
        assert not client.exists("F")
    assert isinstance(client._store, NativeFeatureFlagStore)


TESTS = """
    import asyncio
    import pytest
    from flipper import FeatureFlagClient, MemoryFeatureFlagStore

    features = FeatureFlagClient(MemoryFeatureFlagStore())

    @pytest.mark.parametrize("answer", [True, False] * 10)
    def test_on_and_off(flag_overrides, answer):
        flag_overrides(features, F=answer)
        assert features.is_enabled("F") is answer
        with flag_overrides(features, {"F": not answer, "G": True}):
            assert features.is_enabled("F") is not answer and features.is_enabled("G")
        assert features.is_enabled("F") is answer and not features.is_enabled("G")

    @pytest.fixture
    def checkout(flag_overrides):
        flag_overrides(features, CHECKOUT=True)

    def test_in_a_fixture(checkout):
        assert features.is_enabled("CHECKOUT")

    def test_after_a_failure_too():
        assert not features.is_enabled("CHECKOUT") and not features.is_enabled("F", default=False)

    def test_async(flag_overrides):
        async def use():
            flag_overrides(features, F=True)
            await asyncio.sleep(0)
            assert features.is_enabled("F") and await asyncio.to_thread(features.is_enabled, "F")

        asyncio.run(use())

    @pytest.mark.anyio
    async def test_async_by_a_plugin(flag_overrides, anyio_backend):
        flag_overrides(features, F=True)
        assert features.is_enabled("F")

    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    def teardown_module():
        assert not any(map(features.is_enabled, "FG")) and not features.is_enabled("CHECKOUT")
"""


@pytest.mark.parametrize("options", [[], ["-n2"]], ids=["one process", "xdist"])
def test_the_fixture(pytester, options):
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]")
    # Of an installed package its entry point loads it.
    result = pytester.runpytest_subprocess(*PLUGIN, "-p", "no:cacheprovider", *options)
    result.assert_outcomes(passed=24)


def test_the_fixture_refuses_what_is_no_client(pytester):
    pytester.makepyfile("def test(flag_overrides):\n    flag_overrides(object(), F=True)\n")
    result = pytester.runpytest_subprocess(*PLUGIN, "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*TypeError: flags are overridden for a FeatureFlagClient, not for object*"])


def _is_installed():
    from importlib.metadata import entry_points

    return any(point.value == "flipper.pytest_plugin" for point in entry_points(group="pytest11"))


PLUGIN = [] if _is_installed() else ["-p", "flipper.pytest_plugin"]
