# SPDX-License-Identifier: Apache-2.0
"""The results of growth.py as a table in Markdown and as a picture. What grows worse than linearly is said first."""

import html
import math

import figures

STEEP = 1.2  # the exponent from which on growth is told as worse than linear: the rest may be the machine's
MEASURES = {
    'connect': ('connect() to a random pair', 'x', lambda p: p['connect']['random']['ratio']['p50']),
    'tick': ('a tick, 500 connections/s', 'us', lambda p: p['busy_tick_us']),
    'share': ('processor, 500 connections/s', '%', lambda p: p['busy_share'] * 100),
    'scrape': ('a scrape', 'ms', lambda p: p['scrape_ms']),
    'memory': ('memory of the agent', 'MB', lambda p: p['anonymous_bytes'] / 1e6),
    'start': ('start over what stands pinned', 'ms', lambda p: p['pinned']['started_ms']),
}
TOLD = {  # of these only the table tells
    'idle tick': ('a tick, nothing to do', 'us', lambda p: p['idle_tick_us']),
    'idle share': ('processor, nothing to do', '%', lambda p: p['idle_share'] * 100),
    'bytes': ('size of a scrape', 'MB', lambda p: p['scrape_bytes'] / 1e6),
    'maps': ('memory of the maps', 'MB', lambda p: p['map_bytes'] / 1e6),
    'new': ('start without pins', 'ms', lambda p: p['new']['started_ms']),
}


def pairs_of(point):
    return point['destinations'] * point['workloads']


def lines_of(report):
    """The points along which only the destinations grow, and those along which only the workloads do."""
    points = sorted(report['points'], key=pairs_of)
    each = min((p['destinations'] for p in points), default=0)
    return [('destinations, one workload', [p for p in points if p['workloads'] == 1]),
            (f'workloads, {each} destinations each', [p for p in points if p['destinations'] == each])]


def steep(report):
    """Lines about what grows worse than linearly between two points."""
    for words, points in lines_of(report):
        for name, unit, value in (*MEASURES.values(), *TOLD.values()):
            for a, b in zip(points, points[1:]):
                exponent = figures.exponent((pairs_of(a), value(a)), (pairs_of(b), value(b)))
                if exponent is not None and exponent > STEEP:
                    yield (f'- {name}: from {value(a):.3g} to {value(b):.3g} {unit} between {pairs_of(a):,} and {pairs_of(b):,} pairs '
                           f'({words}): with the power of {exponent:.1f}.')


def ratio(figure):
    return f'x {figure["ratio"]["p50"]:.3f}'


def megabytes(count):
    return f'{count / 1e6:.3g} MB'


def started(ms):
    return 'not within a minute' if ms is None else f'{ms:.0f} ms'


def row(p):
    new, pinned, connect = p['new'], p['pinned'], p['connect']
    return (f'| {p["destinations"]:,} x {p["workloads"]:,} | {ratio(connect["warm"])} | {ratio(connect["random"])} | {ratio(connect["random_again"])} | '
            f'{p["idle_tick_us"]:.0f} us, {p["busy_tick_us"]:.0f} us | {p["idle_share"]:.3%}, {p["busy_share"]:.2%} | '
            f'{megabytes(p["anonymous_bytes"])}, {megabytes(p["map_bytes"])} | {p["scrape_ms"]:.1f} ms, {megabytes(p["scrape_bytes"])}; '
            f'{p["gzip_ms"]:.1f} ms, {megabytes(p["gzip_bytes"])} | {new["started_ms"]:.0f} ms, {new["first_refused_ms"]:.0f} ms | '
            f'{pinned["started_ms"]:.0f} ms, {pinned["through"]} of {pinned["refused"] + pinned["through"]:,} |')


def table(report):
    """Lines of Markdown."""
    worse = list(steep(report))
    yield from ['Worse than linearly:', '', *worse] if worse else ['Nothing grows worse than linearly.']
    yield ''
    yield ('| destinations x workloads | connect() + close() to one pair | to a random one | the latter, nothing against itself | a tick: '
           'idle, 500 connections/s | the agent\'s share of a processor: idle, 500/s | own memory, maps | a scrape: plain; gzip | '
           'start, first refusal of a new breaker | start over pins, let through of those asked meanwhile |')
    yield '|---|---|---|---|---|---|---|---|---|---|'
    for number, (_, points) in enumerate(lines_of(report)):
        yield from (row(p) for p in points if number == 0 or p['workloads'] > 1)
    if report['scrapes']:
        yield ''
        yield '| scrapes a minute, 1,000 destinations | the agent\'s share of a processor | asked |'
        yield '|---|---|---|'
        for s in report['scrapes']:
            yield f'| {s["scrapes"]} | {s["share"]:.3%} | {s["asked"]} in {s["seconds"]} s |'
    if report['peers']:
        yield ''
        yield '| to have a rule for each of so many destinations | nftables, a set with a rate each | HAProxy, a port each |'
        yield '|---|---|---|'
        for p in report['peers']:
            yield f'| {p["destinations"]:,} | {started(p["nftables_ms"])} | {started(p["haproxy_ms"])} |'
    yield ''
    yield f'{report["took_s"]:.0f} s in all.'
    yield from (f'failed: {what}' for what in report['failed'])


# ---------------------------------------------------------------- picture --

COLUMNS, PANEL, HEIGHT, LEFT, TOP, GAP_X, GAP_Y = 3, 200, 120, 60, 62, 74, 66
STYLE = '''
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.small { font-size: 11px; fill: #59636e } .paper { fill: #59636e; opacity: 0.06 }
.first { stroke: #0969da } .second { stroke: #bc4c00 } .grid { stroke: #59636e; opacity: 0.3 }
polyline, .key { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .small { fill: #9198a1 } .first { stroke: #4493f8 } .second { stroke: #f0883e } .grid { stroke: #9198a1 } }
'''


def text(x, y, words, css='', anchor='start'):
    style = f' class="{css}"' if css else ''
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{style}>{html.escape(words)}</text>'


def decades(values):
    """The powers of ten around them."""
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def panel(lines, measure, x, y):
    """Both axes are logarithmic, but that of a ratio: it goes from 1 to 1.5 or as far as it must."""
    title, unit, value = measure
    values = [value(p) for _, points in lines for p in points]
    ends = decades([pairs_of(p) for _, points in lines for p in points])
    plain = unit == 'x'
    low, high = (1, max(1.5, math.ceil(max(values) * 10) / 10)) if plain else decades([max(v, 1e-3) for v in values])

    def place(p):
        at = max(value(p), low) if plain else math.log10(max(value(p), 10.0**low))
        return (f'{x + (math.log10(pairs_of(p)) - ends[0]) / (ends[1] - ends[0]) * PANEL:.1f},'
                f'{y + HEIGHT - (at - low) / (high - low) * HEIGHT:.1f}')

    yield f'<rect class="paper" x="{x}" y="{y}" width="{PANEL}" height="{HEIGHT}"/>'
    yield text(x, y - 10, title)
    marks = [low, high] if plain else range(low, high + 1)
    for mark in marks:
        at = y + HEIGHT - (mark - low) / (high - low) * HEIGHT
        yield f'<path class="grid" d="M{x} {at:.1f}H{x + PANEL}"/>'
        yield text(x - 5, at + 4, f'x {mark:g}' if plain else f'{10.0**mark:,g} {unit}', 'small', 'end')
    for mark in range(ends[0], ends[1] + 1):
        yield text(x + (mark - ends[0]) / (ends[1] - ends[0]) * PANEL, y + HEIGHT + 15, f'{10**mark:,}', 'small', 'middle')
    for css, (_, points) in zip(('first', 'second'), lines):
        yield f'<polyline class="{css}" points="{" ".join(place(p) for p in points)}"/>'


def svg(report):
    """One panel for each measure, against the number of pairs."""
    lines = lines_of(report)
    rows = math.ceil(len(MEASURES) / COLUMNS)
    width, height = LEFT + COLUMNS * (PANEL + GAP_X) - 40, TOP + rows * (HEIGHT + GAP_Y) - 14
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
           'aria-label="What ebb costs against the number of pairs of a workload and a destination">')
    yield f'<style>{STYLE}</style>'
    x = LEFT
    for css, (words, _) in zip(('first', 'second'), lines):
        yield f'<path class="key {css}" d="M{x} 15H{x + 18}"/>'
        yield text(x + 24, 19, words, 'small')
        x += 220
    yield text(x, 19, 'across: pairs of the two', 'small')
    for number, measure in enumerate(MEASURES.values()):
        yield from panel(lines, measure, LEFT + number % COLUMNS * (PANEL + GAP_X), TOP + number // COLUMNS * (HEIGHT + GAP_Y))
    yield '</svg>'
