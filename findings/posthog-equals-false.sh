#!/usr/bin/env bash
# PostHog: "optedOut equals false" is on for "yes" and for 1, and "beta is one of true, false" is off for true.
# Versions: npm posthog-node 5.70.0, PyPI posthog 7.91.1; the same definitions from a stand-in for the API, evaluated locally.
# Expected: "equals false" is on for the boolean false and the text "false"; a list of values is on for each value in it, and for no other.
# Seen: if all values of a condition are "true" or "false", it compares only whether it is true and whether the attribute is. So "equals false" is on for
# all that is not true: "yes", 1, null. A list with both is not true, hence off for true, and on for "unknown"; with one more value it is a list again.
# Both SDKs do so, unless the definitions have `property_matching_version` 2, with which the answers are the expected ones.
# Consequence: who notes "yes" or 1 for a user that opted out has the flag on for all who did. A third value in a list of two changes whom the flag is
# on for. The version comes with the definitions, and the flag does not show it.
source "$(dirname "$0")/support/common.sh"

source "$here/support/posthog.sh"
cases='[["exact", ["false"], false], ["exact", ["false"], "yes"], ["exact", ["false"], 1], ["exact", ["false"], null], ["is_not", ["false"], "yes"],
 ["exact", ["true", "false"], true], ["exact", ["true", "false"], "unknown"], ["exact", ["true", "false", "beta"], true],
 ["exact", ["true", "false", "beta"], "unknown"]]'
expected "on off off off on, on off on off, in both"
both local null "$cases"
show "without a version"
[ "$(xargs <<<"$node")" = "on 0 on 0 on 0 on 0 off 0 off 0 on 0 on 0 off 0" ] || changed "Node"
[ "$python" = "$node" ] || changed "Python"
both local 2 "$cases"
show "version 2"
[ "$(xargs <<<"$node")" = "on 0 off 0 off 0 off 0 on 0 on 0 off 0 on 0 off 0" ] || changed "Node, version 2"
[ "$python" = "$node" ] || changed "Python, version 2"
