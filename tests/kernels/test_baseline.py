#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No program became longer, deeper, or asks more of the kernel than the baseline says; and how growth is found."""

import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..', '..')
sys.path[:0] = [HERE, os.path.join(HERE, '..', 'lib')]
sys.dont_write_bytecode = True

import tap  # noqa: E402
import baseline  # noqa: E402
from bpf_object import Object, helper_names  # noqa: E402


def committed():
    with open(baseline.BASELINE, encoding='utf-8') as file:
        return json.load(file)


KNOWN = {'compiler': 'clang-16', 'programs': {'ebb_a': {'instructions': 100, 'helper_calls': 3, 'lookups': 1, 'stack': 64}},
         'kernels': {'6.1': {'release': '6.1.10', 'programs': {'ebb_a': {'verified': 1000, 'xlated': 100}}}},
         'tried': {'6.1': {'release': '6.1.10', 'suite': '-', 'parts': ['governs'], 'checks': 12, 'failed': 0, 'seen': ['a', 'b']}}}


class Committed(unittest.TestCase):
    def test_no_program_became_longer_or_asks_more(self):
        complaints, note = baseline.check_object(committed(), baseline.of_object(), baseline.compiler())
        if note:
            self.skipTest(note)
        self.assertEqual(complaints, [])

    def test_each_kernel_knows_only_programs_that_there_are(self):
        for release in committed()['kernels'].values():
            self.assertLessEqual(set(release['programs']), set(committed()['programs']))

    def test_the_document_is_made_from_it(self):
        with open(os.path.join(ROOT, 'docs', 'kernels.md'), encoding='utf-8') as file:
            text = file.read()
        self.assertEqual(text, baseline.write_tables(text, baseline.tables(committed())), 'run: tests/kernels/baseline.py table docs/kernels.md')


class Read(unittest.TestCase):
    def test_helpers_are_those_that_the_sources_name(self):
        names = helper_names()
        functions = Object().programs()['ebb_release']
        called = {names[number] for function in functions for number in function.helpers}
        self.assertLessEqual({'map_lookup_elem', 'sk_storage_get', 'ktime_get_ns'}, called)
        self.assertNotIn('set_retval', called)

    def test_a_function_of_the_kernel_is_no_helper(self):
        functions = Object().programs()['ebb_reset']
        self.assertEqual(set().union(*(function.kernel for function in functions)), {'bpf_sock_destroy'})


class Compare(unittest.TestCase):
    def object(self, **changes):
        return baseline.check_object(KNOWN, {'ebb_a': {**KNOWN['programs']['ebb_a'], **changes}}, 'clang-16')[0]

    def kernel(self, release, verified):
        return baseline.check_kernel(KNOWN, release, {'ebb_a': {'verified': verified, 'xlated': 100}}, 'clang-16')

    def test_little_growth_passes(self):
        self.assertEqual(self.object(instructions=105, stack=64), [])

    def test_growth_says_program_figure_before_after_and_what_to_do(self):
        self.assertEqual(self.object(instructions=106),
                         ["object: ebb_a: instructions: 100 before, 106 now (+6.0%, allowed 5%): if it is meant to, 'make baseline' writes it down"])

    def test_one_more_look_up_is_growth(self):
        self.assertEqual(len(self.object(lookups=2, helper_calls=4)), 2)

    def test_less_is_fine(self):
        self.assertEqual(self.object(instructions=1, helper_calls=0, lookups=0, stack=32), [])

    def test_a_program_that_is_new_or_gone_is_told(self):
        both = baseline.check_object(KNOWN, {'ebb_b': KNOWN['programs']['ebb_a']}, 'clang-16')[0]
        self.assertEqual([line.split()[1] for line in both], ['ebb_a', 'ebb_b'])

    def test_another_compiler_is_not_compared(self):
        complaints, note = baseline.check_object(KNOWN, {}, 'clang-19')
        self.assertEqual((complaints, note), ([], 'compiled with clang-19, the baseline with clang-16: not compared'))

    def test_the_verifier_on_the_same_release(self):
        self.assertEqual(self.kernel('6.1.10', 1050), ([], None))
        self.assertEqual(self.kernel('6.1.10', 1051)[0],
                         ["6.1.10: ebb_a: instructions looked at by the verifier: 1,000 before, 1,051 now (+5.1%, allowed 5%): if it is meant to, 'make baseline' writes it down"])

    def test_another_release_of_the_series_may_differ_more(self):
        self.assertEqual(self.kernel('6.1.11', 1250), ([], 'the baseline is of 6.1.10: up to 25% more is let pass'))
        self.assertEqual(len(self.kernel('6.1.11', 1251)[0]), 1)

    def test_a_kernel_that_is_not_known_is_held_to_the_limit(self):
        self.assertEqual(self.kernel('6.10.1', 400000)[0], [])
        self.assertEqual(len(self.kernel('6.10.1', 750001)[0]), 1)

    def test_no_program_is_a_complaint(self):
        self.assertEqual(baseline.check_kernel(KNOWN, '6.1.10', {}, 'clang-16'), (['6.1.10: no program was loaded'], None))


class Tables(unittest.TestCase):
    def test_what_stands_between_the_marks_is_made_again(self):
        text = '<!-- made: tried -->\n<!-- end -->\nBefore\n<!-- made: verified -->\nold\n<!-- end -->\nAfter\n<!-- made: programs -->\n<!-- end -->\n'
        made = baseline.write_tables(text, baseline.tables(KNOWN))
        self.assertIn('| program | 6.1.10 |\n|---|---|\n| `ebb_a` | 1,000 |\n<!-- end -->\nAfter\n', made)
        self.assertIn('| 6.1.10 | bookworm | the agent as a program | 12 | 0 | a; b |', made)
        self.assertEqual(made, baseline.write_tables(made, baseline.tables(KNOWN)))


if __name__ == '__main__':
    tap.main()
