"""The decorator, in both states of the flag."""

import asyncio
import contextlib
import inspect

import pytest

from flipper.decorators import is_enabled


@pytest.fixture(params=[True, False], ids=["on", "off"])
def state(request, client):
    client.create("F", is_enabled=request.param)
    return request.param


def test_a_function_keeps_its_name_and_signature(client):
    @is_enabled(client, "F")
    def whinny(request: int, *, loud: bool = False) -> str:
        """A sound."""

    assert (whinny.__name__, whinny.__doc__) == ("whinny", "A sound.")
    assert list(inspect.signature(whinny).parameters) == ["request", "loud"]


def test_functions(client, state):
    @is_enabled(client, "F")
    def without(value):
        return value

    @is_enabled(client, "F", redirect=lambda value: -value)
    def redirected(value):
        return value

    assert without(3) == (3 if state else None)
    assert redirected(3) == (3 if state else -3)


def test_it_is_checked_with_each_call(client):
    @is_enabled(client, "F")
    def function():
        return "on"

    assert function() is None
    client.create("F", is_enabled=True)
    assert function() == "on"


def test_methods(client, state):
    class Horse:
        sound = "whinny"

        def neigh(self):
            return "neigh"

        @is_enabled(client, "F", redirect=neigh)
        def speak(self):
            return self.sound

        @classmethod
        @is_enabled(client, "F")
        def kind(cls):
            return cls.__name__

        @staticmethod
        @is_enabled(client, "F")
        def legs():
            return 4

    assert Horse().speak() == ("whinny" if state else "neigh")
    assert Horse.kind() == ("Horse" if state else None)
    assert Horse.legs() == (4 if state else None)


def test_async_functions(client, state):
    async def old(value):
        return -value

    @is_enabled(client, "F")
    async def without(value):
        return value

    @is_enabled(client, "F", redirect=old)
    async def redirected(value):
        return value

    @is_enabled(client, "F", redirect=lambda value: -value)
    async def redirected_to_plain(value):
        return value

    for function in (without, redirected, redirected_to_plain):
        assert inspect.iscoroutinefunction(function)
    assert asyncio.run(without(3)) == (3 if state else None)
    assert asyncio.run(redirected(3)) == (3 if state else -3)
    assert asyncio.run(redirected_to_plain(3)) == (3 if state else -3)


def test_callables_with_an_async_call(client, state):
    class View:
        async def __call__(self, value):
            return value

    view = is_enabled(client, "F")(View())
    assert inspect.iscoroutinefunction(view)
    assert asyncio.run(view(3)) == (3 if state else None)


def test_generators(client, state):
    def old(count):
        yield "old"

    @is_enabled(client, "F", redirect=old)
    def numbers(count):
        got = yield 0
        yield got
        return count

    assert inspect.isgeneratorfunction(numbers)
    generator = numbers(5)
    assert next(generator) == (0 if state else "old")
    if state:
        assert generator.send("sent") == "sent"
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == (5 if state else None)
    assert list(is_enabled(client, "F")(old)(1)) == (["old"] if state else [])


def test_async_generators(client, state):
    seen = []

    @is_enabled(client, "F")
    async def numbers():
        try:
            seen.append((yield 1))
            yield 2
        except KeyError:
            seen.append("thrown")
            yield 3
        finally:
            seen.append("closed")

    async def run():
        assert inspect.isasyncgenfunction(numbers)
        assert [each async for each in numbers()] == ([1, 2] if state else [])
        seen.clear()
        generator = numbers()
        with contextlib.suppress(StopAsyncIteration):
            await generator.__anext__()
            await generator.asend("sent")
            assert await generator.athrow(KeyError()) == 3
            await generator.aclose()
        return seen

    assert asyncio.run(run()) == (["sent", "thrown", "closed"] if state else [])


def test_an_async_context_manager_sees_what_is_raised(client):
    client.create("F", is_enabled=True)
    seen = []

    @contextlib.asynccontextmanager
    @is_enabled(client, "F")
    async def resource():
        try:
            yield 1
        except ValueError:
            seen.append("error")

    async def run():
        async with resource():
            raise ValueError

    asyncio.run(run())
    assert seen == ["error"]


def test_what_the_function_raises_passes_through(client):
    client.create("F", is_enabled=True)

    @is_enabled(client, "F")
    def fails():
        raise KeyError("x")

    with pytest.raises(KeyError):
        fails()
