#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an order by hand costs: the whole process, and from its write to its effect on connect().

usage: tuning.py [--rounds N] [--destinations N] [--build DIR] [--write FILE]

Root. Everything is in a network namespace of its own, in cgroups and a pin directory named
ebb-bench-tuning-PID; all of it goes when the run ends. In each round every command has its turn,
in rotating order. Peers are /bin/true (what any process costs here), and nft: one rule replaced,
and a set of as many elements as there are destinations listed.
"""

import argparse
import errno
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
WORKLOADS = 8
NS_PER_MS = 1e6


def run(*command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f'{" ".join(command)}: {(done.stderr or done.stdout).strip()}')
    return done.stdout


def address(number):
    return f'127.{10 + (number >> 16)}.{number >> 8 & 255}.{number & 255}'


# ---------------------------------------------------- within the cgroup --


def join(cgroup):
    with open(f'{cgroup}/cgroup.procs', 'w') as file:
        file.write(str(os.getpid()))


def meet(first, count):
    """Each datagram makes a destination."""
    for number in range(first, first + count):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.sendto(b'x', (address(number), 9))
        sock.close()


def connects(port):
    """Connects as fast as it can, and writes the time of the first attempt whose result differs."""
    before = None
    while True:
        begin = time.time_ns()
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        result = sock.connect_ex(('127.0.0.1', port))
        sock.close()
        if result != before:
            print(errno.errorcode.get(result, 'OK'), begin, flush=True)
            before = result


def in_cgroup(cgroup, *arguments):
    return [sys.executable, '-S', os.path.abspath(__file__), '--inside', cgroup, *map(str, arguments)]


# ------------------------------------------------------------------ place --


class Place:
    def __init__(self, options):
        self.ebb = os.path.join(options.build, 'ebb')
        name = f'ebb-bench-tuning-{os.getpid()}'
        mount = next(line.split()[1] for line in open('/proc/mounts') if line.split()[2] == 'cgroup2')
        home = next(line[3:].strip() for line in open('/proc/self/cgroup') if line.startswith('0::'))
        self.cgroup = f'{mount}{home.rstrip("/")}/{name}'
        self.pin = f'/sys/fs/bpf/{name}'
        self.log = f'/tmp/{name}.log'
        self.children = []
        self.count = options.destinations

    def __enter__(self):
        return self

    def make(self):
        run('ip', 'link', 'set', 'lo', 'up')
        os.mkdir(self.cgroup)
        with open(self.log, 'w') as log:
            self.children.append(subprocess.Popen(
                [self.ebb, 'run', '--cgroup', self.cgroup, '--pin', self.pin, '--listen', '127.0.0.1:0', '--mode',
                 'enforce', '--errno', 'ehostunreach', '--breaker',
                 'consecutive_failures=0,min_calls=1000000', '--destinations', str(self.count + 64), '--pairs', str(self.count + 64)],
                stderr=log))
        end = time.monotonic() + 20
        while ' started: ' not in open(self.log).read():
            if time.monotonic() > end:
                raise RuntimeError(f'the agent does not start: {open(self.log).read()}')
            time.sleep(0.05)
        for i in range(WORKLOADS):
            os.mkdir(f'{self.cgroup}/{i}')
            run(*in_cgroup(f'{self.cgroup}/{i}', 'meet', self.count * i // WORKLOADS, self.count // WORKLOADS))
        run('nft', '-f', '-', text='table inet t { set s { type ipv4_addr; counter; elements = { ' +
            ', '.join(address(n) for n in range(self.count)) +
            ' }; }\nchain c { type filter hook output priority 0; tcp dport 1 limit rate 10/second accept; }; }')

    def __exit__(self, *_):
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
            child.wait()
        subprocess.run([self.ebb, 'detach', '--pin', self.pin], check=False, stdout=subprocess.DEVNULL)
        for top, directories, _ in os.walk(self.cgroup, topdown=False):
            for directory in directories:
                os.rmdir(os.path.join(top, directory))
        if os.path.isdir(self.cgroup):
            os.rmdir(self.cgroup)
        if os.path.exists(self.log):
            os.unlink(self.log)

    def deed(self):
        """When the last order was about to be written, ns of Unix time."""
        deeds = json.loads(run('bpftool', '-j', 'map', 'dump', 'pinned', f'{self.pin}/ebb_deed_v2'))
        return max((d['formatted']['value'] for d in deeds), key=lambda d: d['serial'])['at_realtime_ns']


def timed(command):
    """Wall clock, and time of processors: what else runs does not lengthen that."""
    begin = time.perf_counter_ns()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    took = time.perf_counter_ns() - begin
    child.returncode = status
    if status:
        raise RuntimeError(f'{command}: {status}')
    return took / NS_PER_MS, (used.ru_utime + used.ru_stime) * 1000


def measure(place, rounds):
    port = 9  # nobody listens there, and no breaker minds: so nobody has to accept
    client = subprocess.Popen(in_cgroup(f'{place.cgroup}/0', 'connects', port), stdout=subprocess.PIPE, text=True)
    place.children.append(client)
    client.stdout.readline()
    dest = f'127.0.0.1:{port}'
    handle = run('nft', '-a', 'list', 'chain', 'inet', 't', 'c').split('limit rate')[1].split('# handle ')[1].split()[0]
    pin = ['--pin', place.pin]
    commands = {
        'true': lambda r: ['/bin/true'],
        'nft replace rule': lambda r: ['nft', 'replace', 'rule', 'inet', 't', 'c', 'handle', handle, 'tcp', 'dport', '1',
                                       'limit', 'rate', f'{10 + r}/second', 'accept'],
        'ebb limit set': lambda r: [place.ebb, 'limit', 'set', *pin, dest, '--connects', f'{1000000 + r}/s'],
        'ebb limit set --bytes': lambda r: [place.ebb, 'limit', 'set', *pin, dest, '--bytes', f'{1000 + r}MB/s'],
        'nft list set': lambda r: ['nft', 'list', 'set', 'inet', 't', 's'],
        'ebb list': lambda r: [place.ebb, 'list', *pin],
        'ebb list -o json': lambda r: [place.ebb, 'list', *pin, '-o', 'json'],
    }
    took = {name: [] for name in commands}
    effects = []
    names = list(commands)
    for r in range(rounds):
        for i in range(len(names)):
            name = names[(r + i) % len(names)]
            took[name].append(timed(commands[name](r)))
        run(place.ebb, 'breaker', 'open', *pin, dest)
        name, at = client.stdout.readline().split()
        assert name == 'EHOSTUNREACH', name
        effects.append(((int(at) - place.deed()) / NS_PER_MS, 0))
        run(place.ebb, 'breaker', 'auto', *pin, dest)
        assert client.stdout.readline().split()[0] == 'ECONNREFUSED'
    took['write to effect'] = effects
    return took


def report(took, count):
    print(f'{count} destinations; ms, whole process, output dropped')
    print(f'{"":24}{"median":>10}{"p90":>10}{"most":>10}{"cpu, median":>14}')
    for name, values in took.items():
        wall = sorted(value for value, _ in values)
        cpu = statistics.median(value for _, value in values)
        print(f'{name:24}{statistics.median(wall):10.2f}{wall[len(wall) * 9 // 10]:10.2f}{wall[-1]:10.2f}{cpu:14.2f}')


def main():
    if len(sys.argv) > 3 and sys.argv[1] == '--inside':
        join(sys.argv[2])
        globals()[sys.argv[3]](*map(int, sys.argv[4:]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--destinations', type=int, default=4096)
    parser.add_argument('--build', default=os.environ.get('BUILD') or os.path.join(here, '../../build'))
    parser.add_argument('--write', help='a file for the numbers')
    options = parser.parse_args()
    if os.environ.get('EBB_BENCH_INSIDE') != 'tuning':
        os.environ['EBB_BENCH_INSIDE'] = 'tuning'
        os.execv(shutil.which('unshare'), ['unshare', '--net', sys.executable, *sys.argv])
    with Place(options) as place:
        place.make()
        took = measure(place, options.rounds)
    report(took, options.destinations)
    if options.write:
        with open(options.write, 'w') as file:
            json.dump(took, file)


main()
