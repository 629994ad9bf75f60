#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The stack of a BPF program and of all that it calls fits as older kernels count:
each frame rounded up to 32 bytes, and together they may have 512 in no more than 8 frames."""

import os
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(here, '..', 'lib')]
sys.dont_write_bytecode = True

import tap  # noqa: E402
from bpf_object import Object  # noqa: E402

STACK, FRAME, FRAMES = 512, 32, 8


class Stack(unittest.TestCase):
    def setUp(self):
        self.object = Object()
        self.functions = self.object.functions

    def deepest(self, function):
        """The frames of the chain of calls that takes the most, as (bytes, names)."""
        own = max(FRAME, -(-function.frame // FRAME) * FRAME)
        inner = [self.deepest(self.functions[called]) for called in function.calls]
        size, chain = max(inner, default=(0, []))
        return own + size, [f'{function.name} {function.frame}', *chain]

    def test_every_call_has_a_known_target(self):
        called = set().union(*(function.calls for function in self.functions.values()))
        self.assertGreater(len(called), 20)
        self.assertEqual(called - set(self.functions), set())

    def test_each_chain_of_calls_fits(self):
        for function in self.functions.values():
            size, chain = self.deepest(function)
            self.assertLessEqual(size, STACK, ' > '.join(chain))

    def test_no_chain_is_too_long(self):
        def depth(function):
            return 1 + max((depth(self.functions[called]) for called in function.calls), default=0)
        for function in self.functions.values():
            self.assertLessEqual(depth(function), FRAMES, function.name)


if __name__ == '__main__':
    tap.main()
