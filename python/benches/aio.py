"""How long a thousand concurrent writes keep the event loop from its other work. It starts a Redis server of its own."""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from flipper import FeatureFlagClient
from flipper.aio import AsyncFeatureFlagClient

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from servers import redis_server  # noqa: E402

WRITES = 1000


async def late(stop):
    """How late a probe wakes up that asks for every turn of the loop, in seconds."""
    lags = []
    while not stop.is_set():
        before = time.perf_counter()
        await asyncio.sleep(0)
        lags.append(time.perf_counter() - before)
    return lags


async def measure(name, write):
    """One task after another begins, as requests do; then all of them are awaited."""
    stop = asyncio.Event()
    probe = asyncio.create_task(late(stop))
    await asyncio.sleep(0)
    started = time.perf_counter()
    tasks = []
    for number in range(WRITES):
        tasks.append(asyncio.create_task(write(number)))
        await asyncio.sleep(0)
    for task in tasks:
        await task
    seconds = time.perf_counter() - started
    stop.set()
    lags = sorted(await probe)
    slow = sum(lag > 0.001 for lag in lags)
    print(
        f"{name}: {WRITES / seconds:,.0f}/s, {len(lags):,} turns, median {statistics.median(lags) * 1e6:.0f} µs, "
        f"99.9 % {lags[int(len(lags) * 0.999)] * 1e6:.0f} µs, longest {lags[-1] * 1e3:.2f} ms, {slow} over 1 ms"
    )


async def main(url):
    client = await asyncio.to_thread(FeatureFlagClient.connect, url)
    features = AsyncFeatureFlagClient(client)
    for number in range(100):
        await features.create(f"F{number}")

    async def nothing(number):
        await asyncio.sleep(0.05)

    def thread_each(number):
        return asyncio.to_thread(client.set_client_data, f"F{number % 100}", {"n": number})

    for _ in range(3):
        await measure("nothing", nothing)
        await measure("writes", lambda number: features.set_client_data(f"F{number % 100}", {"n": number}))
        await measure("asyncio.to_thread", thread_each)


with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as server:
    asyncio.run(main(f"redis://127.0.0.1:{server.port}"))
