#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fills maps that are pinned, as somebody with too many rights might, and takes out again what it put in.

    junk.py fill|empty PIN...

Prints how many entries that were, of each.
"""

import ctypes
import json
import os
import platform
import subprocess
import struct
import sys

NUMBER = {'x86_64': 321, 'aarch64': 280}[platform.machine()]
OBJ_GET, UPDATE, DELETE = 7, 2, 3
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(NUMBER, command, buffer, 128)
    return result if result >= 0 else -ctypes.get_errno()


def key(size, number):
    """None that anybody has: an address of fd.., or a cgroup whose number begins so."""
    return struct.pack('>Q', 0xfdfd000000000000 + number)[::-1].ljust(size, b'\xfd')[:size]


def main():
    for pin in sys.argv[2:]:
        info = json.loads(subprocess.run(['bpftool', '-j', 'map', 'show', 'pinned', pin], check=True, capture_output=True).stdout)
        path = ctypes.create_string_buffer(pin.encode())
        fd = bpf(OBJ_GET, struct.pack('QII', ctypes.addressof(path), 0, 0))
        if fd < 0:
            sys.exit(f'{pin}: {os.strerror(-fd)}')
        value = ctypes.create_string_buffer(b'\xfd' * info['bytes_value'], info['bytes_value'])
        done = 0
        for number in range(info['max_entries']):
            one = ctypes.create_string_buffer(key(info['bytes_key'], number), info['bytes_key'])
            if sys.argv[1] == 'empty':
                done += bpf(DELETE, struct.pack('IIQ', fd, 0, ctypes.addressof(one))) == 0
            elif bpf(UPDATE, struct.pack('IIQQQ', fd, 0, ctypes.addressof(one), ctypes.addressof(value), 0)) == 0:
                done += 1
            else:  # it is full
                break
        print(f'{os.path.basename(pin)}={done}', end=' ', flush=True)
        os.close(fd)


main()
