// A page in a real browser, of another origin than the flags: each line in is an expression that the page evaluates, a line of JSON out.
// `.requests` returns what the page has requested so far, `.reload` loads it again.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const modules = new URL('../node_modules/', import.meta.url);
const imports = {
  '@openfeature/core': '@openfeature/core/dist/esm/index.js',
  '@openfeature/web-sdk': '@openfeature/web-sdk/dist/esm/index.js',
  '@openfeature/ofrep-web-provider': '@openfeature/ofrep-web-provider/index.esm.js',
  '@openfeature/ofrep-core': '@openfeature/ofrep-web-provider/node_modules/@openfeature/ofrep-core/index.esm.js',
  tslib: 'tslib/tslib.es6.mjs',
};
const map = Object.fromEntries(Object.entries(imports).map(([name, file]) => [name, `/modules/${file}`]));
const page = `<!doctype html><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({ imports: map })}</script>
<script type="module">
  import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';
  import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
  const events = [];
  for (const type of Object.values(ProviderEvents))
    OpenFeature.addHandler(type, (details) => events.push({ type, flagsChanged: details?.flagsChanged }));
  const methods = {
    boolean: 'getBooleanDetails', string: 'getStringDetails', integer: 'getNumberDetails', float: 'getNumberDetails',
    object: 'getObjectDetails',
  };
  const start = (options, context = {}) =>
    OpenFeature.setContext(context)
      .then(() => OpenFeature.setProviderAndWait(new OFREPWebProvider(options)))
      .then(() => 'ready', (error) => String(error));
  const details = ({ type, key, default: fallback }) => {
    const { value, variant, reason, errorCode, errorMessage, flagMetadata } = OpenFeature.getClient()[methods[type]](key, fallback);
    return { value, variant, reason, errorCode, errorMessage, metadata: flagMetadata };
  };
  Object.assign(globalThis, { OpenFeature, OFREPWebProvider, events, start, details, loaded: true });
</script>`;

const server = createServer(async (request, response) => {
  if (!request.url.startsWith('/modules/')) return response.setHeader('Content-Type', 'text/html').end(page);
  const file = await readFile(fileURLToPath(new URL(request.url.slice('/modules/'.length), modules))).catch(() => null);
  if (file === null) return response.writeHead(404).end();
  response.setHeader('Content-Type', 'text/javascript').end(file);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({ executablePath: process.argv[2], args: ['--no-sandbox', '--disable-dev-shm-usage'] });
const context = await browser.newContext();
const tab = await context.newPage();
const requests = [];
tab.on('requestfinished', (request) => seen(request));
tab.on('requestfailed', (request) => seen(request));
async function seen(request) {
  if (request.url().startsWith(origin)) return;
  const entry = { method: request.method(), url: request.url(), headers: request.headers() };
  requests.push(entry);
  entry.status = (await request.response().catch(() => null))?.status() ?? null;
}
const load = async () => {
  await tab.goto(origin);
  await tab.waitForFunction('globalThis.loaded');
};
await load();
console.log(JSON.stringify(origin));
const commands = {
  '.requests': async () => requests,
  '.reload': load,
};
for await (const line of createInterface({ input: process.stdin })) {
  const result = await (commands[line] ? commands[line]() : tab.evaluate(line)).catch((error) => ({ failed: String(error) }));
  console.log(JSON.stringify(result ?? null));
}
await browser.close();
server.close();
