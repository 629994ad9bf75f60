#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The gate of 'make coverage': what is too little is told, one line each, and nothing else is."""

import os
import subprocess
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here]
sys.dont_write_bytecode = True

import tap  # noqa: E402

HEAD = 'filename,line_total,line_covered,line_percent,branch_total,branch_covered,branch_percent'
# All that is wanted, and no more.
ENOUGH = {
    'bpf/bucket.h': (100, 95, 100, 90),
    'bpf/gate.h': (100, 95, 100, 90),
    'bpf/outcome.h': (100, 95, 0, 0),
    'bpf/turn.h': (100, 95, 100, 90),
    'user/agent/agent.c': (1000, 690, 500, 0),
    'user/core/breaker.c': (200, 190, 200, 180),
    'user/core/match.c': (100, 100, 100, 100),
}


def run(files):
    lines = [HEAD] + [f'{name},{n[0]},{n[1]},0,{n[2]},{n[3]},0' for name, n in files.items()]
    return subprocess.run([os.path.join(here, 'coverage.py')], input='\n'.join(lines), text=True,
                          capture_output=True, check=False)


class Gate(unittest.TestCase):
    def told(self, changed, *wanted):
        result = run({**ENOUGH, **changed})
        self.assertEqual(result.stderr.splitlines(), [f'coverage: {line}' for line in wanted])
        self.assertEqual(result.returncode, 1 if wanted else 0)

    def test_enough_is_enough(self):
        self.told({})

    def test_a_line_less_is_told(self):
        self.told({'bpf/gate.h': (1000, 949, 100, 90)}, 'bpf/gate.h: 94.9% of lines, wanted 95%')

    def test_a_branch_less_is_told(self):
        self.told({'bpf/turn.h': (100, 95, 1000, 899)}, 'bpf/turn.h: 89.9% of branches, wanted 90%')

    def test_no_neighbour_hides_a_file(self):
        self.told({'user/core/match.c': (100, 94, 100, 89), 'user/core/fuse.c': (10000, 10000, 10000, 10000)},
                  'user/core/match.c: 94.0% of lines, wanted 95%', 'user/core/match.c: 89.0% of branches, wanted 90%')

    def test_the_whole_is_told(self):
        self.told({'user/agent/agent.c': (1000, 689, 500, 500)}, 'all: 79.9% of lines, wanted 80%')

    def test_a_figure_is_not_rounded_up_to_what_is_wanted(self):
        self.told({'bpf/gate.h': (10000, 9499, 100, 90)}, 'bpf/gate.h: 94.9% of lines, wanted 95%')

    def test_what_was_not_measured_is_told(self):
        files = {**ENOUGH, 'user/agent/agent.c': (1000, 1000, 500, 0)}
        del files['bpf/turn.h']
        result = run(files)
        self.assertEqual(result.stderr, 'coverage: bpf/turn.h: was not measured, wanted 95% of lines\n')
        self.assertEqual(result.returncode, 1)

    def test_nothing_at_all_is_no_success(self):
        self.assertEqual(run({}).returncode, 1)


if __name__ == '__main__':
    tap.main()
