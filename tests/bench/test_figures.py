#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of the limiter benchmark, on counters whose figures are known; the picture of the comparison, and that of growth."""

import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, '..', 'lib')]
sys.dont_write_bytecode = True

import agree  # noqa: E402
import figures  # noqa: E402
import growth_report  # noqa: E402
import picture  # noqa: E402
import tap  # noqa: E402


def steady(rate, seconds, window=0.05, mss=1000):
    return [[i * window, int(rate * i * window), int(rate * i * window) // mss]
            for i in range(round(seconds / window) + 1)]


class Percentiles(unittest.TestCase):
    def test_percentile_is_a_value_that_was_seen(self):
        self.assertEqual(figures.percentile([4, 1, 3, 2], 0.5), 2)
        self.assertEqual(figures.percentile([1, 2, 3, 4], 0.99), 4)
        self.assertEqual(figures.percentile([7], 0), 7)
        self.assertIsNone(figures.percentile([], 0.5))

    def test_median_of_an_even_count_is_in_the_middle(self):
        self.assertEqual(figures.median([1, 9, 3, 5]), 4)
        self.assertEqual(figures.median([9, 1, 5]), 5)

    def test_spread_leaves_out_what_is_missing(self):
        self.assertEqual(figures.spread([3, None, 1, 2]), {"p50": 2, "min": 1, "max": 3, "n": 3})
        self.assertIsNone(figures.spread([None]))

    def test_worst_is_farthest_from_zero_with_its_sign(self):
        self.assertEqual(figures.worst([0.01, -0.03, None, 0.02]), -0.03)


class Bytes(unittest.TestCase):
    def test_headers_of_every_segment_are_counted(self):
        self.assertEqual(figures.ip_bytes(14480, 10, 1448, 52), 14480 + 520)

    def test_segments_that_arrived_as_one_are_as_large_as_they_can_be(self):
        self.assertEqual(figures.ip_bytes(14481, 1, 1448, 52), 14481 + 11 * 52)

    def test_small_segments_are_counted_as_they_are(self):
        self.assertEqual(figures.ip_bytes(100, 100, 1448, 52), 100 + 5200)


class Rates(unittest.TestCase):
    def test_slope_of_a_line(self):
        self.assertAlmostEqual(figures.slope([(0, 5), (1, 8), (2, 11)]), 3)
        self.assertIsNone(figures.slope([(1, 1)]))

    def test_slope_of_a_staircase_does_not_hang_on_its_last_step(self):
        stairs = [(i * 0.05, (i // 8) * 40) for i in range(101)]  # 100 a second, in steps of 40
        ends = stairs[-1][1] / stairs[-1][0]
        self.assertGreater(abs(ends - 100), 3.5)
        self.assertLess(abs(figures.slope(stairs) - 100), 0.5)

    def test_late_sample_makes_one_long_window_and_no_short_one(self):
        samples = [[0, 0, 0], [0.09, 90, 9], [0.1, 100, 10], [0.15, 150, 15]]
        found = figures.windows(samples, 0.05)
        self.assertEqual([(round(s, 3), p) for s, p, _ in found], [(0.09, 90), (0.06, 60)])

    def test_between_keeps_the_edges(self):
        samples = steady(1000, 1)
        self.assertEqual(len(figures.between(samples, 0.5, 1.0)), 11)

    def test_variation(self):
        self.assertEqual(figures.variation([5, 5, 5]), 0)
        self.assertAlmostEqual(figures.variation([0, 8]), 1)
        self.assertIsNone(figures.variation([0, 0]))

    def test_stalled_counts_windows_below_a_twentieth(self):
        self.assertEqual(figures.stalled([0, 4.9, 5, 100], 100), 0.5)

    def test_settled_needs_several_windows_in_a_row(self):
        rates = [300, 100, 150, 95, 105, 91, 109, 100]
        self.assertAlmostEqual(figures.settled_after(rates, 100, 0.05), 0.15)
        self.assertIsNone(figures.settled_after([100, 100, 89, 100, 100], 100, 0.05))
        self.assertEqual(figures.settled_after([100] * 4, 100, 0.05), 0)


    def test_each_second_has_its_own_error(self):
        points = [(t, p + max(0, t - 1) * 500) for t, p, _ in steady(1000, 3)]
        found = figures.by_second(points, 1000)
        self.assertEqual(len(found), 3)
        for seen, real in zip(found, (0, 0.5, 0.5)):
            self.assertAlmostEqual(seen, real, delta=0.03)
        self.assertEqual(figures.by_second(points[:10], 1000), [])


class Fairness(unittest.TestCase):
    def test_equal_shares(self):
        self.assertEqual(figures.jain([3, 3, 3, 3]), 1)

    def test_one_has_all(self):
        self.assertEqual(figures.jain([8, 0, 0, 0]), 0.25)
        self.assertIsNone(figures.jain([0, 0]))

    def test_flow_that_got_nothing_counts_and_an_idle_connection_does_not(self):
        self.assertEqual(figures.flow_shares([0, 5, 0], [8, 5, 8], 2), [8, 8])
        self.assertEqual(figures.flow_shares([0, 5], [8, 5], 2), [8, 0])
        self.assertEqual(figures.flow_shares([0], [8], 2), [8, 0])
        self.assertEqual(figures.flow_shares([], [], 0), [])

    def test_in_between(self):
        self.assertAlmostEqual(figures.jain([1, 2, 3]), 36 / 42)


class Steps(unittest.TestCase):
    def result(self, samples, flow_bytes):
        return {"warm_up_s": 1.0, "step_s": 2.0, "samples": samples, "mss": 1000, "flow_bytes": flow_bytes,
                "flows": [2, 2]}

    def test_warm_up_is_not_in_the_figures(self):
        burst = [[t, payload + 5_000_000 * (t > 0.1), segments] for t, payload, segments in steady(1e6, 3)]
        found = figures.step(self.result(burst, [[0, 0], [10, 10]]), 0, 1e6 * 1.052, 52)
        self.assertLess(abs(found["error"]), 1e-3)
        self.assertAlmostEqual(found["payload_rate"], 1e6, delta=10)
        self.assertEqual(found["stalled"], 0)
        self.assertEqual(found["settled_s"], 0)
        self.assertEqual((len(found["rates"]), round(sum(found["seconds"]), 3)), (40, 2.0))
        self.assertEqual(found["jain"], 1)

    def test_second_step_has_its_own_flows_and_time(self):
        samples = steady(1e6, 3) + [[3 + i * 0.05, 3_000_000, 3000] for i in range(1, 41)]
        found = figures.step(self.result(samples, [[0, 0], [5, 0], [6, 3]]), 1, 1e6, 52)
        self.assertEqual(found["stalled"], 1)
        self.assertIsNone(found["settled_s"])
        self.assertAlmostEqual(found["jain"], 16 / 20)

    def test_unlimited_run_has_no_error(self):
        found = figures.step(self.result(steady(1e6, 3), [[0], [1]]), 0, None, 52)
        self.assertNotIn("error", found)


class Picture(unittest.TestCase):
    def peers(self, **ratios):
        def ratio(value):
            return {'p25': value - 0.01, 'p50': value, 'p75': value + 0.02}
        return {work: {case: {bar: ratio(ratios.get(case, 1.0)) for bar, _, _ in picture.BARS}
                       for case, _ in picture.CASES} for work, _ in picture.WORKS}

    def drawn(self, **ratios):
        return xml.etree.ElementTree.fromstring('\n'.join(picture.picture(self.peers(**ratios))))

    def test_each_ratio_is_written_and_as_long_as_it_says(self):
        root = self.drawn(haproxy=2.0, ebb=1.04)
        words = [element.text for element in root.findall('.//{*}text')]
        self.assertEqual((words.count('2.00'), words.count('1.04'), words.count('1.00')), (6, 6, 12))
        widths = {float(element.get('width')) for element in root.findall('.//{*}rect') if element.get('width') != str(picture.BAR)}
        self.assertTrue(widths)
        self.assertAlmostEqual(max(widths) / min(widths), 2.0, places=2)

    def test_nothing_leaves_the_picture(self):
        root = self.drawn(haproxy=7.3)
        width = float(root.get('width'))
        for element in root.findall('.//{*}rect'):
            self.assertLessEqual(float(element.get('x')) + float(element.get('width')), width)

    def test_results_without_the_comparison_are_refused(self):
        with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
            file.write('{}')
            file.flush()
            result = subprocess.run([sys.executable, picture.__file__, file.name], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn('make bench ARGS=peers', result.stderr)


class Growth(unittest.TestCase):
    POINTS = [(10, 1), (100, 1), (1000, 1), (10000, 1), (10, 10), (10, 100), (10, 1000)]

    def report(self, tick_us=lambda pairs: 50 + pairs / 100, failed=()):
        def point(destinations, workloads):
            pairs = destinations * workloads
            ratios = {name: {'ratio': {'p50': 1.04}} for name in ('warm', 'random', 'random_again')}
            return {'destinations': destinations, 'workloads': workloads, 'connect': ratios, 'idle_tick_us': 40, 'busy_tick_us': tick_us(pairs),
                    'idle_share': 0.0002, 'busy_share': 0.002, 'anonymous_bytes': 6e6 + pairs, 'map_bytes': 48e6, 'scrape_ms': 1 + pairs / 100,
                    'scrape_bytes': 8000 * pairs, 'gzip_ms': 1, 'gzip_bytes': 100 * pairs,
                    'new': {'started_ms': 300, 'first_refused_ms': 290, 'through': 0, 'refused': 9},
                    'pinned': {'started_ms': 200, 'first_refused_ms': None, 'through': 0, 'refused': 99}}
        return {'points': [point(*sizes) for sizes in self.POINTS], 'failed': list(failed), 'took_s': 280, 'peers': [{'destinations': 10, 'nftables_ms': 9, 'haproxy_ms': None}],
                'scrapes': [{'scrapes': 60, 'asked': 10, 'seconds': 10, 'share': 0.01}]}

    def test_exponent_says_how_a_cost_grows(self):
        self.assertAlmostEqual(figures.exponent((10, 5), (100, 5)), 0)
        self.assertAlmostEqual(figures.exponent((10, 5), (100, 50)), 1)
        self.assertAlmostEqual(figures.exponent((10, 5), (100, 500)), 2)
        self.assertIsNone(figures.exponent((10, 0), (100, 5)))
        self.assertIsNone(figures.exponent((10, 4), (10, 5)))

    def test_what_grows_with_the_square_is_said_first(self):
        lines = list(growth_report.table(self.report(lambda pairs: pairs * pairs / 100)))
        self.assertEqual(lines[0], 'Worse than linearly:')
        self.assertEqual(sum('a tick, 500' in line and 'power of 2.0' in line for line in lines), 6)

    def test_what_grows_linearly_is_not(self):
        lines = list(growth_report.table(self.report(failed=['10 destinations'])))
        self.assertEqual(lines[0], 'Nothing grows worse than linearly.')
        self.assertEqual(sum(line.startswith('| 10 x') for line in lines), 4)
        self.assertEqual(lines[-1], 'failed: 10 destinations')

    def test_every_measure_has_its_panel_and_both_lines(self):
        root = xml.etree.ElementTree.fromstring('\n'.join(growth_report.svg(self.report())))
        self.assertEqual(len(root.findall('.//{*}polyline')), 2 * len(growth_report.MEASURES))
        height, width = float(root.get('height')), float(root.get('width'))
        for line in root.findall('.//{*}polyline'):
            points = [tuple(map(float, pair.split(','))) for pair in line.get('points').split()]
            self.assertEqual(len(points), 4)
            self.assertTrue(all(0 <= x <= width and 0 <= y <= height for x, y in points))

    def test_few_points_are_a_report_too(self):
        report = self.report()
        report['points'] = report['points'][:1]
        self.assertEqual(list(growth_report.table(report))[0], 'Nothing grows worse than linearly.')
        xml.etree.ElementTree.fromstring('\n'.join(growth_report.svg(report)))


class Agreement(unittest.TestCase):
    FIRST = ['| work: nothing attached | 23 us | p99 32 us |  |  |',
             '| ... one | x 1.010 | 1.005 to 1.015 | <= 1.05 | met |',
             '| ... two | time x 1.100, processor time x 2.000 | 1.090 to 1.110; 1.9 to 2.1 |  |  |',
             '| ... three | x 1.012 | 1.007 to 1.017 |  |  |',
             '| limit | limiter | off |  |', '| 10 MB/s | control | 0% | |', '|  | **ebb** | +1% | **missed**: CoV |']

    def second(self, old, new):
        lines = [line.replace(old, new) for line in self.FIRST]
        self.assertNotEqual(lines, self.FIRST)
        return lines

    def test_a_run_agrees_with_itself(self):
        # two verdicts; the second case against the first and the third, which cannot be told apart
        self.assertEqual(agree.disagreements(self.FIRST, self.FIRST), (4, []))

    def test_another_verdict_is_told(self):
        self.assertEqual(agree.disagreements(self.FIRST, self.second('| met', '| **missed**'))[1], ['work: nothing attached ... one: met, then missed'])
        self.assertEqual(agree.disagreements(self.FIRST, self.second('**missed**: CoV', 'met'))[1], ['10 MB/s **ebb**: missed, then met'])

    def test_another_order_is_told_where_it_was_sure(self):
        self.assertEqual(len(agree.disagreements(self.FIRST, self.second('x 1.100', 'x 1.011'))[1]), 1)
        self.assertEqual(agree.disagreements(self.FIRST, self.second('x 1.012', 'x 1.001'))[1], [])

    def test_what_one_run_has_not_is_no_conclusion(self):
        self.assertEqual(agree.disagreements(self.FIRST, self.FIRST[:2]), (1, []))


if __name__ == '__main__':
    tap.main()
