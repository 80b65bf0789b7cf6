#!/usr/bin/env bash
# One regular expression in a flag's rule is another one in each SDK of the same vendor.
# Versions: npm unleash-client 6.12.1, PyPI UnleashClient 6.9.1 (yggdrasil-engine 2.0.0, in Rust); npm @launchdarkly/node-server-sdk 9.13.7,
# PyPI launchdarkly-server-sdk 9.20.0; the same rule each.
# Expected: a pattern that one SDK of a vendor takes means the same in its other SDKs, or is refused there.
# Seen: `^\d+$` takes Arabic digits in both Python SDKs, ASCII alone in both for Node. `(?i)^beta` ignores case, but in LaunchDarkly's Node SDK
# it never matches, without an error. `(?<tier>gold)` never matches in LaunchDarkly's Python SDK. `^\<staff\>$` is the text <staff>; Unleash's Python
# SDK, whose engine is in Rust, finds the bounds of words and matches staff instead. `^ok$` takes a newline at the end in LaunchDarkly's Python SDK alone.
# Consequence: a rule that was tried out in one service is off, or on for others, in the next one. A pattern that does not compile is a
# rule that does not hold, and nothing says so. Write [0-9] and [Bb], unnamed groups, and no escape before a sign that needs none.
source "$(dirname "$0")/support/common.sh"

source "$here/support/unleash.sh"
npm_packages @launchdarkly/node-server-sdk@9.13.7
pip_into "$home/python" launchdarkly-server-sdk==9.20.0 pyRFC3339==2.1.1 expiringdict==1.2.2
version "PyPI launchdarkly-server-sdk 9.20.0"
cat >"$home/ld.py" <<'PY'
import json, logging, sys, warnings
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")
from ldclient import Context, LDClient
from ldclient.config import Config
from ldclient.integrations import Files
client = LDClient(Config("key", update_processor_class=Files.new_data_source(paths=[sys.argv[1]]), send_events=False))
print("on" if client.variation("flag", Context.builder("user").set("x", sys.argv[2]).build(), None) else "off")
PY
cat >"$home/ld.cjs" <<'JS'
const { init } = require('@launchdarkly/node-server-sdk');
const { FileDataSourceFactory } = require('@launchdarkly/node-server-sdk/integrations');
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const updateProcessor = new FileDataSourceFactory({ paths: [process.argv[2]] }).getFactory();
const client = init('key', { updateProcessor, sendEvents: false, logger });
client.waitForInitialization({ timeout: 10 }).then(async () => {
  console.log((await client.variation('flag', { kind: 'user', key: 'user', x: process.argv[3] }, null)) ? 'on' : 'off');
  process.exit(0);
});
JS
quoted() { python3 -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$1"; }
compare() { # PATTERN VALUE ANSWERS
  feature REGEX "\"contextName\": \"x\", \"value\": $(quoted "$1")"
  both "[{\"x\": $(quoted "$2")}]"
  printf '{"flags": {"flag": {"key": "flag", "version": 1, "on": true, "salt": "s", "targets": [], "prerequisites": [], "variations": [true, false], "offVariation": 1,
    "fallthrough": {"variation": 1}, "rules": [{"id": "rule", "variation": 0, "clauses": [{"attribute": "x", "op": "matches", "values": [%s], "negate": false}]}]}}}' "$(quoted "$1")" >"$home/flags.json"
  local answers
  answers="$node $python $(timeout 60 node "$home/ld.cjs" "$home/flags.json" "$2") $(timeout 60 python3 "$home/ld.py" "$home/flags.json" "$2")" || cannot "LaunchDarkly's probes"
  seen "$1 and $(quoted "$2"): Unleash in Node, in Python, LaunchDarkly in Node, in Python: $answers"
  [ "$answers" = "$3" ] || changed "$1"
}
expected "the two answers of each vendor are the same"
compare '^\d+$' '٣' 'off on off on'
compare '(?i)^beta' 'BETA' 'on on off on'
compare '(?<tier>gold)' 'gold' 'on on on off'
compare '^\<staff\>$' '<staff>' 'on off on on'
compare '^\<staff\>$' 'staff' 'off on off off'
compare '^ok$' $'ok\n' 'off off off on'
