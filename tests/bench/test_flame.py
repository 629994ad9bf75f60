#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From what perf prints to a picture: who is called what, what is left out, and whose time is whose."""

import os
import sys
import unittest
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..', 'lib')]
sys.dont_write_bytecode = True

import tap  # noqa: E402
import flame  # noqa: E402

PROGRAMS = flame.Programs([(0x1000, 'bpf_prog_0123456789abcdef_ebb_connect4'), (0x2000, 'bpf_prog_0123456789abcdef_find')])


def sample(*frames):
    """Innermost last, as (address, name)."""
    return ''.join(f'    {address:x} {name}\n' for address, name in reversed(frames)) + '\n'


def read(*samples):
    return list(flame.stacks(''.join(samples).splitlines(), PROGRAMS))


CONNECT = [(0xffff0001, 'entry_SYSCALL_64_after_hwframe'), (0xffff0002, '__x64_sys_connect'), (0xffff0003, 'inet_stream_connect')]
HOOKED = CONNECT + [(0xffff0004, '__cgroup_bpf_run_filter_sock_addr')]


class Read(unittest.TestCase):
    def test_a_program_is_named_by_where_it_was_and_not_by_perf(self):
        self.assertEqual(read(sample((0x1010, 'bpf_prog_fedcba9876543210_ebb_release'))), [['bpf_prog_0123456789abcdef_ebb_connect4']])

    def test_what_is_far_above_every_program_keeps_its_name(self):
        self.assertEqual(read(sample((0x2000 + flame.Programs.LONGEST, 'tcp_ack'))), [['tcp_ack']])

    def test_samples_are_told_apart_and_the_outermost_frame_comes_first(self):
        self.assertEqual(read(sample((1, 'a'), (2, 'b')), sample((3, 'c'))), [['a', 'b'], ['c']])


class Tidy(unittest.TestCase):
    def tidied(self, frames):
        return flame.tidied(read(sample(*frames))[0])

    def test_a_system_call_stands_for_all_that_leads_to_it(self):
        self.assertEqual(self.tidied(CONNECT), ['connect()', 'inet_stream_connect'])

    def test_what_is_not_of_a_connection_is_left_out(self):
        self.assertEqual(self.tidied([(1, 'do_syscall_64'), (2, '__x64_sys_bpf')]), [])

    def test_outside_of_the_kernel_is_one_frame(self):
        self.assertEqual(self.tidied([(1, 'main'), (2, 'converse')]), ['outside of the kernel'])


class Whose(unittest.TestCase):
    samples = [flame.tidied(frames) for frames in read(
        sample(*CONNECT), sample(*HOOKED), sample(*HOOKED, (0x1001, '?')), sample(*HOOKED, (0x1001, '?'), (0x2001, '?')))]

    def test_time_of_a_program_is_its_own_and_that_of_what_it_calls(self):
        self.assertEqual(flame.shares(self.samples)['programs'], {'ebb_connect4': 0.5})

    def test_time_of_a_hook_is_what_is_left_of_it(self):
        self.assertEqual(flame.shares(self.samples)['around'], 0.25)

    def test_the_picture_names_them_and_has_no_script(self):
        text = '\n'.join(flame.picture(flame.tree(self.samples)))
        titles = [e.text for e in xml.etree.ElementTree.fromstring(text).iter('{http://www.w3.org/2000/svg}title')]
        self.assertIn('ebb_connect4: 50.0%', titles)
        self.assertIn('find: 25.0%', titles)
        self.assertNotIn('<script', text)

    def test_a_narrow_frame_is_its_callers(self):
        many = [['connect()', 'a']] * 999 + [['connect()', 'a', 'b']]
        self.assertNotIn('>b:', '\n'.join(flame.picture(flame.tree(many))))


if __name__ == '__main__':
    tap.main()
