#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Connects, closes, and prints a line for each attempt: OK or the errno's name.

usage: connect.py [OPTION...] ADDRESS PORT

With --sum only one line: how many of each, 'OK=3 ECONNREFUSED=2', most frequent first.
With --until the last line is the one that was waited for, or the status is 1.
With --while FILE it goes on as long as the file exists.
"""

import argparse
import collections
import errno
import os
import select
import socket
import sys
import time


def name_of(number):
    return 'OK' if number == 0 else errno.errorcode.get(number, str(number))


def attempt(options):
    """An errno, or None when the program itself gave up."""
    family = socket.AF_INET6 if ':' in options.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    # no port is held in TIME_WAIT, however many attempts are made
    if options.reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\x01\0\0\0\0\0\0\0')
    try:
        sock.setblocking(False)
        result = sock.connect_ex((options.address, options.port))
        if result == errno.EINPROGRESS:
            poll = select.poll()
            poll.register(sock, select.POLLOUT)
            if not poll.poll(options.timeout * 1000):
                return None
            result = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if result == 0 and options.hold:
            time.sleep(options.hold)
        return result
    finally:
        sock.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--count', type=int, default=1, help='attempts; 0: no end')
    parser.add_argument('--while', dest='file', help='no new attempt when this file is gone')
    parser.add_argument('--seconds', type=float, help='no new attempt after this time')
    parser.add_argument('--every', type=float, default=0, help='seconds from one attempt to the next')
    parser.add_argument('--timeout', type=float, default=5)
    parser.add_argument('--hold', type=float, default=0, help='seconds before closing')
    parser.add_argument('--until', help='stop after the first with this result')
    parser.add_argument('--sum', action='store_true')
    parser.add_argument('--time', action='store_true', help='print after each result how long it took, in ms')
    parser.add_argument('--clock', action='store_true', help='print after each result when it began, in ms of Unix time')
    parser.add_argument('--reset', action='store_true', help='close with a reset')
    parser.add_argument('address')
    parser.add_argument('port', type=int)
    options = parser.parse_args()

    begin = time.monotonic()
    counts = collections.Counter()
    name = None
    while not options.file or os.path.exists(options.file):
        start = time.monotonic()
        if options.seconds is not None and start - begin >= options.seconds:
            break
        began = time.time()
        result = attempt(options)
        name = 'GAVE_UP' if result is None else name_of(result)
        counts[name] += 1
        if not options.sum:
            took = f' {(time.monotonic() - start) * 1000:.0f}' if options.time else ''
            clock = f' {began * 1000:.0f}' if options.clock else ''
            print(name + took + clock, flush=True)
        if options.count and sum(counts.values()) >= options.count or name == options.until:
            break
        time.sleep(max(0.0, start + options.every - time.monotonic()))
    if options.sum:
        print(' '.join(f'{key}={count}' for key, count in counts.most_common()))
    return 1 if options.until and name != options.until else 0


sys.exit(main())
