#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Connects once to each of many endpoints of the loopback network, on which nobody listens.

usage: scan.py COUNT

Prints how many were refused, as they are where nothing stands between.
"""

import errno
import socket
import struct
import sys

PORTS = (7, 9, 13, 17, 19, 21, 23, 37, 53, 70)  # of one address
LINGER_NONE = struct.pack('ii', 1, 0)


def main():
    count, refused = int(sys.argv[1]), 0
    for i in range(count):
        address = i // len(PORTS)
        text = f'127.77.{address >> 8 & 255}.{address & 255}' if address < 65536 else f'127.78.0.{address & 255}'
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            refused += sock.connect_ex((text, PORTS[i % len(PORTS)])) == errno.ECONNREFUSED
    print(f'refused={refused}')


if __name__ == '__main__':
    main()
