#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""'ebb simulate' against a model that shares nothing with it (breaker.py): random settings and traces, made from a seed; every fourth
batch with --look.

usage: tests/model/test_model.py [TRACES [SEED]]

Many traces, each of a destination of its own, are one run of ebb. One that differs is made smaller, call by call
and setting by setting, and printed. EBB_BUILD says where ebb is.
"""
# deadline: 300

import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
import unittest
from dataclasses import fields, replace

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, '..', 'lib')]
sys.dont_write_bytecode = True

import breaker as model  # noqa: E402
import tap  # noqa: E402

EBB = os.path.join(os.environ.get('EBB_BUILD', 'build'), 'ebb')
TRACES = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
BATCH = 1000  # traces of one run of ebb
MS = 1_000_000
SECOND = model.SECOND
# Printed are microseconds; ends are rounded up to ticks.
PRINTED = 2e-6

REASONS = {'consecutive_failures', 'failure_rate', 'slow_rate', 'open_expired', 'probes_succeeded', 'probes_failed'}


# ---- what is tried

def random_settings(r, look):
    s = model.Settings()
    s.window = r.choice((100 * MS, 500 * MS, SECOND, 2 * SECOND, 10 * SECOND))
    if r.random() < 0.3:
        s.window_calls = r.randint(1, 12)
    elif r.random() < 0.4:
        s.weighting = 'exponential'
    s.min_calls = r.choice((1, 2, 3, 5, 10))
    if s.weighting == 'exponential':
        s.failure_rate = r.choice((1.0, round(r.uniform(0.1, 0.95), 4)))
        s.slow_rate = r.choice((1.0, round(r.uniform(0.1, 0.95), 4)))
    else:
        s.failure_rate = r.choice((0.1, 0.25, 0.3, 0.5, 0.5, 0.6, 0.75, 1.0))
        s.slow_rate = r.choice((0.1, 0.25, 0.5, 0.7, 1.0))
    s.slow_call = r.choice((0, 0, 5 * MS, 50 * MS, 500 * MS))
    # which of several results of one look was slow, a window of calls is not told
    if look and s.window_calls:
        s.slow_call = 0
    s.consecutive_failures = r.choice((0, 0, 1, 2, 3, 5, 8))
    if r.random() < 0.3:
        s.count = tuple(o for o in model.FAILURES if r.random() < 0.5) or ('refused',)
    s.open_for = r.choice((10 * MS, 50 * MS, 100 * MS, 500 * MS, 1500 * MS))
    s.open_factor = r.choice((1.0, 1.5, 2.0, 3.0))
    s.open_max = max(s.open_for, r.choice((100 * MS, SECOND, 4 * SECOND)))
    s.open_jitter = r.choice((0.0, 0.0, 0.2, 0.9))
    s.probes = r.randint(1, 8)
    s.close_after = r.choice((1, 1, 2, 3, 9))
    s.reopen_after = r.choice((1, 1, 2, 3, 9))
    s.probe_lease = r.choice((100 * MS, 250 * MS, SECOND))
    s.ramp = r.choice((0, 0, 100 * MS, SECOND, 5 * SECOND))
    return s


def random_calls(r, settings):
    """A destination that is well, ill or slow for a while, and callers that pause at times."""
    calls = []
    now = r.choice((0, 0, r.randint(0, 3000)))
    well, slow = r.random() < 0.6, False
    gap = r.choice((1, 5, 20, 100))
    for _ in range(r.randint(1, 60)):
        if r.random() < 0.12:
            well = not well
        if r.random() < 0.08:
            slow = not slow
        if r.random() < 0.1:
            gap = r.choice((0, 1, 5, 20, 100, 400))
        roll = r.random()
        if roll < 0.06:
            outcome = r.choice(model.OUTCOMES)
        else:
            outcome = 'established' if well == (roll < 0.9) else r.choice(model.FAILURES)
        took = r.choice((0, 0, 1, 2, 3, 5, 6))
        if slow:
            took = r.choice((49, 50, 51, 60, 501))
        if r.random() < 0.03:
            took = settings.probe_lease // MS + r.choice((-1, 0, 1, 500))
        calls.append(model.Call(now * MS, outcome, took * MS))
        roll = r.random()
        if roll < 0.03:
            now += r.choice((1000, 3000, 11000, 25000))
        elif roll < 0.1:
            now += settings.open_for // MS
        else:
            now += r.randint(0, 2 * gap)
    return calls


# ---- ebb

def seconds(ns):
    return f'{ns // SECOND}.{ns % SECOND:09d}'


def duration(ns):
    return f'{ns}ns' if ns else '0s'


def breaker_yaml(s):
    values = {
        'window': duration(s.window), 'window_calls': s.window_calls, 'weighting': s.weighting, 'min_calls': s.min_calls,
        'failure_rate': s.failure_rate, 'slow_call': duration(s.slow_call) if s.slow_call else '"off"',
        'slow_rate': s.slow_rate, 'consecutive_failures': s.consecutive_failures, 'count': f'[{", ".join(s.count)}]',
        'open_for': duration(s.open_for), 'open_factor': s.open_factor, 'open_max': duration(s.open_max),
        'open_jitter': s.open_jitter, 'probes': s.probes, 'close_after': s.close_after, 'reopen_after': s.reopen_after,
        'probe_lease': duration(s.probe_lease), 'ramp': duration(s.ramp),
    }
    return '{' + ', '.join(f'{key}: {value}' for key, value in values.items()) + '}'


def config_yaml(cases):
    lines = ['destinations:']
    for number, (name, settings, _) in enumerate(cases):
        lines.append(f'  - {{name: {name}, match: [{{cidr: 10.0.{number // 256}.{number % 256}/32}}], '
                     f'breaker: {breaker_yaml(settings)}}}')
    return '\n'.join(lines) + '\n'


def trace_lines(cases):
    # one destination after the other: ebb has to put them in order
    for name, _, calls in cases:
        for call in calls:
            yield f'{{"t": {seconds(call.at)}, "dest": "{name}", "outcome": "{call.outcome}", "ms": {call.took / MS:g}}}\n'


def run_ebb(cases, seed, look):
    """What ebb says: {name: ([transitions], totals)}. @cases: (name, settings, calls)."""
    with tempfile.TemporaryDirectory(prefix='ebb-test-model-') as scratch:
        config, trace = os.path.join(scratch, 'ebb.yaml'), os.path.join(scratch, 'calls.jsonl')
        with open(config, 'w', encoding='ascii') as out:
            out.write(config_yaml(cases))
        with open(trace, 'w', encoding='ascii') as out:
            out.writelines(trace_lines(cases))
        looks = ['--look', duration(look)] if look else []
        done = subprocess.run([EBB, 'simulate', '--config', config, '--trace', trace, '--seed', str(seed), '-o', 'json', *looks],
                              capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f'ebb simulate: exit {done.returncode}: {done.stderr}')
    said = {name: ([], None) for name, _, _ in cases}
    before = 0
    for line in done.stdout.splitlines():
        row = json.loads(line)
        if 'reason' in row:
            if row['t'] < before:
                raise RuntimeError(f'transitions are not in order of time: {line}')
            before = row['t']
            said[row['dest']][0].append(row)
        else:
            said[row['dest']] = (said[row['dest']][0], row)
    return said


# ---- the comparison

def difference(settings, expected, transitions, totals):
    """Why what ebb said is not what the model says; None: it is."""
    for number, want in enumerate(expected.transitions):
        if number == len(transitions):
            return f'transition {number + 1} is missing: {want}'
        got = transitions[number]
        plain = {'from': want.came_from, 'to': want.to, 'reason': want.reason, 'ok': want.ok, 'failed': want.failed,
                 'slow': want.slow, 'run': want.run, 'trip': want.trip, 'generation': want.generation}
        for key, value in plain.items():
            if got[key] != value:
                return f'transition {number + 1}: {key} is {got[key]}, not {value}: {want}'
        times = {'t': want.at}
        if want.open_until is not None:
            times |= {'open_until': want.open_until, 'open_for': want.open_until - want.at}
        for key, value in times.items():
            if abs(got[key] - value / SECOND) > PRINTED:
                return f'transition {number + 1}: {key} is {got[key]}, not {value / SECOND}: {want}'
        if want.open_until is None:
            if 'open_until' in got:
                return f'transition {number + 1}: open_until outside of open'
        # of a look that came too late the kernel has not heard: it opens for what was armed before
        elif not expected.look or want.reason != 'consecutive_failures':
            longest = min(settings.open_for * settings.open_factor ** (want.trip - 1), settings.open_max) / SECOND
            if not (longest * (1 - settings.open_jitter) - PRINTED <= got['open_for']
                    <= longest * (1 + settings.open_jitter) + PRINTED):
                return f'transition {number + 1}: open_for is {got["open_for"]}, outside of the jitter around {longest}'
    if len(transitions) > len(expected.transitions):
        return f'one transition too many: {transitions[len(expected.transitions)]}'
    want = {'calls': expected.admitted + expected.refused, 'admitted': expected.admitted, 'refused': expected.refused,
            'succeeded': expected.succeeded, 'failed': expected.failed, 'state': expected.state}
    for key, value in want.items():
        if totals[key] != value:
            return f'{key} is {totals[key]}, not {value}'
    return None


def differs(case, seed, look):
    name, settings, calls = case
    try:
        expected = model.simulate(settings, calls, seed, name, look)
    except model.Ambiguous:
        return None
    return difference(settings, expected, *run_ebb([case], seed, look)[name])


def shrink(case, seed, look):
    """The same failure, or another one, with as little as possible."""
    name, settings, calls = case
    step = max(len(calls) // 2, 1)
    while True:
        at, smaller = 0, False
        while at < len(calls) and len(calls) > 1:
            fewer = calls[:at] + calls[at + step:]
            if fewer and differs((name, settings, fewer), seed, look):
                calls, smaller = fewer, True
            else:
                at += step
        if step > 1:
            step //= 2
        elif not smaller:
            break
    for f in fields(settings):
        default = getattr(model.Settings(), f.name)
        plainer = replace(settings, **{f.name: default})
        if getattr(settings, f.name) != default and plainer.open_max >= plainer.open_for and \
                differs((name, plainer, calls), seed, look):
            settings = plainer
    return name, settings, calls


def story(case, seed, look):
    name, settings, calls = case
    default = model.Settings()
    changed = {f.name: getattr(settings, f.name) for f in fields(settings)
               if getattr(settings, f.name) != getattr(default, f.name)}
    lines = [f'seed {seed}, look {look}, {name}, settings (ns) {changed}', *(line.rstrip() for line in trace_lines([case])),
             'the model:', *(str(t) for t in model.simulate(settings, calls, seed, name, look).transitions),
             'ebb:', *(str(t) for t in run_ebb([case], seed, look)[name][0]), str(differs(case, seed, look))]
    return '\n'.join(lines)


def try_batch(batch):
    """(traces compared, ambiguous ones, {reason: how often}, the story of the first failure or None)"""
    r = random.Random(f'{SEED} {batch}')
    seed = r.randrange(2**64)
    # every fourth as the agent looks
    look = r.choice((100, 100, 30)) * MS if batch % 4 == 3 else 0
    cases = []
    for number in range(min(BATCH, TRACES - batch * BATCH)):
        settings = random_settings(r, look)
        cases.append((f'd{number}', settings, random_calls(r, settings)))
    said = run_ebb(cases, seed, look)
    ambiguous, seen = 0, {}
    for case in cases:
        name, settings, calls = case
        try:
            expected = model.simulate(settings, calls, seed, name, look)
        except model.Ambiguous:
            ambiguous += 1
            continue
        if difference(settings, expected, *said[name]):
            if differs(case, seed, look):
                case = shrink(case, seed, look)
            return len(cases), ambiguous, seen, story(case, seed, look)
        for transition in expected.transitions:
            seen[transition.reason] = seen.get(transition.reason, 0) + 1
    return len(cases), ambiguous, seen, None


class Model(unittest.TestCase):
    def test_random_traces_move_ebb_as_the_model(self):
        start = time.monotonic()
        tried, ambiguous, seen = 0, 0, dict.fromkeys(REASONS, 0)
        with multiprocessing.Pool(min(os.cpu_count() or 1, 4)) as pool:
            for count, unclear, reasons, failure in pool.imap_unordered(try_batch, range(-(-TRACES // BATCH))):
                self.assertIsNone(failure, failure)
                tried += count
                ambiguous += unclear
                for reason, times in reasons.items():
                    seen[reason] += times
        print(f'# {tried} traces in {time.monotonic() - start:.1f} s, {ambiguous} of them ambiguous; {seen}')
        self.assertEqual(tried, TRACES)
        self.assertLess(ambiguous, TRACES / 1000 + 1)
        # traces that reach no rule would show nothing
        for reason, times in seen.items():
            self.assertGreater(times, TRACES / 50, reason)


if __name__ == '__main__':
    tap.main()
