#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How what ebb costs grows: with destinations, with workloads, with scrapes a minute.

usage: growth.py [--rounds N] [--only WORD]... [--write FILE] [--svg FILE]

Root, under 5 minutes. For each number of destinations and of workloads: a connect() to a warm pair and to a random one
against nothing attached (ebb-bench growth, which has the programs for itself), and then the agent, enforcing: its ticks and
its share of a processor while nothing happens and with 500 connections a second, its memory, a scrape, and its start, with
what stands pinned and without. A window of a breaker is one second here and not ten, so that quiet comes sooner.
"""

import argparse
import gzip
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
sys.dont_write_bytecode = True

import figures  # noqa: E402
import growth_report  # noqa: E402
import limits  # noqa: E402

DESTINATIONS = (10, 100, 1000, 10000)
WORKLOADS = (10, 100, 1000)
EACH = 10  # destinations of each workload where the workloads grow
DEFAULT_ROOM = 4096
SCRAPES = ((1, 60), (10, 18), (60, 10), (100, 12))  # a minute; seconds of watching
SCRAPED = 1000  # destinations, where the scrapes grow
RATE, BUSY_S, IDLE_S, QUIET_S = 500, 4, 4, 3
FIRST_PORT = 20000  # of HAProxy
KNOCK = 62000  # the destination that fails
START_S = 60
BUDGET_S = 250  # then nothing more is begun
BREAKER = 'window=1s,consecutive_failures=5,open_for=1h,open_max=1h'


def room_for(destinations):
    """A workload may find a quarter of them."""
    return max(DEFAULT_ROOM, 4 * (destinations + 1))


class Node:
    """The agent, and the cgroup that it governs."""

    def __init__(self, place, destinations, workloads):
        self.place = place
        self.destinations, self.workloads = destinations, workloads
        self.cgroup = place.make_cgroup(f'{destinations}-{workloads}')
        self.pin = f'/sys/fs/bpf/{place.name}'
        self.process = self.address = self.began = self.ready = None
        self.said = []

    def bench(self, what, *options):
        command = [self.place.bench, what, '--cgroup', self.cgroup, '--pin', self.pin, *(str(o) for o in options)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=limits.die_with_parent)

    def measured(self, what, *options):
        one = self.bench(what, '--trials', self.destinations, '--workloads', self.workloads, *options)
        text, _ = one.communicate()
        if one.returncode:
            raise RuntimeError(f'ebb-bench {what} failed')
        return json.loads(text)

    def start(self):
        """Returns when it has started, and how long that took."""
        self.ready = threading.Event()
        self.said = []
        self.began = time.monotonic_ns()
        self.process = subprocess.Popen(
            ['env', 'EBB_AUDIT_SQLITE_PATH=off', self.place.ebb, 'run', '--mode', 'enforce', '--errno', 'ehostunreach', '--breaker', BREAKER,
             '--destinations', str(room_for(self.destinations)), '--idle', '1h', '--cgroup', self.cgroup, '--pin', self.pin,
             '--listen', '127.0.0.1:0'], stderr=subprocess.PIPE, text=True, preexec_fn=limits.die_with_parent)
        threading.Thread(target=self.listen, args=(self.process.stderr, self.ready), daemon=True).start()
        if not self.ready.wait(START_S) or not self.address:
            raise RuntimeError(f'ebb run did not start: {" ".join(self.said)}')
        return (self.started - self.began) / 1e6

    def listen(self, lines, ready):
        self.address = None
        for line in lines:
            found = re.search(r' started: .* listen=(\S+)', line)
            if found and not self.address:
                self.started = time.monotonic_ns()
                self.address = found.group(1)
                ready.set()
            self.said.append(line.strip())
        ready.set()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(START_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def close(self):
        self.stop()
        if os.path.isdir(self.pin):
            limits.undo(self.place.ebb, 'detach', '--pin', self.pin)
        for name in os.listdir(self.cgroup):
            if name.startswith('w') and os.path.isdir(os.path.join(self.cgroup, name)):
                os.rmdir(os.path.join(self.cgroup, name))

    def cpu_s(self):
        """All threads, those that ended too: the process's clock (clock_getcpuclockid(3))."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def anonymous_bytes(self):
        with open(f'/proc/{self.process.pid}/status', encoding='utf-8') as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('RssAnon:'))

    def scrape(self, encoding='identity'):
        """The body as it came, and how long that took."""
        client = http.client.HTTPConnection(self.address, timeout=START_S)
        begin = time.monotonic()
        client.request('GET', '/metrics', headers={'Accept-Encoding': encoding})
        body = client.getresponse().read()
        took = time.monotonic() - begin
        client.close()
        return body, took


def metric(body, name):
    found = re.search(rb'^' + re.escape(name.encode()) + rb' (\S+)$', body, re.MULTILINE)
    if not found:
        raise RuntimeError(f'/metrics has no {name}')
    return float(found.group(1))


def ticks(body):
    return [metric(body, 'ebb_tick_duration_seconds_' + part) for part in ('sum', 'count')]


def tick_us(before, after):
    return (after[0] - before[0]) / max(1, after[1] - before[1]) * 1e6


# ---------------------------------------------------------------- measure --


def start_and_knock(node, port):
    """How long the agent took to start, and when a program was first refused. What stands pinned refuses meanwhile."""
    stands = os.path.isdir(node.pin)
    knock = node.bench('knock', '--first', KNOCK, '--trials', port)
    try:
        if stands:
            node.stop()
        started_ms = node.start()
        # the first refusal of a new breaker needs five connections more than the programs
        time.sleep(0.1)
    finally:
        knock.terminate()
        text, _ = knock.communicate()
    seen = json.loads(text)
    return {'started_ms': started_ms, 'first_refused_ms': None if stands else (seen['first_ns'] - node.began) / 1e6,
            'through': seen['through_before'] + seen['through_after'] if stands else seen['through_after'],
            'refused': seen['refused']}


def busy_and_idle(node):
    """Ticks and processor time while nothing happens, and with connections to any of the pairs."""
    time.sleep(QUIET_S)
    before = ticks(node.scrape()[0])
    cpu = node.cpu_s()
    time.sleep(IDLE_S)
    idle = (node.cpu_s() - cpu) / IDLE_S
    between = ticks(node.scrape()[0])
    cpu = node.cpu_s()
    took = node.measured('visit', '--rate', RATE, '--samples', RATE * BUSY_S)['seconds']
    busy = (node.cpu_s() - cpu) / took
    after = ticks(node.scrape()[0])
    return {'idle_share': idle, 'busy_share': busy, 'idle_tick_us': tick_us(before, between),
            'busy_tick_us': tick_us(between, after)}


def scrapes(node):
    taken = [node.scrape() for _ in range(5)]
    body = taken[-1][0]
    packed, packed_s = node.scrape('gzip')
    return {'scrape_ms': figures.median([took * 1e3 for _, took in taken]), 'scrape_bytes': len(body),
            'scrape_series': sum(1 for line in body.splitlines() if not line.startswith(b'#')),
            'gzip_ms': packed_s * 1e3, 'gzip_bytes': len(packed), 'gzip_whole': len(gzip.decompress(packed)) > 0,
            'map_bytes': metric(body, 'ebb_memory_bytes{kind="maps"}'), 'anonymous_bytes': node.anonymous_bytes()}


def scraped(node, rate, seconds):
    """The agent's share of a processor with so many scrapes a minute, as Prometheus asks, and nothing else to do."""
    cpu, begin, asked = node.cpu_s(), time.monotonic(), 0
    while time.monotonic() < begin + seconds:
        node.scrape('gzip')
        asked += 1
        time.sleep(max(0, min(begin + asked * 60 / rate, begin + seconds) - time.monotonic()))
    return {'scrapes': rate, 'asked': asked, 'seconds': seconds,
            'share': (node.cpu_s() - cpu) / (time.monotonic() - begin)}


def nftables_ms(place, count):
    """A rate for each of so many destinations, as elements of one set."""
    elements = ', '.join(f'10.{n >> 16}.{n >> 8 & 255}.{n & 255} . 443 limit rate over 1000/second' for n in range(1, count + 1))
    path = os.path.join(place.work, 'nft')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(f'''table inet bench {{
            set each {{ type ipv4_addr . inet_service; limit rate over 1000/second; elements = {{ {elements} }} }}
            chain out {{
                type filter hook output priority filter; policy accept
                ct state new ip daddr . tcp dport @each drop
            }}
        }}\n''')
    begin = time.monotonic()
    try:
        limits.run('nft', '-f', path)
        return (time.monotonic() - begin) * 1e3
    finally:
        limits.undo('nft', 'delete', 'table', 'inet', 'bench')


def haproxy_ms(place, count):
    """A port for each destination, until the last of them answers."""
    path = os.path.join(place.work, 'haproxy')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('global\n\tnbthread 1\ndefaults\n\tmode tcp\n\ttimeout connect 5s\n\ttimeout client 1m\n\ttimeout server 1m\n')
        file.writelines(f'listen l{n}\n\tbind 127.0.0.1:{FIRST_PORT + n}\n\tserver s 127.0.0.1:9\n' for n in range(count))
    begin = time.monotonic()
    proxy = subprocess.Popen(['haproxy', '-db', '-q', '-f', path], preexec_fn=limits.die_with_parent)
    try:
        while proxy.poll() is None and time.monotonic() < begin + START_S:
            with socket.socket() as client:
                if client.connect_ex(('127.0.0.1', FIRST_PORT + count - 1)) == 0:
                    return (time.monotonic() - begin) * 1e3
            time.sleep(0.002)
        return None
    finally:
        proxy.kill()
        proxy.wait()


def measure_peers(place, report):
    try:
        for count in DESTINATIONS:
            report['peers'].append({'destinations': count, 'nftables_ms': nftables_ms(place, count), 'haproxy_ms': haproxy_ms(place, count)})
    except (OSError, RuntimeError) as error:
        print(f'growth.py: {error}', file=sys.stderr)
        report['failed'].append(f'peers: {error}')


def measure(place, destinations, workloads, rounds, report):
    node = Node(place, destinations, workloads)
    point = {'destinations': destinations, 'workloads': workloads, 'room': room_for(destinations)}
    try:
        connects = node.measured('growth', '--destinations', room_for(destinations), '--rounds', rounds)
        point['connect'] = {name: connects[name] for name in ('warm', 'random', 'random_again')}
        with socket.socket() as closed:
            closed.bind(('0.0.0.0', 0))
            port = closed.getsockname()[1]
            point['new'] = start_and_knock(node, port)
            node.measured('visit')
            point.update(busy_and_idle(node))
            point.update(scrapes(node))
            if (destinations, workloads) == (SCRAPED, 1):
                report['scrapes'] = [scraped(node, *each) for each in SCRAPES]
            point['pinned'] = start_and_knock(node, port)
        report['points'].append(point)
    except RuntimeError as error:
        print(f'growth.py: {error}', file=sys.stderr)
        report['failed'].append(f'{destinations} destinations, {workloads} workloads: {error}')
    finally:
        node.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=25, help='of the connections')
    parser.add_argument('--only', action='append', metavar='DESTINATIONS-WORKLOADS', help='only these points, such as 1000-1')
    parser.add_argument('--write', metavar='FILE', help='all figures, as JSON')
    parser.add_argument('--svg', metavar='FILE', help='as a picture')
    options = parser.parse_args()
    limits.enter_network('growth')
    build = os.path.abspath(os.environ.get('BUILD', os.path.join(here, '../../build')))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    points = [(d, 1) for d in DESTINATIONS] + [(EACH, w) for w in WORKLOADS]
    report = {'points': [], 'scrapes': [], 'peers': [], 'failed': []}
    began = time.monotonic()
    with limits.Own(build, 'growth') as place:
        for destinations, workloads in points:
            if options.only and f'{destinations}-{workloads}' not in options.only:
                continue
            if time.monotonic() - began > BUDGET_S:
                report['failed'].append(f'{destinations} destinations, {workloads} workloads: no time was left')
            else:
                print(f'growth.py: {destinations} destinations, {workloads} workloads', file=sys.stderr, flush=True)
                measure(place, destinations, workloads, options.rounds, report)
        if not options.only:
            measure_peers(place, report)
    report['took_s'] = time.monotonic() - began
    if options.write:
        with open(options.write, 'w', encoding='utf-8') as file:
            json.dump(report, file, sort_keys=True)
            file.write('\n')
    print('\n'.join(growth_report.table(report)))
    if options.svg:
        with open(options.svg, 'w', encoding='utf-8') as file:
            file.write('\n'.join(growth_report.svg(report)) + '\n')
    return 1 if report['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
