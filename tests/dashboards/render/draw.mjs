// SPDX-License-Identifier: Apache-2.0
// Asks Prometheus every query of a dashboard, puts the answers into it, and has Chromium draw it. See render.sh.
import fs from 'fs';
import path from 'path';
import { fileURLToPath } from 'url';
import puppeteer from 'puppeteer-core';

const WIDTH = 1500;
const here = path.dirname(fileURLToPath(import.meta.url));
const [file, prometheus, out, ...settings] = process.argv.slice(2);
const variables = Object.fromEntries(settings.map((setting) => setting.split(/=(.*)/s).slice(0, 2)));
const to = Number(variables.to || Math.floor(Date.now() / 1000));
const from = Number(variables.from || to - 3600);
const step = Math.max(1, Math.floor((to - from) / 300));
const rateInterval = `${variables.rate || Math.max(4 * step, 60)}s`;
const dashboard = JSON.parse(fs.readFileSync(file));

const fillIn = (query) =>
	query.replaceAll('$__rate_interval', rateInterval).replace(/\$\{?(\w+)(:\w+)?\}?/g, (_, name) => variables[name] ?? '.*');

async function ask(target) {
	const query = fillIn(target.expr);
	const url = new URL(`${prometheus}/api/v1/${target.instant ? 'query' : 'query_range'}`);
	const asked = target.instant ? { query, time: to } : { query, start: from, end: to, step };
	Object.entries(asked).forEach(([key, value]) => url.searchParams.set(key, value));
	const answer = await (await fetch(url)).json();
	if (answer.status !== 'success') {
		throw new Error(`${query}: ${answer.error}`);
	}
	return answer.data.result;
}

for (const panel of dashboard.panels) {
	for (const target of panel.targets ?? []) {
		target.result = await ask(target);
		if (target.result.length === 0) {
			console.error(`empty: ${panel.title}: ${fillIn(target.expr)}`);
		}
	}
}

const page = path.join(here, 'page.html');
const data = JSON.stringify({ dashboard, from: from * 1000, to: to * 1000, step, width: WIDTH, theme: variables.theme || 'dark' });
fs.writeFileSync(page, `<html><link rel=stylesheet href=bundle.css><body style="margin:0"><div id=root></div>
<script>window.process = { env: { NODE_ENV: 'production' } }; window.DRAW = ${data.replace(/</g, '\\u003c')}</script><script src="bundle.js"></script></body></html>`);
const browser = await puppeteer.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
const tab = await browser.newPage();
tab.on('pageerror', (error) => console.error(`page: ${error.message}`));
await tab.setViewport({ width: WIDTH, height: 900 });
tab.setDefaultTimeout(0);
await tab.goto(`file://${page}`, { waitUntil: 'domcontentloaded', timeout: 0 });
await tab.waitForFunction('window.DRAWN === true');
await tab.screenshot({ path: out, fullPage: true });
await browser.close();
