#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From the failure that is one too many to the first client that is turned away: ebb, and HAProxy as a sidecar.

usage: trip.py [--rounds N] [--trials N] [--write FILE]

Root, under a minute, in a network namespace of its own. Each trial is a destination that nobody failed at before, a closed port
(tests/bench/trip.c):

    row        ebb, 5 failures in a row: the kernel counts and refuses
    rate       ebb, a failure rate over 5 calls: the agent decides
    haproxy    HAProxy in TCP mode, 'observe layer4', 'error-limit 5', 'on-error mark-down', one thread
    haproxy_2  the same with two threads

One after the other in rotating order, in blocks, with one and with two threads that connect, on an idle machine and with a spinning
process on each processor. What the sidecar may do is done for it: no retry, which would wait for a second, no check that could
interfere, and who comes when no server is left is turned away as soon as there is a connection.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
sys.dont_write_bytecode = True

import figures  # noqa: E402
import limits  # noqa: E402

FAILURES = 5  # as in trip.c
ARMS = {'row': None, 'rate': None, 'haproxy': 20000, 'haproxy_2': 21000}  # port of the first destination of a proxy
BREAKERS = {'row': f'consecutive_failures={FAILURES},open_for=1h,open_max=1h',
            'rate': f'consecutive_failures=0,min_calls={FAILURES},failure_rate=0.5,open_for=1h,open_max=1h'}
THREADS = {'haproxy': 1, 'haproxy_2': 2}  # of the proxy
CONDITIONS = [(threads, busy) for busy in (False, True) for threads in (1, 2)]
READY = 999  # it answers when all do
START_S = 60


def proxy_configuration(name, count, closed, checked):
    """A port for each trial. A server without a check is never marked down: its check asks another port, and once an hour."""
    first = ARMS[name]
    yield f'global\n\tnbthread {THREADS[name]}\n\tmaxconn 1000'
    yield 'defaults\n\tmode tcp\n\tretries 0\n\ttimeout connect 5s\n\ttimeout client 1m\n\ttimeout server 1m'
    for n in range(count):
        yield (f'listen l{n}\n\tbind 127.0.0.1:{first + n}\n\ttcp-request connection reject if {{ nbsrv lt 1 }}\n'
               f'\tserver one 127.1.1.1:{closed} check addr 127.0.0.1 port {checked} inter 1h '
               f'observe layer4 error-limit {FAILURES} on-error mark-down')
    yield f'listen ready\n\tbind 127.0.0.1:{first + READY}'


class Proxy:
    def __init__(self, place, name, count, closed, checked):
        path = os.path.join(place.work, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.writelines(line + '\n' for line in proxy_configuration(name, count, closed, checked))
        self.process = subprocess.Popen(['haproxy', '-db', '-q', '-f', path], preexec_fn=limits.die_with_parent)
        deadline = time.monotonic() + START_S
        while True:
            with socket.socket() as client:
                if client.connect_ex(('127.0.0.1', ARMS[name] + READY)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError('haproxy does not start: apt-get install haproxy')
            time.sleep(0.01)

    def stop(self):
        self.process.kill()
        self.process.wait()


def measure(place, rounds, trials):
    """Of each condition and arm: a list of rounds, each a list of [ns, slipped]."""
    agents, proxies = {}, {}
    plain = place.make_cgroup('plain')
    count = rounds * trials * len(CONDITIONS)
    if count > READY:
        raise RuntimeError(f'{count} trials are more than the {READY} ports of a proxy')
    with socket.socket() as closed, socket.socket() as checked:
        closed.bind(('0.0.0.0', 0))
        checked.bind(('127.0.0.1', 0))
        checked.listen(count)
        try:
            for name, breaker in BREAKERS.items():
                agents[name] = limits.Agent(place, name, '--errno', 'ehostunreach', '--breaker', breaker)
            for name in THREADS:
                proxies[name] = Proxy(place, name, count, closed.getsockname()[1], checked.getsockname()[1])
            return run_all(place, plain, agents, rounds, trials)
        finally:
            for one in (*agents.values(), *proxies.values()):
                one.stop()


def run_all(place, plain, agents, rounds, trials):
    result, first = [], 0
    names = list(ARMS)
    for threads, busy in CONDITIONS:
        one = {'threads': threads, 'busy': busy, 'arms': {name: [] for name in names}}
        for number in range(rounds):
            for i in range(len(names)):
                name = names[(number + i) % len(names)]
                kind = ['--proxy', ARMS[name]] if ARMS[name] else ['--agent']
                cgroup = agents[name].cgroup if name in agents else plain
                text = limits.run(place.bench, 'trip', '--each', '--cgroup', cgroup, '--pin', 'none', '--trials', str(trials), '--first',
                                  str(first), '--threads', str(threads), *(['--busy'] if busy else []), *(str(k) for k in kind))
                one['arms'][name].append(json.loads(text)['each'])
            first += trials
        result.append(one)
    return result


def summary(measured):
    """What the trials come to; each arm against the kernel's, round by round."""
    for one in measured:
        base = [statistics.median(ns for ns, _ in block) for block in one['arms']['row']]
        for name, blocks in one['arms'].items():
            times = [ns for block in blocks for ns, _ in block]
            slipped = [n for block in blocks for _, n in block]
            # two connect: one may be turned away before the failure of the other has returned, after 0 ns
            ratios = [statistics.median(ns for ns, _ in block) / b for block, b in zip(blocks, base)] if all(base) else []
            one['arms'][name] = {
                'n': len(times), 'rounds': len(blocks),
                'ns': {f'p{q}': figures.percentile(times, q / 100) for q in (25, 50, 75, 99, 100)},
                'to_row': figures.spread(ratios),
                'slipped': {'total': sum(slipped), 'p50': statistics.median(slipped), 'max': max(slipped),
                            'trials': sum(n > 0 for n in slipped)}}
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=6)
    parser.add_argument('--trials', type=int, default=20, help='of each block')
    parser.add_argument('--write', metavar='FILE')
    options = parser.parse_args()
    limits.enter_network('trip')
    build = os.path.abspath(os.environ.pop('BUILD', os.path.join(here, '../../build')))
    os.environ.pop('EBB_BUILD', None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with limits.Own(build, 'trip') as place:
        result = summary(measure(place, options.rounds, options.trials))
    with open(options.write, 'w', encoding='utf-8') if options.write else sys.stdout as file:
        json.dump(result, file, sort_keys=True)
        file.write('\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
