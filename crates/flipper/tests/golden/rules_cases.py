"""The cases of docs/rules-cases.jsonl, which `rules.py generate` writes: picked by hand, then some by chance, from a fixed seed."""

import itertools

from rules import bucket, nearest
from rules_build import A, B, NOW, case, check, choosing, condition, flag, rule, salted, segment, variants, who
from rules_chance import by_chance
from rules_operators import operators
from rules_read import BUCKETS


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
    yield case("segment: not unreadable", [choosing({"not": {"segment": "beta"}}), unknown], {"plan": "pro"})
    yield case("segment: not in itself", [choosing({"not": {"segment": "beta"}}), itself], {})
    missing, is_pro = {"not": {"segment": "none"}}, check("plan", "eq", "pro")
    for plan in ("pro", "free"):
        yield case("segment: missing, or", [choosing({"any": [missing, is_pro]})], {"plan": plan})
        yield case("segment: missing, not and", [choosing({"not": {"all": [missing, is_pro]}})], {"plan": plan})


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
        "regular expression of 1,001 bytes": rule("on", check(A, "matches", "a" * 1001)),
        "regular expression of a million states": rule("on", check(A, "matches", "(?:a{1000}){1000}")),
        "version": rule("on", check(A, "semver_eq", "2.1")),
        "date": rule("on", check(A, "date_eq", "yesterday")),
        "time without a zone": rule("on", check(A, "date_eq", "2000-01-01T00:00:00")),
        "network": rule("on", check(A, "in_network", "10.0.0.0/33")),
        "texts": rule("on", check(A, "contains", 5)),
        "unknown variant": rule({"variant": "red"}),
        "number as a list": rule("on", check(A, "in", 5)),
        "null as a list": rule("on", check(A, "not_in", None)),
        "WHEN of null": {"when": None, "serve": "on"},
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
        "1,000 prerequisites": {"prerequisites": [{"flag": str(number)} for number in range(1_000)]},
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


def cases():
    for group in (operators, trees, segments, which_part, enabled, prerequisites, schedules, shares, all_variants, unreadable):
        yield from group()
    yield from by_chance(0, 70)
