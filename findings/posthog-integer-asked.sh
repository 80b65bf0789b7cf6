#!/usr/bin/env bash
# PostHog: with local evaluation, "seats equals 7" is a request to the server at each check in Node if the user has the number 7, and none in Python.
# Versions: npm posthog-node 5.70.0, PyPI posthog 7.91.1; the same definitions, from a stand-in for the API that counts the requests.
# Expected: a condition that needs nothing from the server is decided from the definitions, as local evaluation promises, in both SDKs.
# Seen: "equals" and its opposite send a request for each whole number in Node, also where the value is "pro". None is sent for the text "7", the
# number 7.5, or "at least 7" and "contains 7". With `onlyEvaluateLocally` both are off for such a number. Python decides them all, and is on. Node's
# reason is that it cannot know whether the server reads 7 or 7.0, which are two texts there.
# Consequence: local evaluation is chosen for checks without a round trip, also while the server is away. An id or a count that is a number takes that
# away without a warning: each check waits for the server. Where only local answers count, the flag is off in Node. Give whole numbers as texts.
source "$(dirname "$0")/support/common.sh"

source "$here/support/posthog.sh"
cases='[["exact", ["7"], 7], ["is_not", ["7"], 8], ["is_not", ["pro"], 7], ["exact", ["7"], "7"], ["exact", ["7.5"], 7.5], ["gte", "7", 7], ["icontains", "7", 7]]'
expected "on in both, without a request"
both server null "$cases"
show "requests of ten checks"
[ "$(xargs <<<"$node")" = "on 10 on 10 on 10 on 0 on 0 on 0 on 0" ] || changed "Node"
[ "$(xargs <<<"$python")" = "on 0 on 0 on 0 on 0 on 0 on 0 on 0" ] || changed "Python"
both local null "$cases"
show "only locally"
[ "$(xargs <<<"$node")" = "off 0 off 0 off 0 on 0 on 0 on 0 on 0" ] || changed "Node, only locally"
[ "$(xargs <<<"$python")" = "on 0 on 0 on 0 on 0 on 0 on 0 on 0" ] || changed "Python, only locally"
[ ! -s "$home/node.err" ] || changed "Node warns"
