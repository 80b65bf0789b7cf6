#!/usr/bin/env bash
# Unleash: a property that is an empty text is the number 0 in Node.
# Versions: npm unleash-client 6.12.1, PyPI UnleashClient 6.9.1 (yggdrasil-engine 2.0.0); the same feature, bootstrapped.
# Expected: what is no number fulfils no comparison of numbers, as in Python.
# Seen: for `age < 18` Node takes '' and ' ' for 0, '0x10' for 16 and ' 5' for 5. Python takes none of these for a number, but 'inf', which
# Node does not.
# Consequence: an optional field of a form arrives as ''. In the Node service its users pass every "less than", so they are on; in the
# Python service they are off. An inverted constraint, "not under 18", locks them out of the one and not of the other. Leave the property out.
source "$(dirname "$0")/support/common.sh"

source "$here/support/unleash.sh"
feature NUM_LT '"contextName": "age", "value": "18"'
expected "on for 5 alone"
both '[{"age": "5"}, {"age": ""}, {"age": " "}, {"age": "0x10"}, {"age": " 5"}, {}]'
seen "'5', '', ' ', '0x10', ' 5', missing: Node $node, Python $python"
[ "$node" = "on on on on on off" ] || changed "Node"
[ "$python" = "on off off off off off" ] || changed "Python"
