// People in a real browser: each line in is JavaScript that may use `open`, `tabs` and `axe`, a line of JSON out.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const [executablePath, timeout] = process.argv.slice(2);
const axeSource = await readFile(fileURLToPath(new URL('../node_modules/axe-core/axe.min.js', import.meta.url)), 'utf8');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
const tabs = {};
const errors = [];

// A tab of a person, whose browser keeps cookies of its own.
const open = async (name, url, options = {}) => {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(Number(timeout));
  const tab = await context.newPage();
  tab.on('pageerror', (error) => errors.push(`${name}: ${error}`));
  // Also what the content security policy forbids.
  tab.on('console', (message) => { if (message.type() === 'error') errors.push(`${name}: ${message.text()}`); });
  tab.on('dialog', (dialog) => { errors.push(`${name}: a dialog: ${dialog.message()}`); dialog.dismiss(); });
  tabs[name] = tab;
  await tab.goto(url);
};

// What a screen reader or a keyboard cannot use.
const axe = async (tab) => {
  await tab.evaluate(axeSource);
  const { violations, passes } = await tab.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  if (passes.length === 0) throw new Error('axe has checked nothing');
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html} ${any.map(({ message }) => message)}`).join('; ')}`);
};

const AsyncFunction = (async () => {}).constructor;
console.log('"ready"');
for await (const line of createInterface({ input: process.stdin })) {
  const run = async () => new AsyncFunction('open', 'tabs', 'axe', 'errors', line)(open, tabs, axe, errors);
  const result = await run().catch((error) => ({ failed: String(error) }));
  console.log(JSON.stringify(result ?? null));
}
await browser.close();
