#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How soon the page of a busy node answers: page.py [BUILD] [--samples N] [--screenshots DIR]

Starts fake_node with 2,000 destinations that all change, opens the page in a real Chromium and measures with the
browser's own clocks, from the event to the next painted frame:

    a key in the filter, a click on a column    Event Timing: 'duration', from the time stamp of the real input (to 8 ms)
    the same, and events from the server        from when the code of the page begins

Prints a line for each: median, p95, greatest, samples. Ends with 1 when a median is over 100 ms.
"""

import argparse
import os
import subprocess
import sys

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

BOUND_MS = 100
DESTINATIONS = 2000

# Before the page's own code: begin() at what happened, and the first frame after it is when that was painted.
OBSERVE = '''
const seen = window.seen = {key: [], click: [], input: [], sort: [], event: []};
const painted = (kind, begin) => requestAnimationFrame(() => {
    const after = new MessageChannel();
    after.port1.onmessage = () => seen[kind].push(performance.now() - begin);
    after.port2.postMessage(0);
});
new PerformanceObserver(list => { for (const e of list.getEntries()) {
    if (e.name === "keydown") seen.key.push(e.duration);
    if (e.name === "click") seen.click.push(e.duration);
} }).observe({type: "event", durationThreshold: 16, buffered: true});
addEventListener("input", () => painted("input", performance.now()), true);
addEventListener("click", () => painted("sort", performance.now()), true);
let waiting = false;
const decode = TextDecoder.prototype.decode;
TextDecoder.prototype.decode = function (...bytes) { /* a piece of the stream of events came */
    if (!waiting) { waiting = true; const begin = performance.now(); painted("event", begin); requestAnimationFrame(() => { waiting = false; }); }
    return decode.apply(this, bytes);
};
'''


def start():
    options = Options()
    options.binary_location = '/usr/bin/chromium'
    for argument in ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--window-size=1440,900'):
        options.add_argument(argument)
    return webdriver.Chrome(service=Service('/usr/bin/chromedriver'), options=options)


def wait_for(browser, script, seconds=30):
    """Until @script is true, asked at each frame."""
    browser.set_script_timeout(seconds)
    browser.execute_async_script(f'const done = arguments[0], look = () => ({script}) ? done() : requestAnimationFrame(look); look();')


def quiet(browser, frames=4):
    """Some frames, in which what was asked for is drawn."""
    browser.execute_async_script('let n = arguments[0]; const done = arguments[1], next = () => n-- > 0 ? requestAnimationFrame(next) : done(); next();', frames)


def press(browser, selector):
    """A real click of the mouse."""
    x, y = browser.execute_script('const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2];', selector)
    for kind in ('mousePressed', 'mouseReleased'):
        browser.execute_cdp_cmd('Input.dispatchMouseEvent', {'type': kind, 'x': x, 'y': y, 'button': 'left', 'clickCount': 1})


def measure(browser, samples):
    field = browser.find_element(By.ID, 'filter')
    for i in range(samples):
        field.send_keys('10.0.7'[i % 6])
        quiet(browser)
        if i % 6 == 5:
            field.send_keys(Keys.CONTROL, 'a')
            field.send_keys(Keys.BACKSPACE)
            quiet(browser)
    field.send_keys(Keys.CONTROL, 'a')
    field.send_keys(Keys.BACKSPACE)
    for i in range(samples):
        column = ('destination', 'connects', 'since', 'destination', 'state', 'latency')[i % 6]
        press(browser, f'#head [data-id={column}] button')
        quiet(browser)
    browser.execute_script('seen.event.length = 0')
    wait_for(browser, f'seen.event.length >= {samples}', 120)
    return browser.execute_script('return seen')


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def tell(figures):
    names = {'key': 'key in the filter (Event Timing)', 'input': 'key in the filter (code to frame)',
             'click': 'click on a column (Event Timing)', 'sort': 'click on a column (code to frame)',
             'event': 'events from the server to frame'}
    late = False
    print(f'{"":36} {"median":>8} {"p95":>8} {"max":>8} {"n":>5}  ms')
    for kind, name in names.items():
        values = figures[kind]
        if not values:
            print(f'{name:36} none took 16 ms')
            continue
        late = late or quantile(values, 0.5) > BOUND_MS
        print(f'{name:36} {quantile(values, 0.5):8.1f} {quantile(values, 0.95):8.1f} {max(values):8.1f} {len(values):5}')
    return late


def screenshots(browser, where):
    for scheme in ('light', 'dark'):
        browser.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': [{'name': 'prefers-color-scheme', 'value': scheme}]})
        quiet(browser)
        browser.save_screenshot(os.path.join(where, f'page-{scheme}.png'))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build', nargs='?', default='build')
    parser.add_argument('--samples', type=int, default=40)
    parser.add_argument('--screenshots', metavar='DIR')
    options = parser.parse_args()
    node = subprocess.Popen([f'{options.build}/tests/e2e/fake_node', '0', str(DESTINATIONS)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    browser = start()
    try:
        address = node.stdout.readline().strip()
        browser.execute_cdp_cmd('Page.addScriptToEvaluateOnNewDocument', {'source': OBSERVE})
        browser.get(f'http://{address}/')
        wait_for(browser, f'document.getElementById("count").textContent.startsWith("{DESTINATIONS:,} rows")')
        figures = measure(browser, options.samples)
        late = tell(figures)
        if options.screenshots:
            screenshots(browser, options.screenshots)
    finally:
        browser.quit()
        node.stdin.close()
        node.wait(10)
    sys.exit(1 if late else 0)


if __name__ == '__main__':
    main()
