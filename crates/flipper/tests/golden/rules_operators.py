"""Part of rules.py: values and attributes for each operator."""

from rules_build import A, B, case, check, choosing

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
    yield case("operator: matches, of 1,000 bytes", choosing(check(A, "matches", "a" * 1000)), {A: "a" * 1000})
