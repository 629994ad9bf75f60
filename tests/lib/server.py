#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server for the end-to-end tests; prints its port when it listens.

It answers every request with "ok" and closes. Failing is done to it from outside: a
killed one refuses, a stopped one (SIGSTOP) with --backlog 1 lets clients hang.

A port that was not asked for lies below the ephemeral range: while the server is down, a
client's own port must not be the one it connects to, or it would reach itself.
"""

import argparse
import random
import socket
import sys

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n'


def listen(address, port, backlog):
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    for _ in range(200):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port or random.randrange(15000, 30000)))
            sock.listen(backlog)
            return sock
        except OSError:
            sock.close()
            if port:
                raise
    sys.exit('no free port')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--address', default='127.0.0.1')
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--backlog', type=int, default=128)
    parser.add_argument('--hold', action='store_true', help='accept, and keep the connection without an answer')
    options = parser.parse_args()

    sock = listen(options.address, options.port, options.backlog)
    print(sock.getsockname()[1], flush=True)
    held = []
    while True:
        client, _ = sock.accept()
        if options.hold:
            held.append(client)
            continue
        try:
            client.settimeout(2)
            # one that only connects sends nothing and closes
            if client.recv(65536):
                client.sendall(ANSWER)
        except OSError:
            pass
        client.close()


if __name__ == '__main__':
    main()
