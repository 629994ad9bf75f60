#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The stack of a BPF program and of all that it calls fits as older kernels count:
each frame rounded up to 32 bytes, and together they may have 512 in no more than 8 frames."""

import os
import re
import shutil
import subprocess
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(here, '..', 'lib')]
sys.dont_write_bytecode = True

import tap  # noqa: E402

OBJECT = os.path.join(os.environ.get('EBB_BUILD', 'build'), 'bpf', 'ebb.linked.o')
STACK, FRAME, FRAMES = 512, 32, 8


def llvm(tool, *arguments):
    path = shutil.which(f'{tool}-16') or tool
    return subprocess.run([path, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout


def functions():
    """{(section, offset in bytes): name}"""
    sections = dict(re.findall(r'\[\s*(\d+)\] (\S+)', llvm('llvm-readelf', '-SW', OBJECT)))
    symbols = (line.split() for line in llvm('llvm-readelf', '-sW', OBJECT).splitlines())
    return {(sections[s[6]], int(s[1], 16)): s[7] for s in symbols if len(s) > 7 and s[3] == 'FUNC'}


def frames():
    """{function: bytes of its own frame}, {function: those that it calls}"""
    names, frame, calls = functions(), {}, {}
    code = llvm('llvm-objdump', '-dr', '--no-show-raw-insn', OBJECT)
    function, offset = None, None
    for line in code.splitlines():
        if label := re.match(r'[0-9a-f]+ <(\w+)>:', line):
            if not label[1].startswith('LBB'):
                function = label[1]
                frame[function], calls[function] = 0, set()
        elif below := re.search(r'r10 - (0x[0-9a-f]+)\)|r\d+ \+= -(0x[0-9a-f]+)$', line):
            depth = int(below[1] or below[2], 0)
            if depth <= STACK:
                frame[function] = max(frame[function], depth)
        elif call := re.search(r'\tcall (-?0x[0-9a-f]+)$', line):
            offset = (int(call[1], 0) + 1) * 8  # of a section; a symbol has its name
        elif target := re.search(r'R_BPF_64_32\s+(\S+)', line):
            if not target[1].startswith('bpf_'):  # a function of the kernel, with a stack of its own
                calls[function].add(names.get((target[1], offset), target[1]))
    return frame, calls


class Stack(unittest.TestCase):
    def setUp(self):
        self.frame, self.calls = frames()

    def deepest(self, function):
        """The frames of the chain of calls that takes the most, as (bytes, names)."""
        own = max(FRAME, -(-self.frame[function] // FRAME) * FRAME)
        inner = [self.deepest(called) for called in self.calls[function]]
        size, chain = max(inner, default=(0, []))
        return own + size, [f'{function} {self.frame[function]}', *chain]

    def test_every_call_has_a_known_target(self):
        called = set().union(*self.calls.values())
        self.assertGreater(len(called), 20)
        self.assertEqual(called - set(self.calls), set())

    def test_each_chain_of_calls_fits(self):
        for function in self.calls:
            size, chain = self.deepest(function)
            self.assertLessEqual(size, STACK, ' > '.join(chain))

    def test_no_chain_is_too_long(self):
        def depth(function):
            return 1 + max((depth(called) for called in self.calls[function]), default=0)
        for function in self.calls:
            self.assertLessEqual(depth(function), FRAMES, function)


if __name__ == '__main__':
    tap.main()
