// Plays one URL in headless Chromium and prints what the player saw as one line of JSON.
// node play.mjs '{"page":…, "url":…, "player":"hls|dash|shaka|native", …}'; see tests/lab/browser.py.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const order = JSON.parse(process.argv[2]);
const profile = mkdtempSync(join(tmpdir(), 'lab-chromium-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: order.chromium,
  headless: true,
  viewport: { width: 960, height: 600 },
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
    '--disable-background-networking', '--disable-component-update',
    '--autoplay-policy=no-user-gesture-required',
  ],
});
try {
  const page = context.pages()[0] ?? await context.newPage();
  const pageErrors = [];
  page.on('pageerror', (error) => pageErrors.push(`page: ${error.message}`));
  await page.goto(`${order.page}?player=${order.player}`);
  const report = await page.evaluate((wish) => window.lab.play(wish), order);
  if (order.screenshot) await page.screenshot({ path: order.screenshot });
  report.errors.push(...pageErrors);
  console.log(JSON.stringify(report));
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
