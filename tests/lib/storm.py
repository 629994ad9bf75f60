#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Changes the configuration of a running agent again and again while programs connect, and holds
what came of each connect against the configurations that were in force while it lasted.

    storm.py FILE LOG CGROUP PORT CHANGES RATE

Every address has a verdict that says which configuration judged it: it is full (one connection is
held, one is allowed), and refused with an errno of its own, or let through.

    fix    EPERM, whatever changes
    tone   its errno changes
    moved  belongs to left (EHOSTUNREACH) or to right (ETIMEDOUT)
    tide   enforce or observe
    guest  refused while it has a name, let through as nobody's

Prints one JSON object.
"""

import ctypes
import errno
import json
import multiprocessing
import os
import selectors
import signal
import socket
import sys
import time

HELD = {'fix': 1, 'tone': 2, 'left': 3, 'right': 4, 'tide': 6, 'guest': 7}
ADDRESSES = {'fix': '127.1.0.1', 'tone': '127.1.0.2', 'left': '127.1.0.3', 'right': '127.1.0.4',
             'moved': '127.1.0.5', 'tide': '127.1.0.6', 'guest': '127.1.0.7'}
PROBED = ('fix', 'tone', 'moved', 'tide', 'guest')
TONES = ('ehostunreach', 'etimedout', 'econnrefused')


def verdict(name, change):
    """What a connect gets from configuration number CHANGE."""
    if name == 'fix':
        return 'EPERM'
    if name == 'tone':
        return TONES[change % 3].upper()
    if name == 'moved':
        return 'ETIMEDOUT' if change % 2 else 'EHOSTUNREACH'
    if name == 'tide':
        return 'OK' if change // 2 % 2 else 'ECONNREFUSED'
    return 'OK' if change % 2 else 'ECONNREFUSED'


def text(change, port):
    def destination(name, err, addresses, more=''):
        matches = ', '.join(f'{{cidr: {ADDRESSES[a]}, port: {port}}}' for a in addresses)
        return (f'  - name: {name}\n    match: [{matches}]\n'
                f'    limits: {{concurrent: 1, errno: {err}}}\n{more}')

    left, right = ['left'], ['right']
    (right if change % 2 else left).append('moved')
    lines = ['mode: enforce\ndestinations:\n',
             destination('fix', 'eperm', ['fix']),
             destination('tone', TONES[change % 3], ['tone']),
             destination('left', 'ehostunreach', left),
             destination('right', 'etimedout', right),
             destination('tide', 'econnrefused', ['tide'],
                         '    mode: observe\n' if change // 2 % 2 else '')]
    if change % 2 == 0:
        lines.append(destination('guest', 'econnrefused', ['guest']))
    return ''.join(lines)


def attempt(address, port):
    with socket.socket() as s:
        try:
            s.connect((address, port))
            return 'OK'
        except OSError as e:
            return errno.errorcode[e.errno]


def end_with_parent():
    """A program that is killed takes its own with it (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def connector(cgroup, port, rate, stop, results):
    end_with_parent()
    with open(f'{cgroup}/cgroup.procs', 'w') as f:
        f.write(str(os.getpid()))
    mine, due = [], time.monotonic()
    while not stop.is_set():
        for name in PROBED:
            began = time.monotonic()
            outcome = attempt(ADDRESSES[name], port)
            mine.append((name, began, time.monotonic(), outcome))
            due += 1 / rate
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
    results.put(mine)


def holder(cgroup, port, ready, done):
    end_with_parent()
    with open(f'{cgroup}/cgroup.procs', 'w') as f:
        f.write(str(os.getpid()))
    held = []
    for name in HELD:
        held.append(socket.create_connection((ADDRESSES[name], port)))
    ready.set()
    done.wait()


def server(listener):
    """Keeps each connection until the other side lets go: what is held is held."""
    end_with_parent()
    ready = selectors.DefaultSelector()
    ready.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj is listener:
                ready.register(listener.accept()[0], selectors.EVENT_READ)
            else:
                ready.unregister(key.fileobj)
                key.fileobj.close()


class Log:
    """Waits for the agent to say that it applied another configuration."""

    def __init__(self, path):
        self.file = open(path)
        self.file.seek(0, os.SEEK_END)

    def wait(self, deadline):
        line = ''
        while time.monotonic() < deadline:
            line += self.file.readline()
            if not line.endswith('\n'):
                time.sleep(0.0005)
                continue
            if 'configuration rejected' in line or line.startswith('error'):
                sys.exit(f'the agent says: {line}')
            if 'configuration applied' in line:
                return
            line = ''
        sys.exit('the agent does not apply a configuration')


def main():
    path, log_path, cgroup, port, changes, rate = sys.argv[1:]
    port, changes, rate = int(port), int(changes), int(rate)
    listener = socket.create_server(('0.0.0.0', port), backlog=4096)
    context = multiprocessing.get_context('fork')
    stop, ready, done, results = context.Event(), context.Event(), context.Event(), context.Queue()
    programs = [context.Process(target=server, args=(listener,), daemon=True),
                context.Process(target=holder, args=(cgroup, port, ready, done), daemon=True)]
    log = Log(log_path)

    def write(change):
        with open(path + '.new', 'w') as f:
            f.write(text(change, port))
        began = time.monotonic()
        os.rename(path + '.new', path)
        log.wait(began + 20)
        return began, time.monotonic()

    # when each configuration may have been in force at the earliest, and stood for sure
    spans = [write(0)]
    for program in programs:
        program.start()
    if not ready.wait(20):
        sys.exit('the connections to be held do not come')
    connectors = [context.Process(target=connector, args=(cgroup, port, rate / 2, stop, results), daemon=True)
                  for _ in range(2)]
    for program in connectors:
        program.start()
    for change in range(1, changes + 1):
        spans.append(write(change))
    time.sleep(0.05)  # some connects behind the last change
    stop.set()
    tried = sorted((r for _ in connectors for r in results.get(timeout=60)), key=lambda r: r[1])

    wrong, seen, first = [], {}, 0
    for name, began, ended, outcome in tried:
        # the oldest that may still have been in force when it began: its successor did not stand yet
        while first + 1 < len(spans) and spans[first + 1][1] < began:
            first += 1
        last = first
        while last + 1 < len(spans) and spans[last + 1][0] <= ended:
            last += 1
        if outcome not in {verdict(name, change) for change in range(first, last + 1)}:
            wrong.append((name, outcome, first, last, began - spans[first][0]))
        seen[f'{name} {outcome}'] = seen.get(f'{name} {outcome}', 0) + 1
    elapsed = spans[-1][1] - spans[0][1]
    took = sorted(b - a for a, b in spans[1:])
    print(json.dumps({'changes': len(spans) - 1, 'connects': len(tried), 'seconds': round(elapsed, 1),
                      'rate': round(len(tried) / elapsed), 'misjudged': len(wrong), 'wrong': wrong[:10],
                      'seen': seen, 'applied_ms_p50': round(took[len(took) // 2] * 1000, 2),
                      'applied_ms_max': round(took[-1] * 1000, 2)}), flush=True)
    # the held ones are alive until we are told to end
    sys.stdin.readline()
    done.set()
    for program in programs:
        program.terminate()


main()
