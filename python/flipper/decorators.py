"""A flag around a function."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar, cast

from .client import FeatureFlagClient

F = TypeVar("F", bound=Callable[..., Any])


def is_enabled(
    flags: FeatureFlagClient, feature_name: str, redirect: Callable[..., Any] | None = None
) -> Callable[[F], F]:
    """Calls the function if the flag is on, `redirect` with the same arguments if it is off, or else returns `None`.

    The flag is checked with each call; of a generator, when it begins. The function keeps its name and its signature, and stays
    what it is: `async`, a generator, an asynchronous generator. Off and without `redirect`, a generator is empty.
    """

    def decorator(function: F) -> F:
        if not callable(function):
            raise TypeError(f"only what can be called can be decorated, not {type(function).__name__}")

        def chosen() -> Callable[..., Any] | None:
            return function if flags.is_enabled(feature_name) else redirect

        if inspect.isasyncgenfunction(function):
            wrapper: Callable[..., Any] = _async_generator(chosen)
        elif inspect.isgeneratorfunction(function):
            wrapper = _generator(chosen)
        elif _is_async(function):
            wrapper = _coroutine(chosen)
        else:
            wrapper = _plain(chosen)
        return cast(F, functools.wraps(function)(wrapper))

    return decorator


def _is_async(function: Any) -> bool:
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):
        return True
    # Before Python 3.12 frameworks mark a plain function that returns an awaitable by asyncio's own object. Who does
    # has imported it, which takes longer than all of this package.
    marker = getattr(sys.modules.get("asyncio.coroutines"), "_is_coroutine", None)
    return marker is not None and getattr(function, "_is_coroutine", None) is marker


Chosen = Callable[[], Callable[..., Any] | None]


def _plain(chosen: Chosen) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        target = chosen()
        return None if target is None else target(*args, **kwargs)

    return wrapper


def _coroutine(chosen: Chosen) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        target = chosen()
        result = None if target is None else target(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    return wrapper


def _generator(chosen: Chosen) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        target = chosen()
        if target is None:
            return None
        generator: Generator[Any, Any, Any] = target(*args, **kwargs)
        return (yield from generator)

    return wrapper


def _async_generator(chosen: Chosen) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        target = chosen()
        if target is None:
            return
        generator = target(*args, **kwargs)
        # What `yield from` does, which async generators lack: what is sent or thrown in reaches the function.
        try:
            value = await generator.__anext__()
            while True:
                try:
                    sent = yield value
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as error:
                    value = await generator.athrow(error)
                else:
                    value = await generator.asend(sent)
        except StopAsyncIteration:
            return

    return wrapper
