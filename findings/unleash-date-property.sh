#!/usr/bin/env bash
# Unleash: "signed up after 2 January" is on for everybody in Node, and for those who did in Python.
# Versions: npm unleash-client 6.12.1, PyPI UnleashClient 6.9.1 (yggdrasil-engine 2.0.0); the same feature, bootstrapped.
# Expected: a constraint DATE_AFTER on the property `signup` compares that property, in both.
# Seen: Node ignores which property the constraint names, and compares the clock, or `currentTime` of the context. Python compares the property.
# Without the property Python answers off, Node on.
# Consequence: a discount for new customers, tested in the Python service, goes to all customers of the Node service, from the date in the
# constraint on, with no error on either side. Unleash's own specification tests dates only with the clock. Use a number or a segment instead.
source "$(dirname "$0")/support/common.sh"

source "$here/support/unleash.sh"
feature DATE_AFTER '"contextName": "signup", "value": "2026-01-02T00:00:00.000Z"'
expected "on for the second user alone"
both '[{"signup": "2020-05-01T00:00:00Z"}, {"signup": "2026-03-01T00:00:00Z"}, {}]'
seen "signed up in 2020, in March 2026, unknown: Node $node, Python $python"
[ "$node" = "on on on" ] || changed "Node"
[ "$python" = "off on off" ] || changed "Python"
