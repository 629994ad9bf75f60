#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Traces with the transitions that were worked out for them by hand: cases/NAME.case.

A case says what it shows, then a configuration, a trace, and what 'ebb simulate -o json' has to print: as many
lines, each with at least these members. EBB_BUILD says where ebb is.
"""

import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, '..', 'lib')]
sys.dont_write_bytecode = True

import tap  # noqa: E402

EBB = os.path.join(os.environ.get('EBB_BUILD', 'build'), 'ebb')
PARTS = ('config', 'trace', 'expected')


def read_case(path):
    with open(path, encoding='utf-8') as file:
        about, *parts = file.read().split('\n--- ')
    names, texts = zip(*(part.split('\n', 1) for part in parts))
    assert names == PARTS and about.startswith('# '), f'{path}: expected a comment, then {PARTS}'
    return texts


def simulate(config, trace, *options):
    with tempfile.NamedTemporaryFile('w', prefix='ebb-test-cases-', suffix='.yaml', encoding='utf-8') as file:
        file.write(config)
        file.flush()
        return subprocess.run([EBB, 'simulate', '--config', file.name, '--trace', '-', *options], input=trace,
                              capture_output=True, text=True, check=False)


class Cases(unittest.TestCase):
    def check(self, path, *options):
        config, trace, expected = read_case(path)
        done = simulate(config, trace, '-o', 'json', *options)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        said = [json.loads(line) for line in done.stdout.splitlines()]
        wanted = [json.loads(line) for line in expected.splitlines()]
        for number, (got, want) in enumerate(zip(said, wanted), 1):
            self.assertEqual({key: got.get(key) for key in want}, want, f'line {number}\n{done.stdout}')
        self.assertEqual(len(said), len(wanted), done.stdout)

    def test_text_says_the_same(self):
        """Not as a case: how the text is set is no rule of the breaker."""
        config, trace, _ = read_case(os.path.join(here, 'cases', 'classic.case'))
        done = simulate(config, trace)
        self.assertEqual(done.stderr, '')
        self.assertEqual(done.stdout, TEXT)

    def test_nothing_is_said_of_a_trace_with_an_error(self):
        good = '{"t": 1, "dest": "a", "outcome": "refused"}\n'
        for bad, reason in (('{"t": -1, "dest": "a", "outcome": "reset"}', '"t" is -1, below zero: expected'),
                            ('{"t": NaN, "dest": "a", "outcome": "reset"}', '"t" is no number'),
                            ('{"t": 1, "dest": "a", "outcome": "failed"}', "there is no outcome 'failed': expected est"),
                            ('{"t": 1, "dest": "a", "outcome": "reset", "x": 1}', "unknown key 'x': expected"),
                            ('{"t": 1, "dest": 5, "outcome": "reset"}', "'5': expected a name in quotes"),
                            ('{"t": 1, "dest": "' + 272 * 'a' + '", "outcome": "reset"}', '"dest" has 272 bytes: expected'),
                            ('{"t": 1, "dest": "a", "outc', 'the line ends: expected'),
                            ('{"t": 1, "dest": "a"}', '"outcome" is missing: expected'),
                            (65536 * ' ', 'the line is too long: expected')):
            done = simulate('{}', 5 * good + '\n \n' + bad + '\n' + good, '-o', 'json')
            self.assertEqual((done.returncode, done.stdout), (1, ''), bad)
            self.assertTrue(done.stderr.startswith(f'standard input:8: {reason}'), done.stderr)
            self.assertEqual(done.stderr.count('\n'), 1, done.stderr)


TEXT = """\
            10  api  closed    -> open       5 failures in a row; trip 1, for 30s, until 40
            40  api  open      -> half_open  its time was over
            40  api  half_open -> open       1 probe failed; trip 2, for 30s, until 70
            70  api  open      -> half_open  its time was over
            71  api  half_open -> closed     2 probes succeeded

DESTINATION  CALLS  ADMITTED  REFUSED  SUCCEEDED  FAILED  STATE
api             16        13        3          3      10  closed
"""


def add_case(path):
    name = os.path.basename(path).removesuffix('.case').replace('-', '_')
    setattr(Cases, f'test_{name}', lambda self: self.check(path))


for case in sorted(glob.glob(os.path.join(here, 'cases', '*.case'))):
    add_case(case)

if __name__ == '__main__':
    tap.main()
