# SPDX-License-Identifier: Apache-2.0
"""The results of limits.py as a table in Markdown and as a picture. A target is ebb's; that it is
missed is said, and is no failure of the run: what a figure is worth depends on the machine, and
the control ('self': the sender keeps to the rate itself) says what the machine could do."""

import figures

TITLES = {'none': 'no limit', 'self': 'control: the sender itself', 'ebb': '**ebb**', 'nft': 'nftables limit',
          'hashlimit': 'iptables hashlimit', 'tbf': 'tc tbf'}
PATHS = {'lo': 'loopback', 'lo64k': 'loopback, MTU 65536', 'slow': '20 ms'}


def summarize(case):
    """{method: figures over all rounds}, in the order of the case. What failed is left out."""
    found = {}
    control = [r for r in case['runs'] if r['method'] == 'self' and 'failed' not in r]
    for method in case['methods']:
        runs = [r for r in case['runs'] if r['method'] == method and 'failed' not in r]
        if not runs:
            continue
        steps = [r['steps'][0] for r in runs]
        seconds = [second for s in steps for second in s.get('errors_by_second', [])]
        rates = [rate for s in steps for rate in s['rates']]
        added = [r['echo_us']['p50'] - c['echo_us']['p50'] for r, c in zip(runs, control)
                 if r['echo_us']['p50'] is not None and c['echo_us']['p50'] is not None]
        found[method] = {
            'error': figures.median([s['error'] for s in steps]),
            'by_second': figures.spread(seconds),
            'goodput': figures.median([s['payload_rate'] for s in steps]),
            'variation': figures.median([s['variation'] for s in steps if s['variation'] is not None]),
            'stalled': figures.stalled(rates, case['rate']),
            'jain': figures.median([s['jain'] for s in steps if s['jain'] is not None]),
            'retransmits': sum(r['retransmits'] or 0 for r in runs),
            'segments': sum(r['segments_out'] or 0 for r in runs),
            'added_us': figures.median(added) if method != 'self' else None,
            'echo_us': figures.median([r['echo_us']['p50'] for r in runs if r['echo_us']['p50'] is not None]),
            'echo_p99_us': figures.median([r['echo_us']['p99'] for r in runs if r['echo_us']['p99'] is not None]),
            'offered': figures.median([r['offered'] for r in runs if r['offered'] is not None]),
            'late_ms': max(r['late_us'] for r in runs) / 1000,
            'overflow': sum(r['overflow'] for r in runs),
            'others': max(max(0, r['machine']['busy'] - r['machine']['own']) for r in runs),
            'steal': max(r['machine']['steal'] for r in runs),
        }
    return found


def missed(case, f):
    """Which of the figures to reach this one does not; in the words of the table's columns."""
    flows = case.get('flows')
    allowed = 0.001 if case['kind'] == 'udp' else 0.03 if flows == 64 else 0.01
    if abs(f['error']) > allowed:
        yield 'IP bytes'
    if case['kind'] == 'udp':
        return
    if f['retransmits']:
        yield 'sent again'
    if flows <= 8 and f['stalled']:
        yield 'stalled'
    if flows <= 8 and f['variation'] >= 0.10:
        yield 'CoV'
    if f['added_us'] is not None and f['added_us'] >= 300:
        yield 'RTT'
    if flows == 8 and f['jain'] < 0.95:
        yield 'Jain'


def percent(ratio):
    return f'{ratio:+.2%}' if abs(ratio) < 0.1 else f'{ratio:+.0%}'


def milliseconds(us):
    return '' if us is None else f'{us / 1000:+.2f} ms'


def span(spread):
    return f'{percent(spread["min"])} to {percent(spread["max"])}' if spread else ''


def verdict(case, method, f):
    """With a word about the machine where it kept us waiting for a window or more: then figures are its own."""
    words = []
    if method == 'ebb':
        what = list(missed(case, f))
        words.append(f'**missed**: {", ".join(what)}' if what else 'met')
    if f['late_ms'] > 50:
        words.append(f'(we waited {f["late_ms"]:.0f} ms for a processor)')
    elif case['kind'] == 'udp' and f['offered'] < case['rate'] * 1.4:
        words.append('(the sender was kept waiting)')
    return ' '.join(words)


def tcp_rows(cases):
    yield '| limit, path, flows | limiter | IP bytes against the limit | second by second | CoV | stalled | sent again | RTT | Jain | |'
    yield '|---|---|---|---|---|---|---|---|---|---|'
    for case in cases:
        what = f'{case["rate"] // 1000000} MB/s, {PATHS[case["path"]]}, {case["flows"]} {case["control"]}'
        for method, f in summarize(case).items():
            yield (f'| {what} | {TITLES[method]} | {percent(f["error"])} | {span(f["by_second"])} | {f["variation"]:.3f} | {f["stalled"]:.0%} | '
                   f'{f["retransmits"]} | {milliseconds(f["added_us"])} | {f["jain"]:.3f} | {verdict(case, method, f)} |')
            what = ''


def udp_rows(cases):
    yield '| UDP: limit, datagrams | limiter | IP bytes against the limit | second by second | CoV | offered | |'
    yield '|---|---|---|---|---|---|---|'
    for case in cases:
        what = f'{case["rate"] // 1000000} MB/s, {case["size"]} bytes'
        if case['segment'] > 1:
            what += f', {case["segment"]} at once (UDP_SEGMENT)'
        for method, f in summarize(case).items():
            short = ' (below the limit)' if f['offered'] < case['rate'] else ''
            lost = f', {f["overflow"]} lost at the receiver' if f['overflow'] else ''
            yield (f'| {what} | {TITLES[method]} | {percent(f["error"])} | {span(f["by_second"])} | {f["variation"]:.3f} | '
                   f'{f["offered"] / 1e6:.0f} MB/s{short}{lost} | {verdict(case, method, f)} |')
            what = ''


def trace_rows(cases):
    yield '| flows that come and go | limiter | flows | IP bytes against the limit | CoV | stalled | within 10% after | Jain |'
    yield '|---|---|---|---|---|---|---|---|'
    for case in cases:
        for method in case['methods']:
            runs = [r for r in case['runs'] if r['method'] == method and 'failed' not in r]
            for n, flows in enumerate(case['flows'].split(',') if runs else ()):
                steps = [r['steps'][n] for r in runs]
                settled = [s['settled_s'] for s in steps]
                after = 'never' if None in settled else f'{max(settled) * 1000:.0f} ms'
                stalled = figures.stalled([rate for s in steps for rate in s['rates']], case['rate'])
                variation = figures.median([s['variation'] for s in steps])
                jain = figures.median([s['jain'] for s in steps if s['jain'] is not None])
                yield (f'| {case["rate"] // 1000000} MB/s, {PATHS[case["path"]]}, {case["control"]} | {TITLES[method]} | '
                       f'{flows} | {percent(figures.median([s["error"] for s in steps]))} | {variation:.3f} | '
                       f'{stalled:.0%} | {after} | {jain:.3f} |')


def quality(report):
    """How far the machine can be believed."""
    every = [r for case in report['cases'] for r in case['runs'] if 'failed' not in r]
    if not every:
        return
    others = [max(0, r['machine']['busy'] - r['machine']['own']) for r in every]
    control = [r['steps'][0]['error'] for r in every if r['method'] == 'self' and 'error' in r['steps'][0]]
    yield (f'{len(every)} runs of {report["seconds_each"]:g} s (UDP at most 3) after {report["warm_up_s"]:g} s, rounds: {report["rounds"]}, '
           f'{report["took_s"]:.0f} s in all. Busy with other than the two ends of the traffic: median '
           f'{figures.median(others):.0%} of the processors, at most {max(others):.0%}; stolen by the host: at most '
           f'{max(r["machine"]["steal"] for r in every):.1%}. A sample was late by at most '
           f'{max(r["late_us"] for r in every) / 1000:.1f} ms.')
    if control:
        yield f'The control is off by {percent(figures.median(control))} in the median, {percent(figures.worst(control))} at worst.'
    line = report.get('slow_path')
    if line:
        yield (f'The slow path ({line["out"]["segments"]} segments out) handed half of its packets over less than '
               f'{line["out"]["late_us_p50"]} us late, 99% less than {line["out"]["late_us_p99"]} us, and dropped '
               f'{line["out"]["dropped"] + line["back"]["dropped"]}.')


def failures(report):
    for case in report['cases']:
        for one in case['runs']:
            if 'failed' in one:
                yield f'failed: {case["name"]}, {one["method"]}: {one["failed"]}'


def table(report):
    """Lines of Markdown."""
    kinds = {'tcp': [], 'udp': [], 'trace': []}
    for case in report['cases']:
        kinds['trace' if isinstance(case.get('flows'), str) else case['kind']].append(case)
    for kind, rows in (('tcp', tcp_rows), ('udp', udp_rows), ('trace', trace_rows)):
        if kinds[kind]:
            yield from rows(kinds[kind])
            yield ''
    yield from quality(report)
    yield from failures(report)


# ---------------------------------------------------------------- picture --

WIDTH, HEIGHT, LEFT, TOP, GAP = 860, 92, 150, 34, 22


def line_of(steps, rate, top, total):
    """A window is a step, as long as it was, so that one that stalls touches the ground."""
    points, at, peak = [], 0, 2.0
    for step in steps:
        for seconds, value in zip(step['seconds'], step['rates']):
            y = top + HEIGHT - min(value / rate, peak) / peak * HEIGHT
            points += [f'{LEFT + at / total * WIDTH:.1f},{y:.1f}', f'{LEFT + (at + seconds) / total * WIDTH:.1f},{y:.1f}']
            at += seconds
    return ' '.join(points)


def svg(report):
    """The traces of the methods, one below the other: each 50 ms window of one run."""
    case = next(c for c in report['cases'] if isinstance(c.get('flows'), str))
    ran = {r['method']: r for r in reversed(case['runs']) if 'failed' not in r}
    first = {method: ran[method] for method in case['methods'] if method in ran}
    flows = case['flows'].split(',')
    seconds = next(iter(first.values()))['step_s'] * len(flows)
    height = TOP + len(first) * (HEIGHT + GAP) + 24
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 64} {height}" '
           'font-family="sans-serif" font-size="13">',
           f'<rect width="{LEFT + WIDTH + 64}" height="{height}" fill="#ffffff"/>',
           '<g fill="#333333">']
    for n, count in enumerate(flows):
        out.append(f'<text x="{LEFT + (n + 0.5) / len(flows) * WIDTH:.0f}" y="20" text-anchor="middle">'
                   f'{count} flow{"" if count == "1" else "s"}</text>')
    out.append('</g>')
    names = {**TITLES, 'ebb': 'ebb', 'self': 'the sender itself'}
    for row, (method, one) in enumerate(first.items()):
        top = TOP + row * (HEIGHT + GAP)
        middle = top + HEIGHT / 2
        rates = [rate for s in one['steps'] for rate in s['rates']]
        colour = '#0b6e4f' if method == 'ebb' else '#5b6b7a'
        out += [f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="#f6f7f8"/>',
                f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{middle}" y2="{middle}" stroke="#c0392b" stroke-dasharray="4 4"/>',
                f'<text x="{LEFT - 10}" y="{middle + 4}" text-anchor="end" fill="#333333">{names[method]}</text>',
                f'<text x="{LEFT + WIDTH + 8}" y="{middle + 4}" fill="#333333">{max(rates) / case["rate"]:.1f} x</text>',
                f'<polyline points="{line_of(one["steps"], case["rate"], top, seconds)}" fill="none" stroke="{colour}" '
                'stroke-width="1.3"/>']
    for n in range(1, len(flows)):
        x = LEFT + n / len(flows) * WIDTH
        out.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{TOP}" y2="{height - 40}" stroke="#999999" stroke-width="0.7"/>')
    out += [f'<text x="{LEFT}" y="{height - 10}" fill="#333333">IP bytes in windows of 50 ms over {seconds:g} s; '
            f'dashed: the limit, {case["rate"] // 1000000} MB/s; the top of a band is twice that, the highest window is told beside it</text>', '</svg>']
    return '\n'.join(out) + '\n'
