#!/usr/bin/env bash
# py-consul: a token argument is ignored if CONSUL_HTTP_TOKEN is set.
# Versions: PyPI py-consul 1.8.0. A small HTTP server on loopback shows what is sent.
# Expected: an argument overrides the environment, as it does for `host` and `port` in the same call (since 1.5.4), for the
# flags of `consul`, and in Consul's Go client.
# Seen: `Consul(host=…, port=…, token="argument")` uses that host and port, and sends the environment's token there. A token
# for a single call, `kv.get(name, token=…)`, is used.
# Consequence: a process with two clients, one to read and one to write, has one token for both; and a client
# for another data centre's address sends it the token of this one. Pass the token to each call, or remove it from the environment.
source "$(dirname "$0")/support/common.sh"

python_packages py-consul==1.8.0 requests==2.34.2 urllib3==2.8.0 idna==3.20 certifi==2026.10.19.post1 charset-normalizer==3.5.3
CONSUL_HTTP_TOKEN=environment CONSUL_HTTP_ADDR=127.0.0.1:9 timeout 60 python3 - >"$home/out" <<'PY'
import http.server, threading
import consul

seen = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen.append(self.headers.get("X-Consul-Token"))
        self.send_response(404)
        self.send_header("X-Consul-Index", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = consul.Consul(host="127.0.0.1", port=server.server_port, token="argument")
client.kv.get("features/a")
client.kv.get("features/a", token="call")
print(*seen)
PY
expected "argument call"
seen "$(cat "$home/out")"
[ "$(cat "$home/out")" = "environment call" ] || changed "whose token is sent"
