#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Moves a known number of bytes over TCP, both ways, and says how many.

    transfer.py serve [ADDRESS]                      prints its port; HTTP/1.1 with keep-alive, until it is killed
    transfer.py send [OPTION...] ADDRESS PORT N M    sends N bytes and receives M on one connection

The server answers PUT with the number of bytes that it took, GET /N with N bytes. 'send' speaks to it
in a language of its own, whose first line is no HTTP. It prints as JSON what the program wrote and
read and what TCP says it retransmitted (TCP_INFO), with the connection idle and nothing in flight.
--end HOW says how the connection ends: close (the default), reset (by us), peer-reset. With --until FILE
it stays idle until there is such a file.
"""

import argparse
import http.server
import json
import os
import socket
import struct
import sys
import threading
import time

LINGER_NONE = struct.pack('ii', 1, 0)
CHUNK = bytes(65536)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def parse_request(self):
        if self.raw_requestline.startswith(b'RAW '):
            self.raw()
            return False
        return super().parse_request()

    def raw(self):
        take, give = (int(word) for word in self.raw_requestline.split()[1:3])
        while take > 0:
            take -= len(self.rfile.read(min(take, len(CHUNK))))
        self.give(give)
        # the client has all of it
        self.rfile.read(1)
        if self.raw_requestline.split()[3] == b'peer-reset':
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            self.connection.close()
        self.close_connection = True

    def give(self, count):
        while count > 0:
            count -= self.connection.send(CHUNK[:min(count, len(CHUNK))])

    def answer(self, length):
        self.send_response(200)
        self.send_header('Content-Length', str(length))
        self.end_headers()

    def do_GET(self):
        count = int(self.path.strip('/') or 0)
        self.answer(count)
        self.give(count)

    def do_PUT(self):
        count = left = int(self.headers['Content-Length'])
        while left > 0:
            left -= len(self.rfile.read(min(left, len(CHUNK))))
        text = f'{count}\n'.encode()
        self.answer(len(text))
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def shutdown_request(self, request):
        # socketserver would shut it down first, which sends a FIN before our reset
        request.close()

    def handle_error(self, *_):
        pass


def serve(address):
    Server.address_family = socket.AF_INET6 if ':' in address else socket.AF_INET
    server = Server((address, 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def tcp_info(sock):
    """state, unacknowledged segments, retransmitted segments in all"""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return info[0], struct.unpack_from('I', info, 24)[0], struct.unpack_from('I', info, 100)[0]


def settle(sock):
    """Until all that was sent is acknowledged."""
    deadline = time.monotonic() + 20
    while tcp_info(sock)[1] and time.monotonic() < deadline:
        time.sleep(0.001)


def send(options):
    sock = socket.create_connection((options.address, options.port), 30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = f'RAW {options.send} {options.receive} {options.end}\n'.encode()
    sent, received = 0, 0
    received_all = threading.Event()

    def receive():
        nonlocal received
        while received < options.receive:
            received += len(sock.recv(1 << 20))
        received_all.set()

    threading.Thread(target=receive, daemon=True).start()
    for piece in (head, bytes(options.send)):
        sock.sendall(piece)
        sent += len(piece)
    if not received_all.wait(60):
        sys.exit('the answer does not come')
    while options.until and not os.path.exists(options.until):
        time.sleep(0.01)
    sock.sendall(b'.')
    sent += 1
    settle(sock)
    retransmits = tcp_info(sock)[2]
    if options.end == 'reset':
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
    elif options.end == 'peer-reset':
        try:
            sock.recv(1)
            sys.exit('no reset comes')
        except ConnectionResetError:
            pass
    sock.close()
    print(json.dumps({'sent': sent, 'received': received, 'retransmits': retransmits}))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest='command', required=True)
    command = commands.add_parser('serve')
    command.add_argument('address', nargs='?', default='127.0.0.1')
    command = commands.add_parser('send')
    command.add_argument('--end', choices=['close', 'reset', 'peer-reset'], default='close')
    command.add_argument('--until')
    command.add_argument('address')
    command.add_argument('port', type=int)
    command.add_argument('send', type=int)
    command.add_argument('receive', type=int)
    options = parser.parse_args()
    if options.command == 'serve':
        serve(options.address)
    else:
        send(options)


main()
