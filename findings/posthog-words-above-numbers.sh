#!/usr/bin/env bash
# PostHog: "quota greater than 100" is on in Node for "unlimited", for "n/a" and for true, and "less than 100" for "1,200"; in Python all are off.
# Versions: npm posthog-node 5.70.0, PyPI posthog 7.91.1; the same definitions from a stand-in for the API, evaluated locally.
# Expected: what is no number is neither above nor below one, in both languages; or it is an error in both.
# Seen: Node compares as texts once either side cannot be a number. A letter is above each digit, so words pass "greater than", as true does; a comma and
# nothing are below, so "1,200" and "" pass "less than". "99 seats" is below 100 then. Python leaves such a flag off. Version 2 of the matching changes none.
# Consequence: a limit that is a word for some customers ("unlimited", "n/a", "trial") puts them above every threshold in Node services, and below none, and
# leaves them out in Python. A number that was formatted for people is a small one. Give the attribute as a number, and omit it without a limit.
source "$(dirname "$0")/support/common.sh"

source "$here/support/posthog.sh"
cases='[["gt", "100", 1200], ["gt", "100", "1200"], ["gt", "100", "unlimited"], ["gt", "100", "n/a"], ["gt", "100", true], ["lt", "100", "unlimited"],
 ["lt", "100", "1,200"], ["lt", "100", ""], ["lt", "100", "99 seats"]]'
expected "on on, then off for all that is no number, in both"
for matching in null 2; do
  both local "$matching" "$cases"
  show "matching ${matching/null/without a version}"
  [ "$(xargs <<<"$node")" = "on 0 on 0 on 0 on 0 on 0 off 0 on 0 on 0 on 0" ] || changed "Node"
  [ "$(xargs <<<"$python")" = "on 0 on 0 off 0 off 0 off 0 off 0 off 0 off 0 off 0" ] || changed "Python"
done
