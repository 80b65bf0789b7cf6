"""Writes lines of `[text, dumps(loads(text))]` with Python's `json`; null for a text that it refuses."""

import json
import random
import sys

random.seed(int(sys.argv[1]))
count = int(sys.argv[2])


def character():
    kind = random.randrange(8)
    if kind == 0:
        return chr(random.randrange(0xD800, 0xE000))
    if kind == 1:
        return chr(random.randrange(0x110000))
    if kind == 2:
        return random.choice("\0\n\"\\/\x7f\ufffd\ufeff")
    return chr(random.randrange(0x20, 0x7F))


def text():
    return "".join(character() for _ in range(random.randrange(6)))


def number():
    floats = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 5e-324, 1.7976931348623157e308]
    kind = random.randrange(5)
    if kind == 0:
        return random.choice(floats)
    if kind == 1:
        return random.uniform(-1, 1) * 10.0 ** random.randrange(-320, 309)
    if kind == 2:
        return random.randrange(-(10 ** random.randrange(1, 40)), 10 ** random.randrange(1, 40))
    if kind == 3:
        return round(random.uniform(-1000, 1000), random.randrange(4))
    return random.choice([True, False, None, 10**400])


def value(depth):
    kind = random.randrange(4 if depth < 5 else 2)
    if kind == 0:
        return text()
    if kind == 1:
        return number()
    if kind == 2:
        return [value(depth + 1) for _ in range(random.randrange(4))]
    return {text(): value(depth + 1) for _ in range(random.randrange(12))}


PIECES = ["NaN", "Infinity", "-Infinity", "-", "1e999", "-1e999", "1E5", "1.50", "0", "01", "[", "]", "{", "}", ",", ":", " ", "\t",
          "\r\n", '"', '"a"', r'"\ud800"', r"\udc00", r"\u00e9", "\\", "\x0b", "\ufeff", "\u00a0", "true", "null", "nan", "+1", ".5", "\x00"]


def mutated(source):
    for _ in range(random.randrange(3)):
        at = random.randrange(len(source) + 1)
        source = source[:at] + random.choice(PIECES) + source[at + random.randrange(3):]
    return source


for _ in range(count):
    source = json.dumps(value(0), ensure_ascii=random.random() < 0.8)
    # A stored flag is UTF-8, so it has lone surrogates only as escapes.
    source = source.encode("utf-8", "replace").decode()
    if random.random() < 0.6:
        source = mutated(source)
    try:
        written = json.dumps(json.loads(source))
    except ValueError:
        written = None
    print(json.dumps([source, written]))
