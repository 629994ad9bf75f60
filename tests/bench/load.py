#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a node under load gets of ebb: connections at a rate, each with a request and its answer, to 64 destinations.

usage: load.py [--scale X] [--write FILE]

Root, in a network namespace of its own. The load is open (tests/bench/load.c): what is late counts as late.

    ramp      100 to 1,000 a second in ten steps, five minutes
    steady    ten minutes at 1,000
    pairs     with the agent and without it in turns, at 1,000, at 2,000 (a spike) and at 10,000 (more than there is room for)
    unasked   pairs at 1,000 in which nobody asks the agent

Beside every other load with the agent its HTTP API is asked five times a second, and /health with it. --scale 0.1 takes a tenth of the
time. What is missed is said so, and is no failure of the run; a refusal, a breaker that moved or a check that was not well is.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
sys.dont_write_bytecode = True

import figures  # noqa: E402
import limits  # noqa: E402

DESTINATIONS = 64
PORT = 5201  # of every load: another port would be another 64 destinations
RAMP = [100 * step for step in range(1, 11)]
RAMP_S, STEADY_S, PAIR_S = 300, 600, 20
PAIRS = {1000: 20, 2000: 6, 10000: 4}
UNASKED_PAIRS = 8
ASK_EVERY_S = 0.2
PAGES = ('/api/v1/status', '/api/v1/destinations', '/metrics')
COUNTER = re.compile(r'^(ebb_denied_total|ebb_breaker_transitions_total)(?:\{[^}]*\})? (\d+)', re.MULTILINE)
KNOWN = re.compile(r'^ebb_map_entries\{map="destinations"\} (\d+)', re.MULTILINE)


class Asker(threading.Thread):
    """Asks the agent, one page after the other, until it is told to stop."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.times, self.unwell = [], []
        self.ended = threading.Event()

    def get(self, path):
        with urllib.request.urlopen(f'http://{self.address}{path}', timeout=5) as answer:
            return answer.read().decode()

    def run(self):
        turn = 0
        while not self.ended.wait(ASK_EVERY_S):
            path = PAGES[turn % len(PAGES)]
            turn += 1
            begin = time.monotonic()
            try:
                self.get(path)
                self.times.append((time.monotonic() - begin) * 1e3)
                status = json.loads(self.get('/health'))['status']
            except OSError as error:
                status = str(error)
            if status != 'healthy':
                self.unwell.append(status)

    def finish(self):
        self.ended.set()
        self.join()
        counts, metrics = {}, self.get('/metrics')
        for name, value in COUNTER.findall(metrics):
            counts[name] = counts.get(name, 0) + int(value)
        return {'ms': self.times, 'unwell': self.unwell, 'destinations': int(KNOWN.search(metrics)[1]), **counts}


class Run:
    def __init__(self, place, scale):
        self.place, self.scale = place, scale
        self.plain = place.make_cgroup('plain')
        self.agents = 0

    def load(self, cgroup, rate, seconds):
        return json.loads(limits.run(self.place.bench, 'load', '--cgroup', cgroup, '--rate', str(rate), '--ms',
                                     str(max(1000, int(seconds * self.scale * 1000))), '--destinations', str(DESTINATIONS), '--port', str(PORT)))

    def without(self, rate, seconds):
        return {'rate': rate, 'ebb': False, **self.load(self.plain, rate, seconds)}

    def with_agent(self, steps, asked=True):
        """Loads one after the other under one agent, and what it answered; None: it was not asked."""
        self.agents += 1
        agent = limits.Agent(self.place, f'agent{self.agents}')
        try:
            asker = Asker(re.search(r' listen=(\S+)', agent.said())[1]) if asked else None
            if asker:
                asker.start()
            loads = [{'rate': rate, 'ebb': True, **self.load(agent.cgroup, rate, seconds)} for rate, seconds in steps]
            return loads, asker.finish() if asker else None
        finally:
            agent.stop()

    def pair(self, rate, ebb_first, asked=True):
        one = {}
        for ebb in (ebb_first, not ebb_first):
            if ebb:
                (one['ebb'],), one['asked'] = self.with_agent([(rate, PAIR_S)], asked)
            else:
                one['none'] = self.without(rate, PAIR_S)
        return one


def measure(place, scale):
    run = Run(place, scale)
    result = {'scale': scale}
    result['ramp'], result['ramp_asked'] = run.with_agent([(rate, RAMP_S / len(RAMP)) for rate in RAMP])
    result['steady'], result['steady_asked'] = run.with_agent([(1000, STEADY_S)])
    for rate, count in PAIRS.items():
        result[f'pairs_{rate}'] = [run.pair(rate, i % 2 == 0) for i in range(count)]
    result['unasked'] = [run.pair(1000, i % 2 == 0, asked=False) for i in range(UNASKED_PAIRS)]
    return result


# ----------------------------------------------------------------- report --


def ms(us):
    return f'{us / 1e3:.3g} ms'


def line(what, load):
    us = load['us']
    return (f'| {what} | {load["rate"]} | {load["done"]} | {load["failed"]} | {load["left_out"]} | {ms(us["p50"])} | {ms(us["p95"])} '
            f'| {ms(us["p99"])} |')


def middle(pairs, which):
    """The load whose p95 is the median."""
    return sorted((pair[which] for pair in pairs), key=lambda load: load['us']['p95'])[len(pairs) // 2]


def all_pairs(result):
    """(pairs, a second, what is special, {quantile: target}) each."""
    for rate in PAIRS:
        yield result[f'pairs_{rate}'], rate, '', {'p95': 1.03} if rate == 1000 else {}
    yield result['unasked'], 1000, ' (nobody asks)', {}


def table(result):
    yield '| load | a second | done | failed | left out | p50 | p95 | p99 |'
    yield '|---|---|---|---|---|---|---|---|'
    for load in result['ramp']:
        yield line('ramp, ebb', load)
    for load in result['steady']:
        yield line('steady, ebb', load)
    for pairs, _, how, _ in all_pairs(result):
        for which, name in (('none', 'nothing attached'), ('ebb', f'ebb{how}')):
            yield line(f'in turns, {name}: the pair in the middle', middle(pairs, which))
    yield ''
    yield '| what | figure | spread | target | |'
    yield '|---|---|---|---|---|'
    for pairs, rate, how, targets in all_pairs(result):
        for q in ('p50', 'p95', 'p99'):
            ratios = sorted(pair['ebb']['us'][q] / max(1, pair['none']['us'][q]) for pair in pairs)
            target = targets.get(q)
            met = '' if target is None else 'met' if statistics.median(ratios) <= target else '**missed**'
            yield (f'| {q} at {rate} a second, ebb{how} to nothing attached | x {statistics.median(ratios):.3f} | {ratios[0]:.3f} to {ratios[-1]:.3f} '
                   f'in {len(ratios)} pairs | {f"<= {target}" if target else ""} | {met} |')
    p95 = max(load['us']['p95'] for load in result['ramp'] + result['steady'])
    yield f'| p95 of the ramp and at 1,000 a second, the worst of its steps | {ms(p95)} | | < 100 ms | {"met" if p95 < 1e5 else "**missed**"} |'
    asked = everything_asked(result)
    p99 = figures.percentile(sorted(sum((one['ms'] for one in asked), [])), 0.99)
    yield (f'| the HTTP API meanwhile, p99 | {p99:.3g} ms | {sum(len(one["ms"]) for one in asked)} requests | < 50 ms '
           f'| {"met" if p99 < 50 else "**missed**"} |')
    known = max(one['destinations'] for one in asked)
    yield f'| destinations that an agent knew, at most | {known} | | {DESTINATIONS} | {"met" if known == DESTINATIONS else "**missed**"} |'
    yield f'| refused, breakers moved, checks not well | {", ".join(str(n) for n in wrong(result))} | of {total(result)} connections | 0 | |'


def everything_asked(result):
    return [result['ramp_asked'], result['steady_asked']] + [pair['asked'] for rate in PAIRS for pair in result[f'pairs_{rate}']]


def total(result):
    return sum(load['begun'] for load in result['ramp'] + result['steady']) + \
        sum(pair['ebb']['begun'] for pairs, *_ in all_pairs(result) for pair in pairs)


def wrong(result):
    """No server failed: so all of these are false."""
    asked = everything_asked(result)
    return (sum(one.get('ebb_denied_total', 0) for one in asked), sum(one.get('ebb_breaker_transitions_total', 0) for one in asked),
            sum(len(one['unwell']) for one in asked))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--scale', type=float, default=1.0)
    parser.add_argument('--write', metavar='FILE')
    options = parser.parse_args()
    limits.enter_network('load')
    build = os.path.abspath(os.environ.pop('BUILD', os.path.join(here, '../../build')))
    os.environ.pop('EBB_BUILD', None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with limits.Own(build, 'load') as place:
        result = measure(place, options.scale)
    if options.write:
        with open(options.write, 'w', encoding='utf-8') as file:
            json.dump(result, file, sort_keys=True)
            file.write('\n')
    print('\n'.join(table(result)))
    return 1 if any(wrong(result)) else 0


if __name__ == '__main__':
    sys.exit(main())
