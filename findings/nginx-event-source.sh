#!/usr/bin/env bash
# An EventSource outlives a restart of its server, but not behind nginx: one 502 closes it for good.
# Versions: nginx 1.22.1 (Debian bookworm), npm eventsource 4.1.1; Chromium 156, tried by hand, does the same.
# Expected: an EventSource connects again after each loss, every `retry` milliseconds, until the server is back.
# Seen: without a proxy it does. nginx answers the first attempt with 502. By the standard any status but 200 closes an EventSource:
# `readyState` is 2, and no attempt follows, although the server is back.
# Consequence: after each deployment of the server all open pages stay without changes until they are reloaded. Tests without a proxy
# pass. Let the page open a new EventSource when `error` comes with `readyState` 2, or let nginx answer for an absent server with an
# empty stream, as `/mended/` below does; with an Access-Control-Allow-Origin if the pages are of another origin.
source "$(dirname "$0")/support/common.sh"

nginx=$(command -v nginx || PATH=/usr/sbin command -v nginx || true)
if ! "${nginx:-false}" -v 2>&1 | grep -q 'nginx/1\.22\.1'; then
  debian_packages nginx
  nginx=$home/debian/usr/sbin/nginx
  "$nginx" -v 2>&1 | grep -q 'nginx/1\.22\.1' || cannot "no nginx 1.22.1"
fi
version "$("$nginx" -v 2>&1)"
npm_packages eventsource@4.1.1 eventsource-parser@3.0.6
cat >"$home/server.mjs" <<'JS'
import { createServer } from 'node:http';
createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write('retry: 200\ndata: hello\n\n');
}).listen(Number(process.argv[2]), '127.0.0.1');
JS
cat >"$home/client.mjs" <<'JS'
import { EventSource } from 'eventsource';
const [direct, nginx] = process.argv.slice(2).map((port) => `http://127.0.0.1:${port}`);
const sources = Object.entries({ direct, nginx, mended: `${nginx}/mended/` }).map(([name, url]) => {
  const source = new EventSource(url);
  let opened = 0;
  source.onmessage = () => console.log(name, 'opened', opened += 1);
  return { name, source };
});
process.on('SIGUSR2', () => { for (const { name, source } of sources) console.log(name, 'readyState', source.readyState); });
setTimeout(() => process.exit(1), 60_000);
JS
server=$(free_port)
proxy=$(free_port)
mkdir "$home/nginx"
cat >"$home/nginx/nginx.conf" <<NGINX
daemon off; master_process off; pid $home/nginx/pid; error_log $home/nginx/error.log;
events {}
http {
  access_log off; client_body_temp_path $home/nginx/body; proxy_temp_path $home/nginx/proxy; fastcgi_temp_path $home/nginx/fastcgi;
  uwsgi_temp_path $home/nginx/uwsgi; scgi_temp_path $home/nginx/scgi;
  server {
    listen 127.0.0.1:$proxy;
    proxy_buffering off;
    location / { proxy_pass http://127.0.0.1:$server; }
    location /mended/ { proxy_pass http://127.0.0.1:$server; error_page 502 503 504 =200 @absent; }
    location @absent { default_type text/event-stream; return 200 "retry: 200\n\n"; }
  }
}
NGINX
start_server() { node "$home/server.mjs" "$server" & serving=$!; started+=("$serving"); disown; wait_for_port "$server"; }
lines() { [ "$(grep -c "$1" "$home/client.log")" = "$2" ]; }
start_server
"$nginx" -p "$home/nginx" -c "$home/nginx/nginx.conf" -e "$home/nginx/error.log" & started+=($!); disown
wait_for_port "$proxy"
node "$home/client.mjs" "$server" "$proxy" >"$home/client.log" & client=$!; started+=($!); disown
wait_for lines 'opened 1' 3
kill -KILL "$serving"
sleep 2 # ten times `retry`
start_server
(wait_for lines 'direct opened 2' 1) || changed "direct: not opened again"
(wait_for lines 'mended opened 2' 1) || changed "mended: not opened again"
sleep 3 # the absence of an attempt is under test
kill -USR2 "$client"
wait_for lines readyState 3
expected "all are open again (readyState 1) after the server's restart"
found=$(grep readyState "$home/client.log" | xargs)
seen "$found"
[ "$found" = "direct readyState 1 nginx readyState 2 mended readyState 1" ] && lines 'nginx opened' 1 || changed "which are open"
