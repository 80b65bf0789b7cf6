#!/usr/bin/env bash
# LaunchDarkly: "after 2 January" holds for `2026-01-03 00:00:00+00:00`, what Python makes of a time, in Python, and not in Node.
# Versions: npm @launchdarkly/node-server-sdk 9.13.7, PyPI launchdarkly-server-sdk 9.20.0 with Python 3.11; the same flags in a file.
# Expected: both SDKs read the same texts as times, so that each of these, all of one moment, is after 2 January in both.
# Seen: Python reads what `datetime.fromisoformat` does, Node less: no space in place of the T, no small t or z, no time without seconds, no zone
# of two digits. So what `str` makes in Python, `toString` of an OffsetDateTime in Java and a cast in PostgreSQL is after in Python alone; `T24:00:00Z` in
# Node alone. A text that is not read is neither before nor after, hence a negated clause holds for it: "not before" and "not after" both.
# Consequence: of two services that take the time from the same column, one shows "signed up after" to all who did, the other to none of them, and
# "not after" to everyone. Give milliseconds, or what `isoformat` and `toISOString` make.
source "$(dirname "$0")/support/common.sh"

python_packages launchdarkly-server-sdk==9.20.0 launchdarkly-eventsource==1.7.4 certifi==2026.10.19.post1 urllib3==2.8.0 pyRFC3339==2.1.1 semver==3.1.2 expiringdict==1.2.2
npm_packages @launchdarkly/node-server-sdk@9.13.7
flag() { # KEY OPERATOR NEGATE
  printf '"%s": {"key": "%s", "version": 1, "on": true, "salt": "s", "targets": [], "prerequisites": [], "variations": ["on", "off"], "offVariation": 1,
    "fallthrough": {"variation": 1}, "rules": [{"id": "r", "variation": 0,
      "clauses": [{"attribute": "joined", "op": "%s", "values": ["2026-01-02T12:00:00Z"], "negate": %s}]}]}' "$1" "$1" "$2" "$3"
}
printf '{"flags": {%s, %s, %s, %s}}' "$(flag after after false)" "$(flag before before false)" \
  "$(flag not-after after true)" "$(flag not-before before true)" >"$home/flags.json"
cat >"$home/times.json" <<'JSON'
["2026-01-03T00:00:00Z", "2026-01-03T00:00:00+00:00", "2026-01-03T00:00:00.000Z", "2026-01-03 00:00:00+00:00", "2026-01-03 00:00:00+00",
 "2026-01-03T00:00Z", "2026-01-03t00:00:00z", "2026-01-02T24:00:00Z"]
JSON
cat >"$home/probe.py" <<'PY'
import json, logging, sys
logging.disable(logging.CRITICAL)
from ldclient import Context, LDClient
from ldclient.config import Config
from ldclient.integrations import Files
client = LDClient(Config("key", update_processor_class=Files.new_data_source(paths=[sys.argv[1]]), send_events=False))
for joined in json.load(open(sys.argv[2])):
    context = Context.builder("user").set("joined", joined).build()
    print(*(client.variation(flag, context, None) for flag in ("after", "before", "not-after", "not-before")), joined)
PY
cat >"$home/probe.cjs" <<'JS'
const { init } = require('@launchdarkly/node-server-sdk');
const { FileDataSourceFactory } = require('@launchdarkly/node-server-sdk/integrations');
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const updateProcessor = new FileDataSourceFactory({ paths: [process.argv[2]] }).getFactory();
const client = init('key', { updateProcessor, sendEvents: false, logger });
client.waitForInitialization({ timeout: 10 }).then(async () => {
  for (const joined of require(process.argv[3])) {
    const answers = [];
    for (const flag of ['after', 'before', 'not-after', 'not-before']) {
      answers.push(await client.variation(flag, { kind: 'user', key: 'user', joined }, null));
    }
    console.log(...answers, joined);
  }
  process.exit(0);
});
JS
timeout 60 python3 "$home/probe.py" "$home/flags.json" "$home/times.json" >"$home/python.out" || cannot "the probe in Python"
timeout 60 node "$home/probe.cjs" "$home/flags.json" "$home/times.json" >"$home/node.out" || cannot "the probe in Node"
expected "after, before, not after, not before 2 January, 12:00: on off off on for each text, in both"
read_by() { # LANGUAGE WHICH: r for a text that is read, u for an unread one
  local answers result=''
  while read -r answers; do
    seen "$1: $answers"
    case $answers in
      "on off off on "*) result+=r ;;
      "off off on on "*) result+=u ;;
      *) changed "$1, $answers" ;;
    esac
  done <"$home/$1.out"
  [ "$result" = "$2" ] || changed "$1: the texts that are read, $result instead of $2"
}
read_by python rrrrrrru
read_by node rrruuuur
