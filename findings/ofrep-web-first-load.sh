#!/usr/bin/env bash
# OFREP's web provider: if its first request fails once, the page has its defaults until it is reloaded, whatever `pollInterval` is.
# Versions: npm @openfeature/ofrep-web-provider 0.4.3, @openfeature/web-sdk 1.10.0.
# Expected: with `pollInterval: 200` the provider asks again after 200 ms, and is ready once the server answers. After a failed poll the
# next one makes it READY again.
# Seen: polling starts after a successful first request only. After one 503 the provider is in ERROR and sends nothing more. To set the
# same provider again succeeds, and does nothing. When a later poll fails, polling goes on and the values change, but the status is
# STALE for good.
# Consequence: a page that is loaded during the second in which the server restarts shows its defaults for as long as it is open. Catch
# the error of `setProviderAndWait`, and after a pause set a new provider. A monitor of STALE reports pages that are current.
source "$(dirname "$0")/support/common.sh"

npm_packages @openfeature/ofrep-web-provider@0.4.3 @openfeature/ofrep-core@2.3.0 @openfeature/web-sdk@1.10.0 @openfeature/core@1.12.0
cat >"$home/probe.mjs" <<'JS'
import { createServer } from 'node:http';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature } from '@openfeature/web-sdk';

let requests = 0, failing = () => false, on = true;
const server = createServer((request, response) => {
  requests += 1;
  const fails = failing();
  response.writeHead(fails ? 503 : 200, { 'content-type': 'application/json' });
  response.end(fails ? '' : JSON.stringify({ flags: [{ key: 'flag', value: on, variant: on ? 'on' : 'off', reason: 'STATIC' }] }));
}).listen(0, '127.0.0.1', async () => {
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const quiet = { debug() {}, info() {}, warn() {}, error() {} };
  OpenFeature.setLogger(quiet);
  const provide = () => new OFREPWebProvider({ baseUrl: `http://127.0.0.1:${server.address().port}`, pollInterval: 200, cacheMode: 'disabled' }, quiet);
  const set = (provider) => OpenFeature.setProviderAndWait(provider).then(() => 'succeeds', () => 'fails');
  const client = OpenFeature.getClient();
  const state = () => `${client.providerStatus} ${client.getBooleanValue('flag', false)}`;

  failing = () => requests === 1;
  const first = provide();
  await set(first);
  await pause(3000); // fifteen times pollInterval: the absence of a request is under test
  console.log('first request failed:', state(), 'requests', requests);
  console.log('set again', await set(first), state(), 'requests', requests);
  await set(provide());
  console.log('set a new one', state());

  let failed = 0;
  failing = () => failed++ === 0;
  while (failed < 5) await pause(20);
  on = false;
  while (client.getBooleanValue('flag', true)) await pause(20);
  await pause(1000);
  console.log('later request failed:', state());
  process.exit(0);
});
JS
timeout 60 node "$home/probe.mjs" >"$home/out" || cannot "the probe"
expected "first request failed: READY true; later request failed: READY false"
while read -r line; do seen "$line"; done <"$home/out"
[ "$(cat "$home/out")" = 'first request failed: ERROR false requests 1
set again succeeds ERROR false requests 1
set a new one READY true
later request failed: STALE false' ] || changed "the states"
