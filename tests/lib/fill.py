#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Connects once to each of many endpoints of the loopback network, from one to another, on which nobody listens.

usage: fill.py FROM TO

Prints how many were refused, as they are where nothing stands between.
"""

import errno
import socket
import struct
import sys

LINGER_NONE = struct.pack('ii', 1, 0)


def main():
    refused = 0
    for i in range(int(sys.argv[1]), int(sys.argv[2])):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            refused += sock.connect_ex((f'127.81.{i >> 8}.{i & 255}', 9)) == errno.ECONNREFUSED
    print(f'refused={refused}')


if __name__ == '__main__':
    main()
