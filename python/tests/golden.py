"""The golden cases, recorded from the original library: the Rust tests' own files."""

import gzip
import json
from datetime import datetime
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "crates/flipper/tests/golden"


def cases(name):
    with gzip.open(GOLDEN / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def clock(now):
    """`datetime` at this Unix time."""

    # No subclass, for those forget which of two equal local hours it is.
    class Fixed:
        fromtimestamp = datetime.fromtimestamp

        @staticmethod
        def now(tz=None):
            return datetime.fromtimestamp(now, tz)

    return Fixed


def sorted_whitelist(text):
    """The text with its whitelist in order, for in the original it is a set."""
    item = json.loads(text)
    bucketer = item["meta"]["bucketer"]
    if "key_whitelist" in bucketer:
        bucketer["key_whitelist"].sort(key=str)
    return json.dumps(item)
