#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a soak came to: soak.py SAMPLES RATE: the lines that watch.py --samples wrote, and the least rate of connections that counts as a load.

Prints TAP: does anything grow that must not? The first quarter is for warming up. What follows is cut into three parts of the same
length, and the medians of the last two are compared: one scrape that waited for a processor decides nothing, nor does what
the start leaves to be filled. Behind '# ' follows a table of the whole, in Markdown.
"""

import json
import statistics
import sys

ROWS = 10  # of the table
KB = 1024


def between(first, last, name):
    """How much of a counter each second, from one sample to another."""
    return (last[name] - first[name]) / (last['seconds'] - first['seconds'])


def tick_us(first, last):
    ticks = last['ticks'] - first['ticks']
    return (last['tick_seconds'] - first['tick_seconds']) / ticks * 1e6 if ticks else 0.0


def tick_bound(first, last, share):
    """The bound of the histogram below which SHARE of the ticks were."""
    ticks = last['ticks'] - first['ticks']
    before = dict(first['tick_buckets'])
    for bound, value in last['tick_buckets']:
        if value - before[bound] >= share * ticks:
            return bound
    return '?'


def part(samples, first, last):
    """The samples of a part of the time after warming up, in thirds of it."""
    begin, end = samples[0]['seconds'], samples[-1]['seconds']
    warm = begin + (end - begin) / 4
    length = (end - warm) / 3
    return [s for s in samples if warm + first * length <= s['seconds'] <= warm + last * length]


def median(samples, name):
    return statistics.median(s[name] for s in samples)


def ticks_of(samples):
    return statistics.median(tick_us(a, b) for a, b in zip(samples, samples[1:]))


def table(samples):
    yield '| after | connects/s | anonymous | heap | descriptors | threads | tick, mean | 99% of ticks within | agent CPU | moves of breakers | refused |'
    yield '|---|---|---|---|---|---|---|---|---|---|---|'
    step = max(1, (len(samples) - 1) // ROWS)
    chosen = samples[::step]
    for first, last in zip(chosen, chosen[1:]):
        yield (f'| {last["seconds"]:.0f} s | {between(first, last, "begun"):.0f} | {last["anonymous"] / KB:.0f} KB '
               f'| {last["heap"] / KB:.0f} KB | {last["descriptors"]:.0f} | {last["threads"]:.0f} | {tick_us(first, last):.0f} us '
               f'| {float(tick_bound(first, last, 0.99)) * 1e3:.3g} ms | {between(first, last, "cpu") * 100:.1f}% '
               f'| {last["transitions"] - first["transitions"]:.0f} | {last["failing_refused"] - first["failing_refused"]} |')


def judge(samples, least_rate):
    """(good, name, reason) for each thing that is asked."""
    if len(samples) < 12:
        return [(False, 'there are enough samples', f'{len(samples)}')]
    verdicts = []
    middle, last = part(samples, 1, 2), part(samples, 2, 3)
    for name, room in (('anonymous', 256 * KB), ('heap', 256 * KB), ('maps', 0), ('descriptors', 2), ('threads', 0)):
        before, after = median(middle, name), median(last, name)
        verdicts.append((after <= before + max(room, 0.02 * before if room >= KB else 0), f'no growth: {name}',
                         f'{name}: {before:.0f}, then {after:.0f}'))
    before, after = ticks_of(middle), ticks_of(last)
    # a processor that others use makes it slower by its own; what accumulates makes it slower without end
    verdicts.append((after <= 2 * before + 100, 'no growth: time of a tick', f'tick: {before:.0f} us, then {after:.0f} us'))
    rate = between(samples[0], samples[-1], 'begun')
    verdicts.append((rate >= least_rate, f'the load was there: at least {least_rate:.0f} connects/s', f'{rate:.0f} connects/s'))
    moves, end = samples[-1]['transitions'] - samples[0]['transitions'], samples[-1]
    verdicts.append((moves >= 10 and end['failing_refused'] > samples[0]['failing_refused'], 'breakers moved, and refused',
                     f'{moves:.0f} moves, {end["failing_refused"]} refused, {end["failing_failed"]} failed, '
                     f'{end["failing_ok"] + end["well_ok"]} answered'))
    return verdicts


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        samples = [json.loads(line) for line in file]
    verdicts = judge(samples, float(sys.argv[2]))
    for good, name, reason in verdicts:
        print(f'{"ok" if good else "not ok"} - {name}')
        print(f'# {reason}')
    if len(verdicts) > 1:
        for line in table(samples):
            print('#', line)
    print(f'1..{len(verdicts)}')
    return 0 if all(good for good, _, _ in verdicts) else 1


if __name__ == '__main__':
    sys.exit(main())
