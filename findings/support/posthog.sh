# Sourced after common.sh: flags of PostHog with one condition each, evaluated in Node and in Python by definitions from a stand-in for its API.
python_packages posthog==7.91.1 requests==2.34.2 certifi==2026.10.19.post1 charset-normalizer==3.5.3 idna==3.20 urllib3==2.8.0 backoff==2.2.1 distro==1.9.0 \
  typing_extensions==4.16.0
npm_packages posthog-node@5.70.0

cat >"$home/api.py" <<'PY'
import http.server, json, sys
asked = 0
class Api(http.server.BaseHTTPRequestHandler):
    def answer(self):
        global asked
        self.rfile.read(int(self.headers.get("content-length") or 0))
        answer = {}
        if self.path.startswith("/flags/definitions"):
            with open(sys.argv[2]) as cases:
                version, cases = json.load(cases)
            condition = lambda operator, value: {"type": "person", "key": "attribute", "operator": operator, "value": value}
            flags = [{"id": n, "key": f"flag-{n}", "active": True, "filters": {"groups": [
                {"properties": [condition(*case[:2])], "rollout_percentage": 100}]}} for n, case in enumerate(cases)]
            answer = {"flags": flags, "group_type_mapping": {}, "cohorts": {}, **({"property_matching_version": version} if version else {})}
        elif self.path.startswith("/flags"):
            asked += 1
            answer = {"flags": {f"flag-{n}": {"key": f"flag-{n}", "enabled": True} for n in range(100)}, "errorsWhileComputingFlags": False}
        elif self.path == "/asked":
            answer, asked = asked, 0
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
PY
cat >"$home/probe.py" <<'PY'
import json, logging, sys, urllib.request
logging.disable(logging.CRITICAL)
from posthog import Posthog
url, cases, local = sys.argv[1], json.load(open(sys.argv[2]))[1], sys.argv[3] == "local"
client = Posthog("project", host=url, secret_key="secret", sync_mode=True, poll_interval=3600)
client.load_feature_flags()
for n, (_, _, attribute) in enumerate(cases):
    for _ in range(10):
        flags = client.evaluate_flags("user", person_properties={"attribute": attribute}, flag_keys=[f"flag-{n}"], only_evaluate_locally=local)
    print("on" if flags.is_enabled(f"flag-{n}") else "off", urllib.request.urlopen(url + "/asked").read().decode())
PY
cat >"$home/probe.cjs" <<'JS'
const { PostHog } = require('posthog-node');
const [url, file, where] = process.argv.slice(2);
(async () => {
  const client = new PostHog('project', { host: url, secretKey: 'secret', featureFlagsPollingInterval: 3600000 });
  await client.reloadFeatureFlags();
  for (const [n, [, , attribute]] of JSON.parse(require('node:fs').readFileSync(file))[1].entries()) {
    let flags;
    for (let check = 0; check < 10; check++) {
      flags = await client.evaluateFlags('user', { personProperties: { attribute }, flagKeys: [`flag-${n}`], onlyEvaluateLocally: where === 'local' });
    }
    console.log(flags.isEnabled(`flag-${n}`) ? 'on' : 'off', await (await fetch(`${url}/asked`)).text());
  }
  process.exit(0);
})();
JS
port=$(free_port)
python3 "$home/api.py" "$port" "$home/cases.json" &
started+=($!)
disown
wait_for_port "$port"

both() { # WHERE: local, or server as the fallback; VERSION of the matching, or null; CASES, as JSON
  # Sets $node and $python: for each case an answer, and the requests of ten checks.
  printf '[%s, %s]' "$2" "$3" >"$home/cases.json"
  python=$(timeout 60 python3 "$home/probe.py" "http://127.0.0.1:$port" "$home/cases.json" "$1" 2>"$home/python.err") || cannot "the probe in Python: $(tail -1 "$home/python.err")"
  node=$(timeout 60 node "$home/probe.cjs" "http://127.0.0.1:$port" "$home/cases.json" "$1" 2>"$home/node.err") || cannot "the probe in Node: $(tail -1 "$home/node.err")"
}
show() { # TITLE: a line for each case
  local case in_node in_python
  while IFS=$'\t' read -r case in_node in_python; do
    seen "$1: $case: Node $in_node, Python $in_python"
  done < <(paste <(python3 -c 'import json, sys; [print(a, json.dumps(b) + ", given", json.dumps(c)) for a, b, c in json.load(open(sys.argv[1]))[1]]' "$home/cases.json") \
    <(echo "$node") <(echo "$python"))
}
