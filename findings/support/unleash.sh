# Sourced after common.sh: one feature of Unleash, asked in Node and in Python.
python_packages UnleashClient==6.9.1 yggdrasil-engine==2.0.0 APScheduler==3.11.3 fcache==0.6.0 platformdirs==3.11.0 requests==2.34.2 certifi==2026.10.19.post1 \
  charset-normalizer==3.5.3 idna==3.20 urllib3==2.8.0 importlib_metadata==10.2.0 zipp==4.1.2 launchdarkly-eventsource==1.7.4 mmh3==5.3.1 \
  python-dateutil==4.0.0 six==1.17.0 semver==3.1.2 tzlocal==5.4.5 lazy-importer==0.1.0 typing_extensions==4.16.0
npm_packages unleash-client@6.12.1

feature() { # OPERATOR FIELDS: with one constraint
  printf '{"version": 1, "segments": [], "features": [{"name": "flag", "type": "release", "enabled": true, "variants": [], "strategies": [
    {"name": "default", "parameters": {}, "constraints": [{"operator": "%s", "inverted": false, "caseInsensitive": false, %s}]}]}]}' "$1" "$2" >"$home/features.json"
}
cat >"$home/unleash.py" <<'PY'
import json, logging, sys
logging.disable(logging.CRITICAL)
from UnleashClient import UnleashClient
from UnleashClient.cache import FileCache
cache = FileCache("probe", directory=sys.argv[1])
cache.bootstrap_from_dict(json.load(open(sys.argv[1] + "/features.json")))
client = UnleashClient("http://127.0.0.1:1/api", "probe", disable_metrics=True, disable_registration=True, cache=cache)
client.initialize_client(fetch_toggles=False)
print(*("on" if client.is_enabled("flag", {"properties": user}) else "off" for user in json.loads(sys.argv[2])))
PY
cat >"$home/unleash.cjs" <<'JS'
const { InMemStorageProvider, Unleash } = require('unleash-client');
const data = JSON.parse(require('node:fs').readFileSync(process.argv[2] + '/features.json')).features;
const client = new Unleash({ appName: 'probe', url: 'http://127.0.0.1:1/api', disableMetrics: true, refreshInterval: 0, bootstrap: { data }, storageProvider: new InMemStorageProvider() });
client.on('error', () => {});
client.on('warn', () => {});
const answer = () => {
  console.log(JSON.parse(process.argv[3]).map((properties) => (client.isEnabled('flag', { properties }) ? 'on' : 'off')).join(' '));
  process.exit(0);
};
client.getFeatureToggleDefinition('flag') ? answer() : client.once('ready', answer);
JS
both() { # USERS, as JSON: sets $node and $python
  python=$(timeout 60 python3 "$home/unleash.py" "$home" "$1" 2>"$home/python.err") || cannot "the probe in Python: $(tail -1 "$home/python.err")"
  node=$(timeout 60 node "$home/unleash.cjs" "$home" "$1" 2>/dev/null) || cannot "the probe in Node"
}
