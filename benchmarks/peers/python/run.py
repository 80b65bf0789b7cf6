#!/usr/bin/env python3
"""Checks in Python: Flipper's package, the library that it replaces, and the SDKs of other services, in one run.

Each contestant is a process of its own; all of them stay, and take turns of 20 ms, so that a busy machine slows all of them. A figure is
the median of the rounds, a ratio the median of the rounds' ratios. Nothing leaves this machine.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import venv
from pathlib import Path

import rows

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
RESULTS = HERE.parent / "results-python.md"
ORIGINAL = ["flipper-client==1.3.2", "redis==4.4.4", "pyee==6.0.0", "thrift==0.25.0", "python-consul==1.1.0", "setuptools<81"]
SDKS = [
    "UnleashClient==6.9.1", "growthbook==4.0.0", "openfeature-sdk==0.10.0", "launchdarkly-server-sdk==9.20.0", "configcat-client==10.0.1",
    "splitio_client==10.7.0",
]  # fmt: skip
# Name, title, environment, package.
CONTESTANTS = [
    ("limit", "limit: a dict, `==`", "sdks", "Python"),
    ("ours", "Flipper", "ours", "flipper-client-rs"),
    ("ours_salted", "Flipper, salted hash", "ours", "flipper-client-rs"),
    ("ours_by_handle", "Flipper, by handle", "ours", "flipper-client-rs"),
    ("ours_openfeature", "OpenFeature, Flipper", "ours", "flipper-client-rs"),
    ("original", "the original", "original", "flipper-client"),
    ("openfeature", "OpenFeature, a dict", "sdks", "openfeature-sdk"),
    ("unleash", "Unleash", "sdks", "UnleashClient"),
    ("launchdarkly", "LaunchDarkly", "sdks", "launchdarkly-server-sdk"),
    ("growthbook", "GrowthBook, an instance each", "sdks", "growthbook"),
    ("configcat", "ConfigCat", "sdks", "configcat-client"),
    ("split", "Split", "sdks", "splitio_client"),
]


def environment(name, packages):
    """The Python of a venv that has these packages."""
    folder = ROOT / ".cache/peers" / name
    wanted, python = "\n".join(packages), folder / "bin/python"
    if (folder / "packages").exists() and (folder / "packages").read_text() == wanted and name != "ours":
        return python
    print(f"installing {name}", file=sys.stderr)
    if not python.exists():
        venv.create(folder, with_pip=True)
    # The core is built each time, by cargo, which knows what has changed.
    again = ["--no-build-isolation"] if name == "ours" else []
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if again:
        subprocess.run([*pip, "maturin>=1.9,<2"], check=True)
    subprocess.run([*pip, *again, *packages], check=True, env={**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"})
    (folder / "packages").write_text(wanted)
    return python


class Contestant:
    def __init__(self, name, python, row):
        command = [python, HERE / "contestants.py", name, row]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.times = []

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[2:]} ended: {self.process.stderr.read()}")
        return json.loads(line)

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.times.append(self.read())

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


def measure(key, pythons, rounds):
    started = {name: Contestant(name, pythons[where], key) for name, _, where, _ in CONTESTANTS}
    sizes = {name: contestant.read() for name, contestant in started.items()}
    running = {name: contestant for name, contestant in started.items() if sizes[name] is not None}
    order = list(running.values())
    for turn in range(rounds):
        for contestant in order[turn % len(order) :] + order[: turn % len(order)]:
            contestant.round()
    for contestant in running.values():
        contestant.end()
    return {name: (contestant.times, sizes[name]["bytes"]) for name, contestant in running.items()}


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


TITLES = {name: title for name, title, _, _ in CONTESTANTS}


def ratio(found, name):
    return statistics.median(one / other for one, other in zip(found[name][0], found["ours"][0]))


def table(key, found):
    yield f"\n### {rows.TITLES[key][0].upper()}{rows.TITLES[key][1:]} (`{key}`)\n\n| | ns | quartiles | × Flipper |\n|---|---|---|---|"
    for name, (times, _) in found.items():
        low, middle, high = statistics.quantiles(times, n=4)
        yield f"| {TITLES[name]} | {number(middle)} | {number(low)} – {number(high)} | {number(ratio(found, name))} |"
    if key == rows.MEMORY:
        yield "\n### Bytes of a flag, 10,000 flags\n\n| | bytes |\n|---|---|"
        for name, (_, size) in found.items():
            yield f"| {TITLES[name]} | {size:,.0f} |"


def fastest(found):
    yield "\n### Beside the fastest other library\n\n| row | fastest | × Flipper |\n|---|---|---|"
    for key, row in found.items():
        others = [name for name in row if name != "limit" and not name.startswith("ours")]
        name = min(others, key=lambda name: ratio(row, name))
        yield f"| {rows.TITLES[key]} | {TITLES[name]} | {number(ratio(row, name))} |"


def versions(pythons):
    yield "| | package | version |\n|---|---|---|"
    for _, title, where, package in CONTESTANTS:
        code = f"import importlib.metadata as m, platform; print(platform.python_version() if {package!r} == 'Python' else m.version({package!r}))"
        yield f"| {title} | `{package}` | {subprocess.check_output([pythons[where], '-c', code], text=True).strip()} |"


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "an unknown processor")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(rows.TITLES), help=f"of {', '.join(rows.TITLES)}")
    parser.add_argument("--quick", action="store_true", help="5 rounds in place of 35, and rough")
    parser.add_argument("--write", action="store_true", help="also write benchmarks/peers/results-python.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the times of all rounds")
    options = parser.parse_args()
    keys = options.rows.split(",")
    if unknown := [key for key in keys if key not in rows.TITLES]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(rows.TITLES)}")
    packages = {"ours": [str(ROOT / "python"), "openfeature-sdk==0.10.0"], "original": ORIGINAL, "sdks": SDKS}
    pythons = {name: environment(name, wanted) for name, wanted in packages.items()}
    load = os.getloadavg()[0]
    page, found = [], {}

    def show(lines):
        for line in lines:
            print(line, flush=True)
            page.append(line)

    show(versions(pythons))
    for key in keys:
        found[key] = measure(key, pythons, 5 if options.quick else 35)
        show(table(key, found[key]))
    show(fastest(found))
    if options.write:
        head = f"# A run in Python\n\n`scripts/bench peers-python`{', quick and rough' if options.quick else ''}, {datetime.date.today()}, {os.cpu_count()} × {processor()}, a load of {load:.1f} before it began."
        RESULTS.write_text("\n".join([head, "", *page, ""]))
    if options.json:
        options.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
