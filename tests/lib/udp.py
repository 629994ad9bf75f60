#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""UDP for the end-to-end tests: what it is told to do, and one line of what came of it.

usage: udp.py echo ADDRESS PORT                  answers each datagram with itself, for ever
       udp.py collect ADDRESS PORT FILE          appends each datagram to FILE, for ever
       udp.py send [OPTION...] ADDRESS PORT      sends and waits for the echo: 'OK', or the errno's name
       udp.py syslog ADDRESS PORT TEXT           logs TEXT, as a Python program does

Servers print a line when they are bound.
"""

import argparse
import errno
import hashlib
import logging
import logging.handlers
import socket
import sys
import time


def bound(options):
    family = socket.AF_INET6 if ':' in options.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((options.address, options.port))
    print('bound', flush=True)
    return sock


def echo(options):
    sock = bound(options)
    while True:
        data, peer = sock.recvfrom(65536)
        sock.sendto(data, peer)


def collect(options):
    sock = bound(options)
    with open(options.file, 'ab', buffering=0) as file:
        while True:
            file.write(sock.recv(65536) + b'\n')


def payload(size, number):
    """Of no two the same, so that one is not taken for another."""
    block = hashlib.sha256(b'%d' % number).digest()
    return (block * (size // len(block) + 1))[:size]


def exchange(sock, options, to):
    """A window of datagrams is under way, as QUIC has it; each must come back as it went."""
    window = max(1, 80000 // max(options.size, 10000))  # a socket's buffer holds so many
    sock.settimeout(5)
    if options.connect:
        sock.connect(to)
    waiting, number = set(), 0
    while number < options.count or waiting:
        if number < options.count and len(waiting) < window:
            data = payload(options.size, number)
            if options.connect:
                sock.send(data)
            else:
                sock.sendto(data, to)
            waiting.add(data)
            number += 1
        else:
            waiting.remove(sock.recv(65536))


def send(options):
    family = socket.AF_INET6 if ':' in options.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            exchange(sock, options, (options.address, options.port))
        except socket.timeout:
            print('TIMEOUT')
        except KeyError:
            print('CHANGED')
        except OSError as error:
            print(errno.errorcode[error.errno])
        else:
            print('OK', flush=True)
        if options.hold:
            time.sleep(options.hold)


def syslog(options):
    logging.raiseExceptions = False
    handler = logging.handlers.SysLogHandler((options.address, options.port))
    failures = []
    handler.handleError = lambda record: failures.append(sys.exc_info()[1])
    logger = logging.getLogger('udp')
    logger.addHandler(handler)
    logger.error(options.text)
    print(errno.errorcode[failures[0].errno] if failures else 'OK')


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest='command', required=True)
    for run in (echo, collect, send, syslog):
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        command.add_argument('address')
        command.add_argument('port', type=int)
        if run is collect:
            command.add_argument('file')
        elif run is syslog:
            command.add_argument('text')
        elif run is send:
            command.add_argument('--connect', action='store_true', help='connect() first, and send without an address')
            command.add_argument('--count', type=int, default=1)
            command.add_argument('--size', type=int, default=64)
            command.add_argument('--hold', type=float, default=0, help='seconds before closing')
    options = parser.parse_args()
    options.run(options)


main()
