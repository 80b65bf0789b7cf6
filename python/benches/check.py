#!/usr/bin/env python3
"""What a check costs, beside the original library and a bare method, in one run. `scripts/bench peers-python` has other SDKs.

    python benches/check.py FOLDER

This Python must have the package. FOLDER gets what else is compared: a venv with the original library, and a library with the bare method,
which needs Rust. All measure themselves in turns, so that a busy machine slows all of them. Of each the
fastest round counts; the ratio is that of the fastest rounds, and beside it the median of the ratios within a round.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import timeit
import venv
from pathlib import Path

# Short loops, of which some are not interrupted.
ROUNDS, REPEAT, LOOPS, FEW_LOOPS = 7, 7, 10_000, 500
HERE = Path(__file__).parent
ORIGINAL = ["flipper-client==1.3.2", "redis==4.4.4", "pyee==6.0.0", "thrift==0.25.0", "python-consul==1.1.0", "setuptools<81"]
LIMIT = "limit: a bare method"


def cases():
    from flipper import Condition, FeatureFlagClient, MemoryFeatureFlagStore
    from flipper.bucketing import ConsistentHashPercentageBucketer, Percentage

    client = FeatureFlagClient(MemoryFeatureFlagStore())
    for index in range(100):
        client.create(f"FLAG_{index}", is_enabled=True)
    client.add_condition("FLAG_1", Condition(plan="pro"))
    five = Condition(plan="pro", age__gte=18, country__in=["DE", "FR"], beta=True, name__ne="x")
    client.add_condition("FLAG_2", five)
    bucketer = ConsistentHashPercentageBucketer(percentage=Percentage(0.5), key_whitelist=["user_id"])
    client.set_bucketer("FLAG_3", bucketer)
    names = {"client": client, "flag": client.get("FLAG_0")}
    return names, {
        "plain": "client.is_enabled('FLAG_0')",
        "missing": "client.is_enabled('NONE')",
        "handle": "flag.is_enabled()",
        "one condition": "client.is_enabled('FLAG_1', plan='pro')",
        "one condition, off": "client.is_enabled('FLAG_1', plan='free')",
        "five conditions": "client.is_enabled('FLAG_2', plan='pro', age=20, country='FR', beta=True, name='y')",
        "consistent hash": "client.is_enabled('FLAG_3', user_id=7)",
    }


def time_of(call, names, loops=LOOPS):
    """The nanoseconds of a call, without the loop around it."""
    empty = min(timeit.repeat("pass", repeat=REPEAT, number=LOOPS)) / LOOPS
    return (min(timeit.Timer(call, globals=names).repeat(REPEAT, loops)) / loops - empty) * 1e9


def measure(folder, port, is_ours):
    """The nanoseconds of each case."""
    names, all_cases = cases()
    times = {name: time_of(call, names) for name, call in all_cases.items()}
    if is_ours:
        spec = importlib.util.spec_from_file_location("_bare", Path(folder, "_bare.abi3.so"))
        bare = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(bare)
        flags = bare.Bare([f"FLAG_{index}" for index in range(100)])
        times[LIMIT] = time_of("flags.is_enabled('FLAG_0')", {"flags": flags})
    if port:
        import redis

        from flipper import FeatureFlagClient, RedisFeatureFlagStore

        client = FeatureFlagClient(RedisFeatureFlagStore(redis.Redis(port=port)))
        client.create("FLAG", is_enabled=True)
        times["Redis"] = time_of("client.is_enabled('FLAG')", {"client": client}, LOOPS if is_ours else FEW_LOOPS)
    return times


def import_time(python):
    """The nanoseconds that the package takes to import."""
    code = "import time; begin = time.perf_counter_ns(); import flipper; print(time.perf_counter_ns() - begin)"
    return min(int(subprocess.check_output([python, "-c", code], cwd=HERE)) for _ in range(5))


@contextlib.contextmanager
def redis_port():
    program = shutil.which("redis-server")
    if program is None:
        print("without Redis: redis-server is not installed", file=sys.stderr)
        yield 0
        return
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    server = subprocess.Popen([program, "--port", str(port), "--save", ""], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.01)
        yield port
    finally:
        server.kill()
        server.wait()


def venv_with(folder, packages):
    """The Python of a venv with these packages."""
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def build_bare(folder):
    library = folder / "_bare.abi3.so"
    if library.exists():
        return
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
    # The symbols of Python are those of the process that loads it.
    environment = {**os.environ, "PYO3_BUILD_EXTENSION_MODULE": "1"}
    build = ["cargo", "build", "--quiet", "--release", "--locked", "--package", "flipper-python", "--features", "bench"]
    build += ["--example", "bare"]
    subprocess.run(build, cwd=HERE, env=environment, check=True)
    shutil.copy(target / "release/examples/libbare.so", library)


def table(title, theirs_title, rows):
    print(f"\n| {title} | ours, ns | {theirs_title}, ns | times faster | median |\n|---|---:|---:|---:|---:|")
    for name, ours, theirs in rows:
        ratios = [one / other for other, one in zip(ours, theirs)]
        print(f"| {name} | {min(ours):.0f} | {min(theirs):.0f} | {min(theirs) / min(ours):.1f} | {statistics.median(ratios):.1f} |")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    original = venv_with(folder / "original", ORIGINAL)
    build_bare(folder)
    rounds = []
    with redis_port() as port:
        for _ in range(ROUNDS):
            times = {}
            for side, python in [("ours", sys.executable), ("original", original)]:
                command = [python, __file__, "--measure", side, folder, str(port)]
                times[side] = json.loads(subprocess.check_output(command))
                times[side]["import"] = import_time(python)
            rounds.append(times)

    def all_of(side, case):
        return [times[side][case] for times in rounds]

    shared = [case for case in rounds[0]["original"] if case in rounds[0]["ours"]]
    table("check", "original", [(case, all_of("ours", case), all_of("original", case)) for case in shared])
    bare = all_of("ours", LIMIT)
    table("beside a bare method", "bare", [(case, all_of("ours", case), bare) for case in ("plain", "missing", "handle")])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--measure", side, folder, port]:
            print(json.dumps(measure(folder, int(port), side == "ours")))
        case [folder]:
            main(Path(folder).absolute())
        case _:
            sys.exit(__doc__)
