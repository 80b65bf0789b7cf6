"""The cases of docs/rules-cases.jsonl, which `rules.py generate` writes: picked by hand, then some by chance, from a fixed seed."""

import itertools

import xxhash

from rules import Flags, bucket, nearest
from rules_read import BUCKETS

NOW = 1_800_000_000
A, B = "a", "b"


def flag(name="F", on=True, **meta):
    return {"feature_name": name, "is_enabled": on, "meta": {"created_date": 1} | meta}


def segment(name, when):
    return flag(f"segments/{name}", False, segment=when)


def case(about, flags, context=None, now=NOW, name="F"):
    flags = flags if isinstance(flags, list) else [flags]
    context = {} if context is None else context
    return {"about": about, "flags": flags, "flag": name, "context": context, "now": now, "expect": Flags(flags, now).evaluate(name, context)}


def check(attribute, operator, *value):
    return {"attribute": attribute, "operator": operator} | ({"value": value[0]} if value else {})


def rule(serve="on", when=None):
    return {"serve": serve} if when is None else {"when": when, "serve": serve}


def choosing(when, **meta):
    """Rule 0 if it holds, else rule 1."""
    return flag(rules=[rule("on", when), rule("off")], **meta)


def condition(variable, value, operator=None):
    return {variable: [{"variable": variable, "value": value, "operator": operator}]}


def salted(share, by="id"):
    return {"type": "SaltedPercentageBucketer", "bucket_by": by, "percentage": {"type": "Percentage", "value": share}}


def variants(*weights, by="id", off=None, buckets=None):
    values = [{"name": name, "weight": weight, "value": f"#{name}"} for name, weight in zip(("red", "green", "blue"), weights)]
    for value, ranges in zip(values, buckets or []):
        value["buckets"] = ranges
    return {"by": by, "values": values} | ({"off": off} if off else {})


def who(wanted, seed=0, name="F", make=lambda number: number):
    """The first caller whose bucket is as wanted."""
    return next(make(number) for number in itertools.count() if wanted(bucket(name, make(number), seed)))


BIG = 2**53
NUMBERS = [1, 1.0, True, 0, False, 2, 0.5, 10**30, "1", None, [1]]
OPERATORS = {
    "eq": [(1, NUMBERS), (BIG, [BIG, BIG + 1, float(BIG), 2.0**53 + 2]), ("pro", ["pro", "Pro", "", None, ["pro"]]),
           (None, [None, 0, False, ""]), ([1, "a"], [[1.0, "a"], [1], "a"]), ({"x": 1}, [{"x": True}, {"x": 2}]), (10**30, [10**30, 1e30])],
    "ne": [(1, [1, 1.0, True, False, 2, "1", None]), ("pro", ["pro", "free", None, 5]), (None, [None, 0])],
    "gt": [(1, [1, 1.5, 2, True, False, "2", None, [2]]), ("b", ["a", "b", "ba", "c", 3, "\U0001f600", "B"]), (BIG, [BIG + 1, float(BIG)])],
    "gte": [(1, [1, 1.0, True, 0.999, False, "1"]), (BIG + 1, [BIG + 1, float(BIG)]), ([1, 2], [[1, 2], [1], [2], ["a"]])],
    "lt": [(1, [0, 1, False, True, -1e308, "0", None]), ("b", ["a", "b", "", 0, ["a"]]), (1e30, [10**30, 10**29])],
    "lte": [(1, [1, True, 1.0001, "1"]), ("\uffff", ["\U0001f600", "\uffff", "a"]), (None, [None, 1])],
    "in": [(["pro", "team"], ["pro", "team", "free", "", None, ["pro"]]), ([1, None, "a"], [1, 1.0, True, None, "a", "1", False]),
           ([], ["a", None]), ([[1], {"x": 1}], [[1.0], {"x": 1}, 1]), ("a text", ["text", "", "Text", 5]), ("", ["", "a"]), ({}, ["a"]), ({"k": 1}, ["k", 1, "x"]),
           ([10**30], [10**30, 1e30])],
    "not_in": [(["pro", "team"], ["pro", "free", None, 7]), ([1], [1, 1.0, True, 2, "1"]), ([], ["a"]), ("a text", ["text", "x", 5]),
               ({"k": 1}, ["k", "x"])],
    "starts_with": [("ab", ["ab", "abc", "a", "ABC", "xab", 5, None, ["ab"]]), (["a", "\u00e9"], ["\u00e9t\u00e9", "e", "a", "b"]), ("", ["", "x"])],
    "ends_with": [("@corp.com", ["a@corp.com", "@corp.com", "a@corp.com.x", "a@CORP.com", True, ["@corp.com"]]), (["x", "yz"], ["z", "ayz"])],
    "contains": [("b", ["abc", "b", "ac", "B", 5, None, ["b"], ["abc"], ["a", "b"], [], [1]]), (["x", "y"], ["ay", "ab", ["y"], ["xy"]])],
    "starts_with_ignore_case": [("AB", ["abc", "ABC", "aB", "xab", 5]), ("\u00c9", ["\u00e9t\u00e9", "\u00c9T", "et"]), (["x", "Y"], ["yes", "no"])],
    "ends_with_ignore_case": [("@CORP.com", ["a@corp.COM", "a@corp.org", None]), ("\u03a3", ["\u03b1\u03c3", "\u03b1\u03c2", "\u0391\u03a3", "x"])],
    "contains_ignore_case": [("STRASSE", ["die strasse", "stra\u00dfe", 5, ["Strasse"], ["xstrasse"]]), (["X"], ["axb", ["x"], ["y"]])],
    "matches": [("^a.*c$", ["abc", "ac", "xabc", "abc\n", "a\nc", 5, None, ["abc"]]), ("[0-9]{3}", ["a123b", "12"]), ("(?i)pro|team", ["PRO", "free"]),
                (r"^\w+@corp\.com$", ["a@corp.com", "a@corpxcom", "\u00e9@corp.com"]), ("", ["", "x"])],
    "exists": [(None, ["pro", 0, False, "", [], {}, None])],
    "in_network": [("10.0.0.0/8", ["10.1.2.3", "11.0.0.0", "::ffff:10.0.0.1", "::ffff:11.0.0.1", "010.0.0.1", "10.0.0", "x", 167772161, None]),
                   (["10.0.0.0/8", "fd00::/8"], ["10.255.255.255", "fd00::1", "FDFF::", "fe00::", "192.168.0.1"]),
                   ("0.0.0.0/0", ["1.2.3.4", "::1", "::ffff:1.2.3.4"]), ("192.0.2.7/32", ["192.0.2.7", "192.0.2.8"]), ("::/0", ["::1", "1.2.3.4"])],
}
VERSIONS = ["2.1.0", "2.1.0+x.1", "2.1.0-rc.1", "2.1.1", "2.0.9", "10.0.0", "2.1", "v2.1.0", "02.1.0", "2.1.0-", 2.1, None, ""]
PRE = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-beta.x", "1.0.0-0", "1.0.0-0a.0-+0.a0", "1.0.0-rc.1", "1.0.0", "1.0.0-1", "1.0.0-01", "1.0.0--"]
TIMES = ["2000-01-01", "2000-01-01T00:00:00Z", "2000-01-01T00:00:00.000+00:00", "2000-01-01T01:00:00+01:00", "1999-12-31T23:59:59.999999999Z",
         "2000-01-01T00:00:00.000000001Z", "1999-12-31T22:30:00-01:30", "2000-01-01T13:00:00+13:00", 946684800, 946684800.0, 946684799, 946684800.5, "946684800",
         "2000-01-01T00:00:00", "2000-02-30", "01.01.2000", "", None, "2000-01-01t00:00:00z", -1]
for compare in ("eq", "ne", "gt", "gte", "lt", "lte"):
    OPERATORS[f"semver_{compare}"] = [("2.1.0", VERSIONS if compare in ("eq", "gte") else VERSIONS[:4])]
    OPERATORS[f"date_{compare}"] = [("2000-01-01", TIMES if compare in ("eq", "lt") else TIMES[:5])]
OPERATORS["semver_lt"].append(("1.0.0-beta.2", PRE))
OPERATORS["semver_gt"].append(("1.0.0-alpha.beta", PRE))
OPERATORS["date_gte"].append(("2000-01-01T02:00:00.25+02:00", [946684800, 946684800.25, "2000-01-01T00:00:00.25Z", 1e308, -1e308]))


def operators():
    for operator, tests in OPERATORS.items():
        for value, givens in tests:
            when = check(A, operator) if operator == "exists" else check(A, operator, value)
            for given in givens:
                yield case(f"operator: {operator}", choosing(when), {A: given})
        yield case(f"missing: {operator}", choosing(when), {B: 1})
        yield case(f"not: {operator}, missing", choosing({"not": when}), {B: 1})
        yield case(f"not: {operator}", choosing({"not": when}), {A: givens[0]})


def nested(when, count):
    return {"not": nested(when, count - 1)} if count else when


def trees():
    a, b, c = check(A, "eq", 1), check(B, "eq", 1), check("c", "eq", 1)
    shapes = [{"any": [{"all": [a, b]}, c]}, {"all": [{"any": [a, b]}, {"not": c}]},
              {"not": {"any": [a, {"not": {"all": [b, c]}}]}}]
    for shape in shapes:
        for bits in range(8):
            yield case("tree", choosing(shape), {name: bits >> place & 1 for place, name in enumerate("abc")})
    for given in (1, 2):
        yield case("tree: deep", choosing(nested(a, 32)), {A: given})
    yield case("tree: all of none", choosing({"all": []}))
    yield case("tree: one of none", choosing({"any": []}))


def segments():
    beta = segment("beta", check("plan", "eq", "pro"))
    pair = segment("pair", {"all": [{"segment": "beta"}, {"not": check("country", "in", ["de"])}]})
    top = segment("top", {"any": [{"segment": "pair"}, check("staff", "eq", True)]})
    everything = [beta, pair, top]
    contexts = [{}, {"plan": "pro"}, {"plan": "pro", "country": "de"}, {"plan": "free"}, {"staff": True}]
    for name, context in itertools.product(("pair", "top", "none"), contexts):
        yield case(f"segment: {name}", [choosing({"segment": name})] + everything, context)
    for name in ("beta", "pair", "top", "none"):
        yield case(f"segment: not {name}", [choosing({"not": {"segment": name}})] + everything, {"plan": "pro", "country": "de"})
    yield case("segment: in a missing one", [choosing({"segment": "pair"}), pair], {"plan": "pro"})
    unknown = segment("beta", {"attribute": "plan", "operator": "like", "value": "p"})
    itself = segment("beta", {"any": [{"segment": "beta"}, check("plan", "eq", "pro")]})
    for context in ({"plan": "pro"}, {"plan": "free"}):
        yield case("segment: in itself", [choosing({"segment": "beta"}), itself], context)
    row = [segment(str(number), {"segment": str(number + 1)}) for number in range(1, 65)] + [segment("65", check(A, "exists"))]
    one_too_many = flag(rules=[rule("off", {"segment": "1"}), rule("on", {"segment": "2"})])
    yield case("segment: 64 in a row", [one_too_many] + row, {A: 1})
    yield case("segment: enabled", [choosing({"segment": "beta"}), {**beta, "is_enabled": True}], {"plan": "pro"})
    yield case("segment: unreadable", [choosing({"segment": "beta"}), unknown], {"plan": "pro"})


def which_part():
    """Each row of the table against the rows below it."""
    deny, meet, fail = condition("plan", "free"), condition("plan", "pro"), condition("plan", "x")
    steps = {"steps": [{"at": NOW - 10, "share": 1}], "by": "id"}
    needs = [{"flag": "P"}]
    contexts = [{}, {"id": 1}, {"plan": "pro", "id": 1}, {"plan": "free", "id": 1}]
    unknown = [rule("on", check(A, "like", 1))]
    rows = {
        "1": flag(on=False, rules=unknown, schedule={"enable_at": NOW + 1}, prerequisites=needs),
        "2": flag(on=False, schedule={"enable_at": NOW + 1}, prerequisites=needs, rules=[rule()], conditions=[meet]),
        "3": flag(schedule={"enable_at": NOW + 1}, prerequisites=needs, deny_conditions=[deny], rules=[rule()]),
        "4": flag(prerequisites=needs, deny_conditions=[deny], rules=[rule()]),
        "5": flag(deny_conditions=[deny], rules=[rule()], conditions=[fail], bucketer=salted(0)),
        "6": flag(rules=[rule("on", check("plan", "exists"))], conditions=[fail], schedule=steps, bucketer=salted(0)),
        "7": flag(conditions=[meet], schedule={**steps, "steps": [{"at": NOW, "share": 0}]}, bucketer=salted(0)),
        "7 strict": flag(conditions=[meet], strict_conditions=True, schedule=steps),
        "8": flag(schedule=steps, bucketer=salted(0)),
        "9": flag(bucketer=salted(0.5)),
        "9 with conditions": flag(conditions=[fail], bucketer=salted(1)),
        "9 without": flag(),
    }
    for row, stored in rows.items():
        for context in contexts:
            for flags in ([stored, flag("P", False)], [stored, flag("P")]) if row == "4" else ([stored, flag("P", False)],):
                yield case(f"row {row}", flags, context)
    yield case("row 1: missing", [flag("G")])
    yield case("row 1: no flags", [])
    yield case("row 7: cannot be compared", flag(conditions=[condition("age", 18, "gt")]), {"age": "x"})
    yield case("row 7: not with null", flag(conditions=[condition("age", 18, "lt")]), {"age": None})
    yield case("row 7: the first that fails", flag(conditions=[meet, condition("age", 18, "gt")]), {"plan": "free", "age": "x"})
    yield case("row 7: skipped", flag(conditions=[meet, condition("age", 18, "gte")]), {"age": 18.0})
    both = [{**condition("plan", "free"), **condition("age", 18, "lt")}]
    for context in ({"plan": "free"}, {"plan": "free", "age": 1}, {"plan": "free", "age": 20}, {"plan": "free", "age": "x"}, {"plan": "pro", "age": "x"}):
        yield case("row 5: two attributes", flag(deny_conditions=both), context)
    for serve in ("on", "off"):
        for number in range(3):
            rules = [rule("off" if serve == "on" else "on", check(A, "eq", 7))] * number + [rule(serve)]
            yield case("row 6: the first rule that holds", flag(rules=rules), {A: 1})


def enabled():
    """`meta.enabled` and `is_enabled`."""
    parts = {"rules": {"rules": [rule()]}, "prerequisites": {"prerequisites": [{"flag": "P"}]}, "schedule": {"schedule": {"enable_at": NOW}}}
    for name, part in parts.items():
        for on, meta in itertools.product((True, False), (None, True, False)):
            stored = flag(on=on, **part, **({} if meta is None else {"enabled": meta}))
            yield case(f"enabled: {name}", [stored, flag("P")], {"id": 1} if on else {})
    yield case("enabled: does not count alone", flag(on=False, enabled=True, conditions=[condition("id", 1)]), {"id": 1})
    yield case("enabled: does not count with variants alone", flag(on=False, enabled=True, variants=variants(BUCKETS)), {"id": 1})
    yield case("enabled: variants alone", flag(variants=variants(BUCKETS)))
    yield case("enabled: variants alone", flag(on=False, variants=variants(BUCKETS, off="red")))


def prerequisites():
    def chain(count, last=True):
        names = ["F"] + [f"P{number}" for number in range(1, count)]
        pairs = zip(names, names[1:] + [None])
        return [flag(name, prerequisites=[{"flag": after}]) if after else flag(name, last) for name, after in pairs]

    def circle(count):
        flags = chain(count)
        flags[-1] = flag(flags[-1]["feature_name"], prerequisites=[{"flag": "F"}])
        return flags

    for count in (2, 3, 10, 64):
        yield case("prerequisite: chain", chain(count))
        if count < 64:
            yield case("prerequisite: chain, the last is off", chain(count, False))
    yield case("prerequisite: missing", flag(prerequisites=[{"flag": "P"}]))
    yield case("prerequisite: unreadable", [flag(prerequisites=[{"flag": "P"}]), flag("P", rules=[{"serve": "maybe"}])])
    for first, second in itertools.product((True, False), repeat=2):
        yield case("prerequisite: two", [flag(prerequisites=[{"flag": "P"}, {"flag": "Q"}]), flag("P", first), flag("Q", second)])
    shared = [flag(prerequisites=[{"flag": "P"}, {"flag": "Q"}])] + [flag(name, prerequisites=[{"flag": "R"}]) for name in "PQ"]
    yield case("prerequisite: twice", shared + [flag("R")])
    yield case("prerequisite: twice", shared + [flag("R", False)])
    by_rule = flag("P", rules=[rule("on", check("plan", "eq", "pro")), rule("off")])
    for context in ({}, {"plan": "pro"}, {"plan": "free"}):
        yield case("prerequisite: with the same attributes", [flag(prerequisites=[{"flag": "P"}]), by_rule], context)
        yield case("prerequisite: scheduled", [flag(prerequisites=[{"flag": "P"}]), flag("P", schedule={"enable_at": NOW + 1})], context)
    for number in range(6):
        yield case("prerequisite: variant", [flag(prerequisites=[{"flag": "P", "variant": "red"}]), flag("P", variants=variants(50_000, 50_000))], {"id": number})
    yield case("prerequisite: no variant without the attribute", [flag(prerequisites=[{"flag": "P", "variant": "red"}]), flag("P", variants=variants(50_000, 50_000))])
    yield case("prerequisite: variant of a flag without", [flag(prerequisites=[{"flag": "P", "variant": "red"}]), flag("P")], {"id": 1})
    chosen = flag("P", rules=[rule({"variant": "green"})], variants=variants(50_000, 50_000))
    for name in ("red", "green"):
        yield case("prerequisite: variant of a rule", [flag(prerequisites=[{"flag": "P", "variant": name}]), chosen], {"id": 1})
    for count in (2, 3, 50):
        yield case(f"circle: {count}", circle(count), {"id": 1}, name="F" if count == 2 else "P1")
    yield case("circle: itself", flag(prerequisites=[{"flag": "F"}]))
    yield case("circle: from outside", circle(2) + [flag("G", prerequisites=[{"flag": "F"}])], name="G")
    yield case("circle: disabled", [flag(on=False, prerequisites=[{"flag": "P"}]), flag("P", prerequisites=[{"flag": "F"}])])
    yield case("circle: off with a variant", [flag(variants=variants(BUCKETS, off="red"), prerequisites=[{"flag": "P"}]), flag("P", prerequisites=[{"flag": "F"}])])


def schedules():
    begin, end = NOW, NOW + 100
    for about, schedule in (("enable_at", {"enable_at": begin}), ("disable_at", {"disable_at": end}), ("both", {"enable_at": begin, "disable_at": end})):
        for now in (begin - 1, begin, begin + 1, end - 1, end, end + 1):
            yield case(f"schedule: {about}", flag(schedule=schedule), {"id": 1}, now)
    hundred = {"steps": [{"at": NOW + number, "share": number / 100} for number in range(100)], "by": "id"}
    yield case("steps: a hundred", flag(schedule=hundred), {"id": 1}, NOW + 50)
    steps = {"steps": [{"at": begin, "share": 0.25}, {"at": end, "share": 0.75}, {"at": end + 50, "share": 1}], "by": "id"}
    inside, between, outside = who(lambda b: b < 25_000), who(lambda b: 25_000 <= b < 75_000), who(lambda b: b >= 75_000)
    for caller, turn in itertools.product((inside, between, outside), (begin, end, end + 50)):
        for now in (turn - 1, turn, turn + 1):
            yield case("steps", flag(schedule=steps), {"id": caller}, now)
    for now in (begin - 1, begin, end + 50):
        yield case("steps: missing attribute", flag(schedule=steps), {"x": 1}, now)
        yield case("steps: no attributes", flag(schedule=steps), {}, now)
        yield case("steps: with conditions", flag(schedule=steps, conditions=[condition("plan", "pro")]), {"id": outside}, now)
        yield case("steps: with conditions", flag(schedule=steps, conditions=[condition("plan", "pro")]), {"id": inside, "plan": "free"}, now)
        yield case("steps: with conditions, no attributes", flag(schedule=steps, conditions=[condition("plan", "pro")]), {}, now)
        yield case("steps: with rules", flag(schedule=steps, rules=[rule("on", check("plan", "eq", "pro"))]), {"id": outside, "plan": "pro"}, now)
        yield case("steps: with an end", flag(schedule={**steps, "enable_at": begin, "disable_at": end + 51}), {"id": inside}, now + 1)


def shares():
    ids = [7, "7", 7.0, True, "", "\u00e9", "\U0001f600", None, 10**30, 1e22, -0.0, [1, "\u00e9"], {"a": 1}]
    for share, caller in itertools.product((0, 1), (7, None)):
        yield case("share: none or all", flag(rules=[rule({"share": share, "by": "id"})]), {"id": caller})
    for caller in ids:
        yield case("share", flag(rules=[rule({"share": 0.5, "by": "id"})]), {"id": caller})
    for caller in range(12):
        yield case("share", flag(rules=[rule({"share": 0.25, "by": "id"})]), {"id": caller})
    caller = who(lambda b: 12_000 < b < 13_000)
    mine = bucket("F", caller, 0)
    for buckets in (mine, mine + 1, mine + 0.4, mine + 0.6):
        yield case("share: at the edge", flag(rules=[rule({"share": buckets / BUCKETS, "by": "id"})]), {"id": caller})
        yield case("share: at the edge of the bucketer", flag(bucketer=salted(buckets / BUCKETS)), {"id": caller})
    for share in (0.123455, 0.123454, 0.29):
        for last in (nearest(share) - 1, nearest(share)):
            yield case("share: rounded", flag(rules=[rule({"share": share, "by": "id"})]), {"id": who(lambda b: b == last)})
    for share in (0, 0.5, 0.99999, 0.999996, 1, 1.0):
        for context in ({}, {"x": 1}):
            yield case("share: missing attribute", flag(rules=[rule({"share": share, "by": "id"})]), context)
    for name in ("G", "\u00fc"):
        for caller in range(4):
            yield case("share: by the flag's name", flag(name, rules=[rule({"share": 0.5, "by": "id"})]), {"id": caller}, name=name)
    for plan in ("pro", "free"):
        for caller in range(4):
            rules = [rule({"share": 0.5, "by": "id"}, check("plan", "eq", "pro")), rule("on")]
            yield case("share: of those whom a rule is about", flag(rules=rules), {"id": caller, "plan": plan})


def all_variants():
    two, three = variants(50_000, 50_000), variants(33_333, 33_333, 33_334)
    ids = [7, "7", 7.0, True, None, "\u00e9", 10**30]
    for caller in ids + list(range(8)):
        yield case("variant", flag(variants=two), {"id": caller})
        yield case("variant: of three", flag(variants=three), {"id": caller})
    moved = variants(60_000, 40_000, buckets=[[[0, 50_000], [90_000, 100_000]], [[50_000, 90_000]]])
    for first, last in ((0, 50_000), (50_000, 90_000), (90_000, 100_000)):
        for caller in (who(lambda b: first <= b < first + 2_000, 1), who(lambda b: last - 2_000 <= b < last, 1)):
            yield case("variant: buckets", flag(variants=moved), {"id": caller})
    edge = bucket("F", 1, 1)
    for first in (edge, edge + 1):
        yield case("variant: at the edge", flag(variants=variants(first, BUCKETS - first)), {"id": 1})
        split = variants(first, BUCKETS - first, buckets=[[[0, first]], [[first, BUCKETS]]])
        yield case("variant: at the edge of buckets", flag(variants=split), {"id": 1})
    for weights in ((BUCKETS,), (0, BUCKETS), (BUCKETS, 0), (1, BUCKETS - 1), (50_000, 50_000)):
        for context in ({}, {"x": 1}, {"id": 1}):
            yield case("variant: missing attribute", flag(variants=variants(*weights)), context)
    for off in (None, "red"):
        stored = variants(50_000, 50_000, off=off)
        for context in ({}, {"id": 1}):
            yield case("variant: disabled", flag(on=False, variants=stored), context)
            yield case("variant: scheduled", flag(schedule={"enable_at": NOW + 1}, variants=stored), context)
            yield case("variant: off by a rule", flag(rules=[rule("off")], variants=stored), context)
            yield case("variant: off by a condition", flag(conditions=[condition("id", 2)], variants=stored), context)
            yield case("variant: off by a deny condition", flag(deny_conditions=[condition("id", 1)], variants=stored), context)
            yield case("variant: off by a prerequisite", [flag(prerequisites=[{"flag": "P"}], variants=stored), flag("P", False)], context)
            yield case("variant: of a rule", flag(rules=[rule({"variant": "green"}, check("id", "exists")), rule({"variant": "red"})], variants=stored), context)
    for caller in range(10):
        yield case("variant: in a share", flag(rules=[rule({"share": 0.5, "by": "id"})], variants=variants(50_000, 50_000, off="green")), {"id": caller, "org": caller % 3})
        yield case("variant: by another attribute", flag(rules=[rule({"share": 0.5, "by": "id"})], variants=variants(50_000, 50_000, by="org")), {"id": caller, "org": caller % 3})


def unreadable():
    good = check(A, "eq", 1)
    rules = {
        "unknown field of a rule": {"serve": "on", "until": 1},
        "unknown operator": rule("on", check(A, "like", 1)),
        "unknown field of a check": rule("on", {**good, "weight": 1}),
        "unknown kind of WHEN": rule("on", {"none": [good]}),
        "WHEN of two kinds": rule("on", {"all": [good], "not": good}),
        "check without a value": rule("on", check(A, "eq")),
        "check without an operator": rule("on", {"attribute": A, "value": 1}),
        "no serve": {"when": good},
        "unknown serve": rule("maybe"),
        "unknown field of a share": rule({"share": 0.5, "by": "id", "seed": 1}),
        "share without by": rule({"share": 0.5}),
        "share over 1": rule({"share": 1.5, "by": "id"}),
        "share under 0": rule({"share": -0.5, "by": "id"}),
        "share as a text": rule({"share": "0.5", "by": "id"}),
        "regular expression": rule("on", check(A, "matches", "(")),
        "version": rule("on", check(A, "semver_eq", "2.1")),
        "date": rule("on", check(A, "date_eq", "yesterday")),
        "time without a zone": rule("on", check(A, "date_eq", "2000-01-01T00:00:00")),
        "network": rule("on", check(A, "in_network", "10.0.0.0/33")),
        "texts": rule("on", check(A, "contains", 5)),
        "unknown variant": rule({"variant": "red"}),
        "empty list": rule("on", check(A, "in", [])),
        "list with a number": rule("on", check(A, "contains", ["x", 5])),
        "no texts": rule("on", check(A, "starts_with", [])),
        "no networks": rule("on", check(A, "in_network", [])),
        "exists with a value": rule("on", check(A, "exists", True)),
        "nested too deep": rule("on", nested(good, 33)),
        "nested too deep in lists": rule("on", {"any": [good, {"all": [nested(good, 31)]}]}),
        "empty name": {"name": "", "serve": "on"},
    }
    for about, one in rules.items():
        yield case(f"unreadable: {about}", flag(rules=[rule("on"), one]), {A: 1})
    two = variants(50_000, 50_000)
    parts = {
        "weight with a point": {"variants": {"by": "id", "values": [{"name": "red", "weight": 1e5, "value": 1}]}},
        "weight below 0": {"variants": variants(-1, BUCKETS + 1)},
        "two variants of one name": {"variants": {"by": "id", "values": [two["values"][0]] * 2}},
        "values of two types": {"variants": {"by": "id", "values": [two["values"][0], {**two["values"][1], "value": 1}]}},
        "buckets of one variant alone": {"variants": variants(50_000, 50_000, buckets=[[[0, 50_000]]])},
        "buckets that are not the weight": {"variants": variants(50_000, 50_000, buckets=[[[0, 40_000]], [[40_000, BUCKETS]]])},
        "buckets that overlap": {"variants": variants(50_000, 50_000, buckets=[[[0, 50_000]], [[40_000, 90_000]]])},
        "an empty range": {"variants": variants(BUCKETS, buckets=[[[0, BUCKETS], [BUCKETS, BUCKETS]]])},
        "a variant without a name": {"variants": {"by": "id", "values": [{"name": "", "weight": 0, "value": 1}, {"name": "red", "weight": BUCKETS, "value": 1}]}},
        "101 prerequisites": {"prerequisites": [{"flag": str(number)} for number in range(101)]},
        "101 steps": {"schedule": {"steps": [{"at": number, "share": 1} for number in range(101)], "by": "id"}},
        "prerequisite twice": {"prerequisites": [{"flag": "P"}] * 2},
        "schedule without a time": {"schedule": {}},
        "end before the beginning": {"schedule": {"enable_at": NOW, "disable_at": NOW - 1}},
        "end at the beginning": {"schedule": {"enable_at": NOW, "disable_at": NOW}},
        "end at a step": {"schedule": {"steps": [{"at": NOW, "share": 1}], "by": "id", "disable_at": NOW}},
        "step before the beginning": {"schedule": {"enable_at": NOW, "steps": [{"at": NOW - 1, "share": 1}], "by": "id"}},
        "steps out of order": {"schedule": {"steps": [{"at": NOW, "share": 0.1}, {"at": NOW - 1, "share": 1}], "by": "id"}},
        "step over 1": {"schedule": {"steps": [{"at": NOW, "share": 2}], "by": "id"}},
        "one time with a point": {"schedule": {"enable_at": NOW - 1, "disable_at": NOW + 0.5}},
        "time with a point": {"schedule": {"enable_at": NOW + 0.5}},
        "weights of 99,999": {"variants": variants(50_000, 49_999)},
        "weights of 100,001": {"variants": variants(50_000, 50_001)},
        "no variants": {"variants": variants()},
        "unknown field of variants": {"variants": {**two, "seed": 1}},
        "unknown field of a variant": {"variants": {**two, "values": [{**two["values"][0], "weight": BUCKETS, "x": 1}]}},
        "unknown off-variant": {"variants": variants(50_000, 50_000, off="blue")},
        "variants without by": {"variants": {"values": two["values"]}},
        "unknown field of a prerequisite": {"prerequisites": [{"flag": "P", "on": False}]},
        "prerequisite without a flag": {"prerequisites": [{"variant": "red"}]},
        "unknown field of a schedule": {"schedule": {"enable_at": 1, "weekdays": [1]}},
        "unknown field of a step": {"schedule": {"steps": [{"at": 1, "share": 1, "to": 1}], "by": "id"}},
        "steps without by": {"schedule": {"steps": [{"at": 1, "share": 1}]}},
    }
    for about, meta in parts.items():
        yield case(f"unreadable: {about}", flag(**meta), {A: 1})
    yield case("unreadable: and disabled", flag(on=False, **parts["weights of 99,999"]), {A: 1})


class Chance:
    """The same numbers in all versions of Python."""

    def __init__(self, seed):
        self.seed, self.count = seed, 0

    def below(self, limit):
        self.count += 1
        return xxhash.xxh3_64_intdigest(b"%d" % self.count, seed=self.seed) % limit

    def one(self, items):
        return items[self.below(len(items))]

    def sometimes(self, of):
        return self.below(of) == 0


def by_chance(seed, count):
    chance = Chance(seed)
    tests = {operator: [value for value, _ in tests] for operator, tests in OPERATORS.items()}
    givens = [given for tests in OPERATORS.values() for _, some in tests for given in some]

    def any_check():
        operator = chance.one(list(OPERATORS))
        return check(A, operator) if operator == "exists" else check(A, operator, chance.one(tests[operator]))

    def any_condition():
        operator = chance.one(["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in"])
        return condition(A, chance.one(tests[operator]), None if operator == "eq" else operator)

    values = {A: givens, "plan": ["pro", "free", "team", None], "age": [17, 18, 18.0, "18", True], "id": list(range(50)), "app": ["2.1.0", "1.9.9", "x"]}
    checks = [lambda: check("plan", chance.one(["eq", "ne", "in", "not_in", "contains"]), chance.one(["pro", "free"])),
              lambda: check("age", chance.one(["eq", "ne", "gt", "gte", "lt", "lte"]), chance.one([18, 17.5, "18"])),
              lambda: check("id", chance.one(["in", "not_in"]), [chance.below(50) for _ in range(1 + chance.below(3))]),
              lambda: check("app", chance.one(["semver_lt", "semver_gte"]), chance.one(["2.0.0", "2.1.0"])), lambda: check("plan", "exists"), any_check, any_check]

    def when(depth):
        kind = chance.one(["check", "check", "all", "any", "not", "segment"] if depth else ["check"])
        if kind == "check":
            return chance.one(checks)()
        if kind == "segment":
            return {"segment": chance.one(["s", "t", "none"])}
        return {"not": when(depth - 1)} if kind == "not" else {kind: [when(depth - 1) for _ in range(chance.below(3))]}

    def one_rule(names):
        serves = ["on", "off", {"share": chance.one([0.1, 0.5, 0.9]), "by": chance.one(["id", "plan"])}] + [{"variant": name} for name in names]
        return rule(chance.one(serves), None if chance.sometimes(5) else when(1))

    def one_flag(name, others):
        meta, names = {}, []
        if chance.sometimes(2):
            first, names = chance.below(BUCKETS + 1), ["red", "green"]
            meta["variants"] = variants(first, BUCKETS - first, off=chance.one([None, *names]))
        if not chance.sometimes(4):
            meta["rules"] = [one_rule(names) for _ in range(1 + chance.below(2))]
        if others and chance.sometimes(2):
            meta["prerequisites"] = [{"flag": other} | ({"variant": "red"} if chance.sometimes(6) else {}) for other in others]
        if chance.sometimes(4):
            meta["schedule"] = {"enable_at": NOW - 5 + chance.below(8), "disable_at": NOW + 3 + chance.below(8)}
        elif chance.sometimes(4):
            meta["schedule"] = {"steps": [{"at": NOW + chance.below(3), "share": 0.5}, {"at": NOW + 3, "share": 0.9}], "by": "id"}
        if chance.sometimes(4):
            one = condition(*chance.one([("plan", "pro"), ("age", 18, "gte"), ("plan", ["pro", "team"], "in")]))
            meta["conditions"] = [one, any_condition()] if chance.sometimes(2) else [one]
        if chance.sometimes(6):
            meta["deny_conditions"] = [condition("plan", "free") if chance.sometimes(2) else any_condition()]
        if chance.sometimes(9):
            meta["strict_conditions"] = True
        if chance.sometimes(4):
            meta["bucketer"] = salted(chance.one([0.2, 0.8]))
        on = not chance.sometimes(8)
        if on and {"rules", "prerequisites", "schedule"} & set(meta) and chance.sometimes(2):
            return flag(name, False, enabled=True, **meta)
        return flag(name, on, **meta)

    for _ in range(count):
        flags = [one_flag("F", chance.one([[], ["P"], ["P", "Q"]])), one_flag("P", chance.one([[], ["Q"]])), one_flag("Q", [])]
        flags += [segment("s", when(1)), segment("t", when(0))]
        kept = flags[:1]
        for one in flags[1:]:
            kind, _, name = one["feature_name"].rpartition("/")
            if f"'{'segment' if kind else 'flag'}': '{name}'" in str(kept):
                kept.append(one)
        context = {name: chance.one(options) for name, options in values.items() if not chance.sometimes(4)}
        yield case("chance", kept, {} if chance.sometimes(10) else context, NOW + chance.below(8))


def cases():
    for group in (operators, trees, segments, which_part, enabled, prerequisites, schedules, shares, all_variants, unreadable):
        yield from group()
    yield from by_chance(0, 70)
