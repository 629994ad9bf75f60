#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two programs that talk as they are told, for the end-to-end tests.

usage: talk.py serve [-p PORT] STEP...            prints its port; each connection goes through the steps
       talk.py call [-n N] ADDRESS PORT STEP...   N connections, one after the other, go through them

    send:N      sends N bytes                     hear       waits until something comes
    hear:N      waits for N bytes in all          eof        waits for the end; what comes is let go
    fin         says that no more comes           close      closes, without what follows
    reset       closes with RST                   sleep:S    S seconds, of a protocol that lets time pass
    touch:FILE  makes a file                      wait:FILE  until that file is there
    if:FILE     closes, unless that file is there
    keepalive   SO_KEEPALIVE, each second         forget     ends what connect() began, and the socket listens
    ...         the steps begin anew, until the other side closes

'call' ends with 0 when it got through, else with 1 and what went wrong.
"""

import ctypes
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import listen  # noqa: E402

DEADLINE = 20


def keepalive(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)


def forget(sock):
    """AF_UNSPEC: the socket is as new, and can listen."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.connect(sock.fileno(), bytes(16), 16) != 0:
        raise OSError(ctypes.get_errno(), 'connect(AF_UNSPEC)')
    sock.bind(('127.0.0.1', 0))
    sock.listen()


def hear(sock, least):
    heard = 0
    while heard < least:
        data = sock.recv(65536)
        if not data:
            raise EOFError(f'the other side closed after {heard} bytes')
        heard += len(data)


def wait(path):
    end = time.monotonic() + DEADLINE
    while not os.path.exists(path):
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.01)


def step(sock, what, value):
    """False: the socket is closed."""
    if what == 'send':
        sock.sendall(b'x' * int(value))
    elif what == 'hear':
        hear(sock, int(value or 1))
    elif what == 'eof':
        while sock.recv(65536):
            pass
    elif what == 'fin':
        sock.shutdown(socket.SHUT_WR)
    elif what == 'sleep':
        time.sleep(float(value))
    elif what == 'touch':
        open(value, 'w', encoding='ascii').close()
    elif what == 'wait':
        wait(value)
    elif what == 'if':
        return os.path.exists(value)
    elif what == 'keepalive':
        keepalive(sock)
    elif what == 'forget':
        forget(sock)
    elif what == 'reset':
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\x01\0\0\0\0\0\0\0')
        return False
    elif what == 'close':
        return False
    else:
        sys.exit(f'talk.py: no such step: {what}')
    return True


def talk(sock, steps):
    sock.settimeout(DEADLINE)
    try:
        while True:
            for text in steps:
                if text == '...':
                    break
                what, _, value = text.partition(':')
                if not step(sock, what, value):
                    return
            if steps[-1] != '...':
                return
    finally:
        sock.close()


def answer(sock, steps):
    try:
        talk(sock, steps)
    except (OSError, EOFError):
        pass


def serve(words):
    port = 0
    if words[0] == '-p':
        port = int(words[1])
        words = words[2:]
    sock = listen('0.0.0.0', port, 128)
    print(sock.getsockname()[1], flush=True)
    while True:
        client, _ = sock.accept()
        threading.Thread(target=answer, args=(client, words), daemon=True).start()


def call(words):
    count = 1
    if words[0] == '-n':
        count = int(words[1])
        words = words[2:]
    for _ in range(count):
        try:
            talk(socket.create_connection((words[0], int(words[1])), DEADLINE), words[2:])
        except (OSError, EOFError) as error:
            sys.exit(f'{type(error).__name__}: {error}')


if sys.argv[1] == 'serve':
    serve(sys.argv[2:])
else:
    call(sys.argv[2:])
