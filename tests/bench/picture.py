#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The comparison of tests/bench/peers.c as a picture: what stands between a program and its server, and what that costs.

usage: picture.py build/bench.json >docs/images/compared.svg

A bar is the median of the ratio to the same work with nothing between; the thin line on it goes from quartile to quartile.
Readable on light and on dark paper; no script, no font of its own.
"""

import html
import json
import sys

WORKS = (('connection', 'connect, request, answer, close'), ('exchange', 'request and answer alone'),
         ('bulk', '16 MB of an answer'))
CASES = (('ebb', 'ebb, everything on'), ('nftables', 'nftables'), ('iptables', 'iptables'), ('haproxy', 'HAProxy'))
BARS = (('to_none', 'time', 'time'), ('cpu_to_none', 'cpu', 'processor time'))

LEFT, PANEL, GAP, TOP = 128, 200, 22, 62
BAR, ROW = 9, 34

STYLE = '''
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px; fill: #59636e }
.time { fill: #0969da } .cpu { fill: #8c959f }
.line { stroke: #59636e } .spread { stroke: #1f2328 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .small { fill: #9198a1 } .time { fill: #4493f8 } .cpu { fill: #656c76 }
.line { stroke: #9198a1 } .spread { stroke: #f0f6fc } }
'''


def scale_of(peers):
    """The end of the axis: a half above what is longest."""
    most = max(peers[work][case][bar]['p50'] for work, _ in WORKS for case, _ in CASES for bar, _, _ in BARS)
    return max(1.5, (int(most * 2) + 1) / 2)


def text(x, y, words, css='', anchor='start'):
    style = f' class="{css}"' if css else ''
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{style}>{html.escape(words)}</text>'


def bar(x, y, width, ratio, css):
    """One ratio and its number behind it."""
    at = {key: x + ratio[key] * width for key in ('p25', 'p50', 'p75')}
    yield f'<rect class="{css}" x="{x:g}" y="{y:g}" width="{at["p50"] - x:.1f}" height="{BAR}" rx="1"/>'
    yield f'<path class="spread" d="M{at["p25"]:.1f} {y + BAR / 2:g}H{at["p75"]:.1f}"/>'
    yield text(max(at['p50'], at['p75']) + 4, y + BAR - 0.5, f'{ratio["p50"]:.2f}', 'small')


def panel(work, title, figures, x, width):
    bottom = TOP + ROW * len(CASES)
    yield text(x, TOP - 14, title)
    for row, (case, _) in enumerate(CASES):
        y = TOP + ROW * row + 5
        for number, (key, css, _) in enumerate(BARS):
            yield from bar(x, y + number * (BAR + 3), width, figures[work][case][key], css)
    yield f'<path class="line" stroke-dasharray="2 3" d="M{x + width:g} {TOP - 6}V{bottom}"/>'
    yield text(x + width, bottom + 14, '1: nothing between', 'small', 'middle')


def picture(peers):
    scale = scale_of(peers)
    # room for the number behind the longest bar
    width = (PANEL - 34) / scale
    total = LEFT + len(WORKS) * (PANEL + GAP)
    height = TOP + ROW * len(CASES) + 26
    words = '; '.join(f'{name}: time {peers["connection"][case]["to_none"]["p50"]:.2f}' for case, name in CASES)
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" height="{height}" '
           f'role="img" aria-label="A connection with one request, against nothing between: {html.escape(words)}">')
    yield f'<style>{STYLE}</style>'
    x = LEFT
    for key, css, words in BARS:
        yield f'<rect class="{css}" x="{x}" y="9" width="{BAR}" height="{BAR}" rx="1"/>'
        yield text(x + BAR + 5, 18, words + (' of client, server and proxy' if css == 'cpu' else ' as the client sees it'), 'small')
        x += 170
    for row, (_, name) in enumerate(CASES):
        yield text(LEFT - 10, TOP + ROW * row + 21, name, anchor='end')
    for number, (work, title) in enumerate(WORKS):
        yield from panel(work, title, peers, LEFT + number * (PANEL + GAP), width)
    yield '</svg>'


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding='utf-8') as file:
        results = json.load(file)
    if 'peers' not in results:
        print(f"picture.py: {sys.argv[1]}: there is no 'peers' in it: make bench ARGS=peers", file=sys.stderr)
        return 1
    print('\n'.join(picture(results['peers'])))
    return 0


if __name__ == '__main__':
    sys.exit(main())
