"""Part of rules.py: whether an attribute passes one check of a `when`."""

import datetime
import ipaddress
import math
import re
from fractions import Fraction


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


COMPARE = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}
MEMBER = {"in": lambda a, b: a in b, "not_in": lambda a, b: a not in b}
TEXTS = {"starts_with": str.startswith, "ends_with": str.endswith, "contains": str.__contains__}


def version(text):
    """A key that sorts as semver.org says, or None."""
    number = "(0|[1-9][0-9]*)"
    part = "(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
    build = r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
    found = re.fullmatch(rf"{number}\.{number}\.{number}(?:-({part}(?:\.{part})*))?{build}", text) if isinstance(text, str) else None
    if not found:
        return None
    pre = found[4]
    parts = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in pre.split(".")] if pre else []
    return [int(found[i]) for i in (1, 2, 3)], pre is None, parts


# The times of the documented library of times.
FIRST, LAST = -377705023201, 253402207200


def moment(value):
    """Seconds since 1970, exactly, or None."""
    if is_number(value):
        return Fraction(round(Fraction(value) * 10**9), 10**9) if FIRST <= value <= LAST else None
    found = isinstance(value, str) and re.fullmatch(
        r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?", value
    )
    if not found:
        return None
    day, time, fraction, zone = found.groups()
    try:
        begin = datetime.datetime.fromisoformat(f"{day}T{time or '00:00:00'}+00:00")
    except ValueError:
        return None
    seconds = Fraction(int(begin.timestamp()))
    if fraction:
        seconds += Fraction("0" + fraction)
    if zone and zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 23 or minutes > 59:
            return None
        seconds -= (1 if zone[0] == "+" else -1) * (hours * 3600 + minutes * 60)
    return seconds if FIRST <= seconds <= LAST else None


def address(text):
    try:
        found = ipaddress.ip_address(text) if isinstance(text, str) and "%" not in text else None
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def as_list(value):
    return value if isinstance(value, list) else [value]


def states(text):
    """About as many as the compiled expression has; its size in bytes is a matter of the documented library."""
    return math.prod(int(count) for count in re.findall("{([0-9]+)}", text)) * len(text)


def pattern(text):
    # `$` is the end in the documented language; in Python it would also be before a last newline.
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", text))


def check_holds(check, context):
    name, operator, value = check["attribute"], check["operator"], check.get("value")
    if name not in context:
        return False
    given = context[name]
    if operator == "exists":
        return given is not None
    try:
        if operator in COMPARE:
            return COMPARE[operator](given, value)
        if operator in MEMBER:
            return MEMBER[operator](given, value)
    except TypeError:
        return False
    if operator == "matches":
        return isinstance(given, str) and pattern(value).search(given) is not None
    if operator == "in_network":
        found = address(given)
        return found is not None and any(found in ipaddress.ip_network(network) for network in as_list(value))
    if operator.startswith(("semver_", "date_")):
        kind, _, compare = operator.partition("_")
        read = version if kind == "semver" else moment
        return read(given) is not None and COMPARE[compare](read(given), read(value))
    ignore_case = operator.endswith("_ignore_case")
    fold = str.lower if ignore_case else str
    kind, wanted = operator.removesuffix("_ignore_case"), [fold(text) for text in as_list(value)]
    if isinstance(given, str):
        return any(TEXTS[kind](fold(given), text) for text in wanted)
    if isinstance(given, list) and kind == "contains":
        return any(isinstance(item, str) and fold(item) in wanted for item in given)
    return False
