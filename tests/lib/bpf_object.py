# SPDX-License-Identifier: Apache-2.0
"""What a BPF object says of itself, without a kernel: the functions of each program, and what they call.

Read from ELF and not from a disassembler's text, so that every version of LLVM says the same.
"""

import collections
import os
import re
import struct

OBJECT = os.path.join(os.environ.get('EBB_BUILD', 'build'), 'bpf', 'ebb.linked.o')
UAPI = '/usr/include/linux/bpf.h'

SHT_SYMTAB, SHT_REL, STT_FUNC = 2, 9, 2
CALL, LOAD_64, MOVE, ADD, FRAME_POINTER = 0x85, 0x18, 0xbf, 0x07, 10
CALL_HELPER, CALL_FUNCTION, CALL_KERNEL = 0, 1, 2
CLASS_LDX, CLASS_ST, CLASS_STX = 1, 2, 3
STACK = 512


class Function:
    def __init__(self, name, section, instructions):
        self.name = name
        self.section = section
        self.instructions = instructions  # of 8 bytes: a 64-bit constant is two
        self.frame = 0  # bytes of stack
        self.helpers = collections.Counter()  # number of the helper: calls of it in the text
        self.kernel = collections.Counter()  # function of the kernel: the same
        self.calls = set()  # (section, offset) of functions of ours


class Object:
    def __init__(self, path=OBJECT):
        with open(path, 'rb') as file:
            self.bytes = file.read()
        self._read_sections()
        self.functions = {}  # (section, offset): Function
        for name, kind, section, value, size in self.symbols:
            if kind == STT_FUNC:
                self.functions[section, value] = self._function(name, section, value, size)

    def programs(self):
        """{name: its functions, its own first}"""
        return {function.name: self.reached(at) for at, function in self.functions.items()
                if self.names[function.section] != '.text'}

    def reached(self, at):
        seen, left = {}, [at]
        while left:
            at = left.pop()
            if at not in seen:
                seen[at] = self.functions[at]
                left += self.functions[at].calls
        return list(seen.values())

    def _read_sections(self):
        offset, size, count, names = struct.unpack_from('<Q10xHHH', self.bytes, 0x28)
        headers = [struct.unpack_from('<IIQQQQIIQQ', self.bytes, offset + size * i) for i in range(count)]
        self.sections = [(header[1], header[4], header[5], header[6], header[7]) for header in headers]
        self.names = [self._string(names, header[0]) for header in headers]
        self.symbols, self.relocations = [], {}
        for kind, start, length, link, _ in self.sections:
            if kind == SHT_SYMTAB:
                for at in range(start, start + length, 24):
                    name, info, _, section, value, bytes_ = struct.unpack_from('<IBBHQQ', self.bytes, at)
                    self.symbols.append((self._string(link, name), info & 15, section, value, bytes_))
        for kind, start, length, _, target in self.sections:
            if kind == SHT_REL:
                for at in range(start, start + length, 16):
                    where, info = struct.unpack_from('<QQ', self.bytes, at)
                    self.relocations[target, where] = self.symbols[info >> 32]

    def _string(self, section, offset):
        start = self.sections[section][1] + offset
        return self.bytes[start:self.bytes.index(0, start)].decode()

    def _function(self, name, section, value, size):
        function = Function(name, section, size // 8)
        start = self.sections[section][1]
        copies, skip = set(), False  # of the frame pointer
        for offset in range(value, value + size, 8):
            if skip:  # the second half of a 64-bit constant
                skip = False
                continue
            code, registers, off, imm = struct.unpack_from('<BBhi', self.bytes, start + offset)
            target, source = registers & 15, registers >> 4
            skip = code == LOAD_64
            if code == CALL:
                self._call(function, section, offset, source, imm)
                copies -= {0, 1, 2, 3, 4, 5}
                continue
            base = source if code & 7 == CLASS_LDX else target if code & 7 in (CLASS_ST, CLASS_STX) else None
            if base == FRAME_POINTER:
                function.frame = max(function.frame, -off)
            if code == ADD and target in copies:
                function.frame = max(function.frame, -imm)
            if code == MOVE and source == FRAME_POINTER:
                copies.add(target)
            elif code & 7 not in (CLASS_ST, CLASS_STX):
                copies.discard(target)
        return function

    def _call(self, function, section, offset, way, imm):
        symbol = self.relocations.get((section, offset))
        if way == CALL_HELPER:
            function.helpers[imm] += 1
        elif symbol and symbol[2] == 0 or way == CALL_KERNEL:  # defined elsewhere: in the kernel
            function.kernel[symbol[0]] += 1
        elif symbol:  # relative to the symbol of a section, else at the symbol
            function.calls.add((symbol[2], symbol[3] if symbol[1] == STT_FUNC else (imm + 1) * 8))
        else:
            function.calls.add((section, offset + (imm + 1) * 8))


def helper_names():
    """{number: name} from the header of the kernel's interface."""
    with open(UAPI, encoding='utf-8') as file:
        text = file.read()
    listed = re.findall(r'FN\((\w+)(?:, (\d+),[^)]*)?\)', text)
    return {int(number) if number else i: name for i, (name, number) in enumerate(listed)}
