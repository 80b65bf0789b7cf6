"""Flags for `asyncio`: checks, variants and evaluations are plain calls, and everything else is awaited."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, ParamSpec, Protocol, TypeVar

from .aio_targeting import AsyncFlagTargeting, AsyncTargeting
from .bucketing.base import AbstractBucketer
from .client import FeatureFlagClient
from .conditions import Condition
from .contrib.interface import AbstractFeatureFlagStore
from .events import IEventEmitter
from .evaluation import Evaluation
from .history import Entry
from .targeting import Value

P = ParamSpec("P")
T = TypeVar("T")

# Other tasks run after so many flags of a list.
_TURN = 100


class _ClientCheck(Protocol):
    def __call__(self, feature_name: str, default: Any = False, **conditions: Any) -> bool: ...


class _FlagCheck(Protocol):
    def __call__(self, default: Any = False, **conditions: Any) -> bool: ...


class _ClientVariant(Protocol):
    def __call__(self, feature_name: str, default: Value, **context: Any) -> Value: ...


class _FlagVariant(Protocol):
    def __call__(self, default: Value, **context: Any) -> Value: ...


class AsyncFeatureFlagClient(AsyncTargeting):
    """A `FeatureFlagClient` whose writes and reads are awaited. They wait in threads, which start with the first of them.

    Writes of one flag happen in the order in which they began. A write that is cancelled before its turn is not made; one that
    is cancelled later may still reach the store, and the next one of the flag comes after it. Subscribers are called in the
    thread, with the context variables of the task. Any event loop of `asyncio` will do, also several; no other library's.

    `threads`: so many writes are made at once.
    """

    def __init__(self, store: AbstractFeatureFlagStore | FeatureFlagClient, *, threads: int = 4) -> None:
        if threads < 1:
            raise ValueError("there must be a thread")
        self._client = store if isinstance(store, FeatureFlagClient) else FeatureFlagClient(store)
        self._lanes = _Lanes(threads)
        if self._client._native() is None:
            warnings.warn(
                f"each check calls {self._client._store!r} and may block the event loop: use `await client.check(…)`, and"
                " `asyncio.to_thread` for variants and evaluations",
                RuntimeWarning,
                stacklevel=2,
            )

    @classmethod
    async def connect(cls, url: str, *, threads: int = 4) -> AsyncFeatureFlagClient:
        """A client of the store that a URL names, such as `redis://localhost/0`, when its flags are in memory."""
        return cls(await asyncio.to_thread(FeatureFlagClient.connect, url), threads=threads)

    @property
    def sync(self) -> FeatureFlagClient:
        """The client whose methods block."""
        return self._client

    def as_actor(self, actor: str) -> AsyncFeatureFlagClient:
        """This client, with writes by this actor: 1 to 255 bytes without control characters."""
        return self._of(self._client.as_actor(actor))

    def because(self, reason: str) -> AsyncFeatureFlagClient:
        """This client, with writes for this reason: 1 byte to 4 KiB."""
        return self._of(self._client.because(reason))

    def _of(self, client: FeatureFlagClient) -> AsyncFeatureFlagClient:
        # With the same lanes, so that writes of one flag stay in order.
        other = type(self).__new__(type(self))
        vars(other).update(vars(self), _client=client)
        return other

    @property
    def events(self) -> IEventEmitter:
        """What calls subscribers before and after each write of this client."""
        return self._client.get_events()

    @events.setter
    def events(self, event_emitter: IEventEmitter) -> None:
        self._client.set_events(event_emitter)

    @property
    def is_enabled(self) -> _ClientCheck:
        """Whether the flag is on for these conditions; `default` if there is no such flag. A store that is called blocks: see `check`."""
        return self._client.is_enabled

    @property
    def variant(self) -> _ClientVariant:
        """The value of the flag's variant; see `FeatureFlagClient.variant`. A store that is called blocks: `asyncio.to_thread` waits."""
        return self._client.variant

    @property
    def evaluate(self) -> Callable[..., Evaluation]:
        """The answer of a check with its reason and variant; see `FeatureFlagClient.evaluate`. A store that is called blocks, as for `variant`."""
        return self._client.evaluate

    async def check(self, feature_name: str, default: Any = False, **conditions: Any) -> bool:
        """As `is_enabled`, in a thread: for stores whose checks call the store."""
        return await self._call(feature_name, self._client.is_enabled, feature_name, default, **conditions)

    async def create(
        self, feature_name: str, is_enabled: bool = False, client_data: dict[str, Any] | None = None
    ) -> AsyncFeatureFlag:
        """Creates a flag. An existing one is overwritten."""
        await self._call(feature_name, self._client.create, feature_name, is_enabled, client_data)
        return self.get(feature_name)

    async def exists(self, feature_name: str) -> bool:
        """Whether there is such a flag."""
        return await self._call(feature_name, self._client.exists, feature_name)

    def get(self, feature_name: str) -> AsyncFeatureFlag:
        """A handle for the flag of this name, which need not exist."""
        return AsyncFeatureFlag(feature_name, self)

    async def list(self, limit: int | None = None, offset: int = 0) -> AsyncIterator[AsyncFeatureFlag]:
        """Handles of all flags, for `async for`."""
        flags = await self._call("", lambda: [*self._client.list(limit, offset)])
        for number, flag in enumerate(flags):
            if number % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            yield self.get(flag.name)

    async def enable(self, feature_name: str) -> None:
        """Enables the flag."""
        await self._call(feature_name, self._client.enable, feature_name)

    async def disable(self, feature_name: str) -> None:
        """Disables the flag."""
        await self._call(feature_name, self._client.disable, feature_name)

    async def destroy(self, feature_name: str) -> None:
        """Destroys the flag."""
        await self._call(feature_name, self._client.destroy, feature_name)

    async def add_condition(self, feature_name: str, condition: Condition) -> None:
        """Adds a condition; all conditions of a flag must hold."""
        await self._call(feature_name, self._client.add_condition, feature_name, condition)

    async def set_conditions(self, feature_name: str, conditions: Iterable[Condition]) -> None:
        """Replaces all conditions."""
        await self._call(feature_name, self._client.set_conditions, feature_name, conditions)

    async def set_bucketer(self, feature_name: str, bucketer: AbstractBucketer) -> None:
        """Sets for which part of the checks or callers the flag is on."""
        await self._call(feature_name, self._client.set_bucketer, feature_name, bucketer)

    async def set_client_data(self, feature_name: str, client_data: dict[str, Any]) -> None:
        """Merges keys into the client data."""
        await self._call(feature_name, self._client.set_client_data, feature_name, client_data)

    async def get_client_data(self, feature_name: str) -> dict[str, Any]:
        """The client data, a copy."""
        return await self._call(feature_name, self._client.get_client_data, feature_name)

    async def get_meta(self, feature_name: str) -> dict[str, Any]:
        """All meta data, a copy: client data, creation date, conditions and bucketer."""
        return await self._call(feature_name, self._client.get_meta, feature_name)

    async def history(self, feature_name: str) -> AsyncIterator[Entry]:
        """The changes of this flag, the newest first, for `async for`; see `FeatureFlagClient.history`."""
        async for entry in self._entries(lambda: self._client.history(feature_name)):
            yield entry

    async def history_of_all(self, since: datetime | timedelta | None = None) -> AsyncIterator[Entry]:
        """The changes of all flags, the newest first, since this time, or for so long."""
        async for entry in self._entries(lambda: self._client.history_of_all(since)):
            yield entry

    async def restore(self, feature_name: str, entry: Entry) -> None:
        """Makes the flag what it was before this entry, if nothing has changed it since."""
        await self._call(feature_name, self._client.restore, feature_name, entry)

    async def _entries(self, begin: Callable[[], Iterator[Entry]]) -> AsyncIterator[Entry]:
        entries = await self._call("", begin)
        while page := await self._call("", lambda: [*islice(entries, _TURN)]):
            for entry in page:
                yield entry

    async def _call(self, feature_name: str, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the method in the lane of the flag."""
        loop = asyncio.get_running_loop()
        called: asyncio.Future[tuple[T | None, BaseException | None]] = loop.create_future()
        context = contextvars.copy_context()

        def finish(result: T | None, error: BaseException | None) -> None:
            if not called.done():
                called.set_result((result, error))

        def call() -> None:
            # It was cancelled before its turn, or its loop has ended without it.
            if called.cancelled() or loop.is_closed():
                return
            result = error = None
            try:
                result = context.run(method, *args, **kwargs)
            except BaseException as raised:
                error = raised
            try:
                loop.call_soon_threadsafe(finish, result, error)
            except RuntimeError:
                # The loop was closed meanwhile: no task waits.
                pass

        self._lanes.of(feature_name).add(call)
        result, error = await called
        try:
            if error is not None:
                raise error
        finally:
            # The error's traceback has this frame, a cycle otherwise.
            del error
        return result  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._client._store!r})"


class AsyncFeatureFlag(AsyncFlagTargeting):
    """A flag, bound to its name: the client's methods without it. The flag need not exist."""

    def __init__(self, feature_name: str, client: AsyncFeatureFlagClient) -> None:
        self._name = feature_name
        self._client = client
        self._flag = client.sync.get(feature_name)

    @property
    def name(self) -> str:
        """The flag's name."""
        return self._name

    @property
    def is_enabled(self) -> _FlagCheck:
        """Whether the flag is on for these conditions; `default` if there is no such flag. A store that is called blocks: see `check`."""
        return self._flag.is_enabled

    @property
    def variant(self) -> _FlagVariant:
        """The value of the flag's variant; see `FeatureFlagClient.variant`. A store that is called blocks: `asyncio.to_thread` waits."""
        return self._flag.variant

    @property
    def evaluate(self) -> Callable[..., Evaluation]:
        """The answer of a check with its reason and variant. A store that is called blocks, as for `variant`."""
        return self._flag.evaluate

    async def check(self, default: Any = False, **conditions: Any) -> bool:
        """As `is_enabled`, in a thread: for stores whose checks call the store."""
        return await self._client.check(self._name, default, **conditions)

    async def exists(self) -> bool:
        """Whether there is such a flag."""
        return await self._client.exists(self._name)

    async def enable(self) -> None:
        """Enables the flag."""
        await self._client.enable(self._name)

    async def disable(self) -> None:
        """Disables the flag."""
        await self._client.disable(self._name)

    async def destroy(self) -> None:
        """Destroys the flag."""
        await self._client.destroy(self._name)

    async def add_condition(self, condition: Condition) -> None:
        """Adds a condition; all conditions of a flag must hold."""
        await self._client.add_condition(self._name, condition)

    async def set_conditions(self, conditions: Iterable[Condition]) -> None:
        """Replaces all conditions."""
        await self._client.set_conditions(self._name, conditions)

    async def set_bucketer(self, bucketer: AbstractBucketer) -> None:
        """Sets for which part of the checks or callers the flag is on."""
        await self._client.set_bucketer(self._name, bucketer)

    async def set_client_data(self, client_data: dict[str, Any]) -> None:
        """Merges keys into the client data."""
        await self._client.set_client_data(self._name, client_data)

    async def get_client_data(self) -> dict[str, Any]:
        """The client data, a copy."""
        return await self._client.get_client_data(self._name)

    async def get_meta(self) -> dict[str, Any]:
        """All meta data, a copy: client data, creation date, conditions and bucketer."""
        return await self._client.get_meta(self._name)

    async def history(self) -> AsyncIterator[Entry]:
        """The changes of this flag, the newest first, for `async for`."""
        async for entry in self._client.history(self._name):
            yield entry

    async def restore(self, entry: Entry) -> None:
        """Makes the flag what it was before this entry, if nothing has changed it since."""
        await self._client.restore(self._name, entry)

    def __repr__(self) -> str:
        return f"AsyncFeatureFlag({self._name!r})"


class _Lanes:
    """The lanes of flags, in this process: threads do not survive a fork."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._own: tuple[int, tuple[_Lane, ...]] = (0, ())

    def of(self, feature_name: str) -> _Lane:
        process, lanes = self._own
        if process != os.getpid():
            executor = ThreadPoolExecutor(self._threads, thread_name_prefix="flipper")
            lanes = tuple(_Lane(executor) for _ in range(self._threads))
            self._own = (os.getpid(), lanes)
        return lanes[hash(feature_name) % len(lanes)]


class _Lane:
    """Makes calls one after another, in a thread of the executor while there are any. The interpreter waits for it at its end."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor
        self._calls: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._runs = False

    def add(self, call: Callable[[], None]) -> None:
        with self._lock:
            self._calls.append(call)
            starts = not self._runs
            self._runs = True
        if starts:
            self._executor.submit(self._run)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._calls:
                    self._runs = False
                    return
                call = self._calls.popleft()
            call()
