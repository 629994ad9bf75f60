#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who watches the chaos tests finds what is wrong, and nothing where nothing is (watch.py, soak.py)."""

import argparse
import os
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, '..', 'lib')]
sys.dont_write_bytecode = True

import soak  # noqa: E402
import tap  # noqa: E402
import watch  # noqa: E402

CONNECTS = 'ebb_connects_total{destination="a",outcome="established"}'
LOCAL = 'ebb_connects_total{destination="a",outcome="local"}'
TICKS = 'ebb_tick_duration_seconds_count'


class Watch(unittest.TestCase):
    def backwards(self, *scrapes):
        """Of (counters, start of the agent) one after the other."""
        one = watch.Watch(argparse.Namespace(samples=None))
        for counters, started in scrapes:
            one.compare(counters, started)
        return one.report['backwards']

    def test_growth_is_well(self):
        self.assertEqual(self.backwards(({CONNECTS: 5}, 1), ({CONNECTS: 5}, 1), ({CONNECTS: 7}, 1)), [])

    def test_a_counter_that_runs_backwards_is_found(self):
        self.assertEqual(len(self.backwards(({CONNECTS: 5}, 1), ({CONNECTS: 4}, 1))), 1)

    def test_what_is_pinned_goes_on_in_another_agent(self):
        self.assertEqual(len(self.backwards(({CONNECTS: 5}, 1), ({CONNECTS: 0}, 2))), 1)

    def test_what_an_agent_counts_about_itself_begins_anew(self):
        self.assertEqual(self.backwards(({TICKS: 5}, 1), ({TICKS: 1}, 2)), [])
        self.assertEqual(len(self.backwards(({TICKS: 5}, 1), ({TICKS: 1}, 1))), 1)

    def test_a_series_that_comes_back_does_not_come_with_less(self):
        self.assertEqual(len(self.backwards(({CONNECTS: 5}, 1), ({}, 1), ({CONNECTS: 1}, 1))), 1)

    def test_local_failures_may_fall_back_by_what_was_under_way(self):
        self.assertEqual(self.backwards(({LOCAL: 70}, 1), ({LOCAL: 10}, 2)), [])
        self.assertEqual(len(self.backwards(({LOCAL: 100}, 1), ({LOCAL: 10}, 2))), 1)

    def test_histograms_and_counters_are_read_gauges_are_not(self):
        text = '# TYPE a counter\na 1\n# TYPE b gauge\nb 2\n# TYPE c histogram\nc_bucket{le="+Inf"} 3\n'
        counters, found = watch.parse(text)
        self.assertEqual(counters, {'a': 1, 'c_bucket{le="+Inf"}': 3})
        self.assertEqual(found['b'], 2)


def samples(**changes):
    """100 of them, a second apart; NAME=function of the number of the sample."""
    made = []
    for i in range(100):
        one = {'seconds': i, 'anonymous': 14 << 20, 'heap': 30 << 20, 'maps': 48 << 20, 'descriptors': 89, 'threads': 4,
               'ticks': 10 * i, 'tick_seconds': 0.001 * i, 'begun': 2000 * i, 'transitions': i, 'failing_refused': 10 * i,
               'failing_failed': i, 'failing_ok': i, 'well_ok': i, 'tick_buckets': []}
        made.append({**one, **{name: change(i) for name, change in changes.items()}})
    return made


class Soak(unittest.TestCase):
    def bad(self, **changes):
        return [name for good, name, _ in soak.judge(samples(**changes), 500) if not good]

    def test_what_stands_still_is_well(self):
        self.assertEqual(self.bad(), [])

    def test_what_grows_is_found(self):
        self.assertEqual(self.bad(anonymous=lambda i: (14 << 20) + i * 20000), ['no growth: anonymous'])
        self.assertEqual(self.bad(descriptors=lambda i: 89 + i // 8), ['no growth: descriptors'])
        self.assertEqual(self.bad(threads=lambda i: 4 + i // 10), ['no growth: threads'])
        self.assertEqual(self.bad(tick_seconds=lambda i: 0.0001 * i ** 4), ['no growth: time of a tick'])

    def test_a_peak_is_no_growth(self):
        self.assertEqual(self.bad(anonymous=lambda i: (20 if i == 90 else 14) << 20, descriptors=lambda i: 300 if i in (88, 89) else 89), [])

    def test_warming_up_is_no_growth(self):
        self.assertEqual(self.bad(anonymous=lambda i: (min(i, 20) + 1) << 20), [])

    def test_too_little_load_is_found(self):
        self.assertEqual(self.bad(begun=lambda i: 400 * i), ['the load was there: at least 500 connects/s'])

    def test_breakers_that_stand_still_are_found(self):
        self.assertEqual(self.bad(transitions=lambda i: 3), ['breakers moved, and refused'])

    def test_too_few_samples_are_found(self):
        self.assertFalse(soak.judge(samples()[:5], 500)[0][0])


if __name__ == '__main__':
    tap.main()
