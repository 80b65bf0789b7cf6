"""A flag around a function."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Protocol, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Checks(Protocol):
    """A client, synchronous or not, or a `Scope`."""

    @property
    def is_enabled(self) -> Callable[..., bool]:
        """Whether a flag is on."""
        ...


def is_enabled(
    flags: Checks, feature_name: str, redirect: Callable[..., Any] | None = None
) -> Callable[[F], F]:
    """Calls the function if the flag is on, `redirect` with the same arguments if it is off, or else returns `None`.

    The flag is checked with each call; of a generator, when it begins. The function keeps its name and its signature, and stays
    what it is: `async`, a generator, an asynchronous generator. Off and without `redirect`, a generator is empty.
    """

    if isinstance(flags, str):
        raise TypeError(f"is_enabled({flags!r}, ...) lacks the client, which comes first: is_enabled(client, {flags!r})")

    def decorator(function: F) -> F:
        kind: Any = type(function)
        if kind in (staticmethod, classmethod):
            return cast(F, kind(decorator(cast(Any, function).__func__)))
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
            wrapper = _plain(chosen, function)
        return cast(F, functools.wraps(function)(_dressed(wrapper, function)))

    return decorator


def _dressed(wrapper: Any, function: Any) -> Any:
    """The wrapper, for what does not look through `__wrapped__`: older FastAPI looks for annotations among its globals, Celery reads its
    signature."""
    namespace = getattr(function, "__globals__", None)
    if namespace is not None:
        wrapper = types.FunctionType(wrapper.__code__, namespace, closure=wrapper.__closure__)
    try:
        wrapper.__signature__ = inspect.signature(function)
    except (TypeError, ValueError):
        # Some functions written in C have none.
        pass
    return wrapper


def _is_async(function: Any) -> bool:
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):
        return True
    # Before Python 3.12 frameworks mark a plain function that returns an awaitable by asyncio's own object. It is not imported for
    # those who do not use it.
    marker = getattr(sys.modules.get("asyncio.coroutines"), "_is_coroutine", None)
    return marker is not None and getattr(function, "_is_coroutine", None) is marker


Chosen = Callable[[], Callable[..., Any] | None]


# These functions get the globals of what they wrap, so that they have no globals of this module.


def _plain(chosen: Chosen, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        target = chosen()
        return None if target is None else target(*args, **kwargs)

    if getattr(function, "__name__", None) != "dispatch":
        return wrapper
    as_view = _as_view

    def dispatch(*args: Any, **kwargs: Any) -> Any:
        return as_view(function, args, wrapper(*args, **kwargs))

    return dispatch


def _as_view(function: Any, args: tuple[Any, ...], result: Any) -> Any:
    """Django's views with async methods have a `dispatch` that is not async, and is awaited all the same."""
    # Within `method_decorator` the view is bound already.
    view = getattr(getattr(function, "func", None), "__self__", args[0] if args else None)
    if inspect.isawaitable(result) or getattr(view, "view_is_async", False) is not True:
        return result

    async def awaited() -> Any:
        return result

    return awaited()


def _coroutine(chosen: Chosen) -> Callable[..., Any]:
    is_awaitable = inspect.isawaitable

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        target = chosen()
        result = None if target is None else target(*args, **kwargs)
        return await result if is_awaitable(result) else result

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
