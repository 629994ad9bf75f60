#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How well a limit holds: ebb, nftables 'limit', iptables hashlimit and tc tbf on the same traffic.

usage: limits.py [--quick] [--rounds N] [--only WORD]... [--methods NAME,...] [--write FILE] [--svg FILE]
                 [--step SECONDS] [--list]

Root. Everything is in network and mount namespaces of its own (this one, and 'far' for the
receiver behind the slow path), in cgroups and pin directories named ebb-bench-limits-PID;
all of it goes when the run ends. Each run has a port, so a destination, of its own. In each round every method has its turn with a case before
the next case comes, in rotating order. 'self' is the control: no limiter, the sender keeps to
the rate itself (SO_MAX_PACING_RATE); what it misses is the harness and the machine.
"""

import argparse
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
sys.dont_write_bytecode = True

import figures  # noqa: E402
import limits_report  # noqa: E402

FIRST_PORT = 5201
NEAR, FAR = '10.99.0.1', '10.99.0.2'
LOOPBACK = '127.1.0.1'
MTU = {'lo': 1500, 'lo64k': 65536}
DELAY_US = 10000
FAR_NETNS = '/run/netns/far'
MB = 1000000


def run(*command, text=None):
    """One command that must succeed; its output."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f'{" ".join(command)}: {(done.stderr or done.stdout).strip()}')
    return done.stdout


def undo(*command):
    """What may have been made or not."""
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


# ------------------------------------------------------------------ place --


def enter_network(name, *more):
    """Begins this program again, as root in a network namespace of its own (and what else @more says), once."""
    variable = f'EBB_BENCH_{name.upper()}_INSIDE'
    if os.geteuid() != 0:
        sys.exit(f'{name}.py: must be root')
    # taken away again: the agent takes what begins so for its configuration
    if not os.environ.pop(variable, None):
        os.environ[variable] = '1'
        os.execvp('unshare', ['unshare', '--net', *more, sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]])


class Own:
    """A directory and cgroups of this run, named ebb-bench-NAME-PID; they go with it."""

    def __init__(self, build, name):
        self.bench = os.path.join(build, 'tests/bench/ebb-bench')
        self.ebb = os.path.join(build, 'ebb')
        self.name = f'ebb-bench-{name}-{os.getpid()}'
        self.cgroups = []
        self.work = f'/tmp/{self.name}'

    def __enter__(self):
        os.mkdir(self.work)
        run('ip', 'link', 'set', 'lo', 'up')
        return self

    def make_cgroup(self, name):
        path = os.path.join(own_cgroup(), f'{self.name}-{name}')
        os.mkdir(path)
        self.cgroups.append(path)
        return path

    def __exit__(self, *_):
        for cgroup in self.cgroups:
            for _ in range(50):
                try:
                    os.rmdir(cgroup)
                    break
                except OSError:
                    time.sleep(0.1)  # the kernel needs a moment to let go of members that ended
        shutil.rmtree(self.work, ignore_errors=True)


class Place(Own):
    """Namespaces, paths, cgroup. We are in a network and a mount namespace of our own."""

    def __init__(self, build):
        super().__init__(build, 'limits')
        self.agents = {}  # by rate
        self.port = FIRST_PORT
        self.line = None
        self.passed = None

    def __enter__(self):
        super().__enter__()
        self.plain = self.make_cgroup('plain')
        os.makedirs('/run/netns', exist_ok=True)
        run('mount', '-t', 'tmpfs', 'tmpfs', '/run/netns')
        run('ip', 'netns', 'add', 'far')
        run('ip', '-n', 'far', 'link', 'set', 'lo', 'up')
        # the windows of 100 MB/s over 20 ms are not what is to be limited
        for sysctl in ('net.ipv4.tcp_rmem=4096 131072 67108864', 'net.ipv4.tcp_wmem=4096 65536 67108864',
                       # a connection does not learn from those of the method before
                       'net.ipv4.tcp_no_metrics_save=1'):
            run('sysctl', '-qw', sysctl)
            run('ip', 'netns', 'exec', 'far', 'sysctl', '-qw', sysctl)
        self.start_line()
        return self

    def start_line(self):
        self.line = subprocess.Popen([self.bench, 'delay', 'slow', FAR_NETNS, 'slow', str(DELAY_US)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                     preexec_fn=die_with_parent)
        if self.line.stdout.readline().strip() != 'ready':
            raise RuntimeError('ebb-bench delay did not start')
        for netns, mine, other in (([], NEAR, FAR), (['-n', 'far'], FAR, NEAR)):
            run('ip', *netns, 'addr', 'add', mine, 'peer', other, 'dev', 'slow')
            run('ip', *netns, 'link', 'set', 'slow', 'txqueuelen', '10000', 'up')

    def stop_line(self):
        """Its own account of what passed."""
        if self.line and self.line.poll() is None:
            text, _ = self.line.communicate()
            self.passed = json.loads(text) if text.strip() else None

    def agent(self, rate):
        """The cgroup in which every destination may be sent so many bytes a second. The agent is
        started once, as an operator does it."""
        if rate not in self.agents:
            self.agents[rate] = Agent(self, rate, '--bytes', f'{rate}B/s')
        return self.agents[rate].cgroup

    def __exit__(self, *_):
        self.stop_line()
        for agent in self.agents.values():
            agent.stop()
        super().__exit__()

    def traffic(self, kind, path, cgroup, *options):
        """One run of ebb-bench."""
        to = ['--to', FAR, '--far', FAR_NETNS]
        if path in MTU:
            to = ['--to', LOOPBACK]
            run('ip', 'link', 'set', 'lo', 'mtu', str(MTU[path]))
        return json.loads(run(self.bench, kind, '--cgroup', cgroup, '--port', str(self.port), *to,
                              *(str(o) for o in options)))


class Agent:
    """One that enforces, on a cgroup that the place makes for it."""
    START_S = 60

    def __init__(self, place, name, *options):
        self.place = place
        self.cgroup = place.make_cgroup(str(name))
        self.pin = f'/sys/fs/bpf/{place.name}-{name}'
        self.log = os.path.join(place.work, f'agent-{name}.log')
        with open(self.log, 'w', encoding='utf-8') as log:
            self.process = subprocess.Popen(
                ['env', 'EBB_AUDIT_SQLITE_PATH=off', place.ebb, 'run', '--mode', 'enforce', *options, '--cgroup', self.cgroup, '--pin',
                 self.pin, '--listen', '127.0.0.1:0', '--on-exit', 'detach'],
                stderr=log, preexec_fn=die_with_parent)
        deadline = time.monotonic() + self.START_S
        while ' started: ' not in self.said():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f'ebb run did not start: {self.said().strip()}')
            time.sleep(0.02)

    def said(self):
        with open(self.log, encoding='utf-8') as log:
            return log.read()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(self.START_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if os.path.isdir(self.pin):  # it had no time to clean up
            undo(self.place.ebb, 'detach', '--pin', self.pin)


def own_cgroup():
    with open('/proc/self/mountinfo', encoding='utf-8') as lines:
        mounts = [line.split()[4] for line in lines if ' - cgroup2 ' in line]
    if not mounts:
        raise RuntimeError('no cgroup2 is mounted')
    with open('/proc/self/cgroup', encoding='utf-8') as lines:
        below = next(line.split(':', 2)[2].strip() for line in lines if line.startswith('0::'))
    return mounts[0] + below.rstrip('/')


# ---------------------------------------------------------------- methods --
# Each sets a limit of so many IP bytes a second on what goes to the port, and takes it away. The
# commands are those that docs/performance.md names.


class Unlimited:
    """No limiter, the sender goes as fast as it can."""
    paced = False

    def set(self, place, path, proto, rate):
        """Returns the cgroup of the sender."""
        return place.plain

    def clear(self):
        pass


class Self(Unlimited):
    """No limiter, the sender keeps to the rate itself."""
    paced = True


class Nft(Unlimited):
    BURST_S = 0.05  # of the rate; never less than two packets of the largest size

    def set(self, place, path, proto, rate):
        burst = max(int(rate * self.BURST_S), 262144)
        run('nft', '-f', '-', text=f'''table inet bench {{
            chain out {{
                type filter hook output priority filter; policy accept
                {proto} dport {place.port} limit rate over {rate} bytes/second burst {burst} bytes drop
            }}
        }}\n''')
        return place.plain

    def clear(self):
        undo('nft', 'delete', 'table', 'inet', 'bench')


class Hashlimit(Unlimited):
    def set(self, place, path, proto, rate):
        # its smallest burst is what one second brings, and that is its default
        self.rule = ['OUTPUT', '-p', proto, '--dport', str(place.port), '-m', 'hashlimit', '--hashlimit-name', 'bench',
                     '--hashlimit-above', f'{rate}b/s', '-j', 'DROP']
        run('iptables', '-A', *self.rule)
        return place.plain

    def clear(self):
        undo('iptables', '-D', *self.rule)


class Tbf(Unlimited):
    LATENCY = '50ms'  # how long a packet may wait, as in the manual's example

    def set(self, place, path, proto, rate):
        self.device = 'slow' if path == 'slow' else 'lo'
        # at least what a tick of 4 ms brings, and two packets of the largest size
        shaper = ['tbf', 'rate', f'{rate * 8}bit', 'burst', str(max(rate // 250, 131072)), 'latency', self.LATENCY]
        if path == 'slow':
            run('tc', 'qdisc', 'add', 'dev', 'slow', 'root', *shaper)
            return place.plain
        # loopback carries both directions: only what goes to the receiver is shaped
        run('tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'handle', '1:', 'htb')
        run('tc', 'class', 'add', 'dev', 'lo', 'parent', '1:', 'classid', '1:1', 'htb', 'rate', '100gbit', 'burst',
            '1mb', 'quantum', '200000')
        run('tc', 'qdisc', 'add', 'dev', 'lo', 'parent', '1:1', *shaper)
        run('tc', 'filter', 'add', 'dev', 'lo', 'parent', '1:', 'protocol', 'ip', 'u32', 'match', 'ip', 'dport',
            str(place.port), '0xffff', 'flowid', '1:1')
        return place.plain

    def clear(self):
        undo('tc', 'qdisc', 'del', 'dev', self.device, 'root')


class Ebb(Unlimited):
    def set(self, place, path, proto, rate):
        return place.agent(rate)


METHODS = {'none': Unlimited, 'self': Self, 'ebb': Ebb, 'nft': Nft, 'hashlimit': Hashlimit, 'tbf': Tbf}
PEERS = ('nft', 'hashlimit', 'tbf')

# ------------------------------------------------------------------ cases --


def bulk(path, rate, flows, control, peers):
    return {'kind': 'tcp', 'path': path, 'rate': rate * MB, 'flows': flows, 'control': control,
            'methods': ('self', 'ebb') + (PEERS if peers else ()),
            'name': f'tcp-{path}-{rate}MB-{flows}-{control}'}


def datagrams(rate, size, segment=1):
    return {'kind': 'udp', 'path': 'lo', 'rate': rate * MB, 'size': size, 'segment': segment,
            'methods': ('ebb',) + PEERS, 'name': f'udp-{rate}MB-{size}' + ('-gso' if segment > 1 else '')}


def cases(quick):
    """Time is short: peers take part where a reader will look, with one congestion control on each path."""
    if quick:
        yield from (bulk('lo', rate, flows, 'bbr', True) for rate in (10, 100) for flows in (1, 8))
        yield bulk('slow', 100, 8, 'cubic', True)
        yield bulk('lo', 100, 64, 'cubic', False)
        yield datagrams(10, 100)
        yield datagrams(100, 1400)
        return
    for path, compared in (('lo', 'bbr'), ('slow', 'cubic')):
        for rate in (10, 100):
            for flows in (1, 8, 64):
                for control in ('bbr', 'cubic'):
                    peers = control == compared and (flows < 64 or (path == 'lo' and rate == 100))
                    yield bulk(path, rate, flows, control, peers)
    # one segment of loopback's own 64 KB is what a flow of 1.25 MB/s sends in 50 ms
    yield bulk('lo64k', 10, 1, 'bbr', peers=False)
    yield bulk('lo64k', 100, 8, 'bbr', peers=False)
    yield datagrams(10, 100)
    yield datagrams(10, 1400)
    yield datagrams(100, 1400)
    # as many small ones as 100 MB/s need do not come out of one thread one by one
    yield datagrams(100, 100, segment=60)


def trace():
    """Flows that come and go: 1, 8, 1."""
    return {'kind': 'tcp', 'path': 'lo', 'rate': 10 * MB, 'flows': '1,8,1', 'control': 'bbr',
            'methods': ('self', 'ebb') + PEERS, 'name': 'trace-lo-10MB-1,8,1-bbr'}


def measure(place, case, name, method, length):
    """One run: limit on, traffic, limit off."""
    warm_up, step = length
    rate = case['rate']
    if case['kind'] == 'udp':
        step = min(step, 3)  # it does not swing
    elif isinstance(case['flows'], str):
        step /= 2
    options = ['--warm-up', int(warm_up * 1000), '--step', int(step * 1000)]
    if case['kind'] == 'udp':
        options += ['--size', case['size'], '--segment', case['segment'], '--offer', int(rate * 1.5)]
    else:
        options += ['--flows', case['flows'], '--control', case['control']]
        if method.paced:
            options += ['--pace', rate]
    place.port += 1
    try:
        cgroup = method.set(place, case['path'], case['kind'], rate)
        result = place.traffic(case['kind'], case['path'], cgroup, *options)
    finally:
        method.clear()
    headers = figures.HEADERS_UDP if case['kind'] == 'udp' else figures.HEADERS_TCP
    steps = [figures.step(result, n, None if name == 'none' else rate, headers)
             for n in range(len(result['flows']))]
    return {
        'method': name,
        'step_s': step,
        'steps': steps,
        'machine': result['machine'],
        'late_us': result['late_us'],
        'overflow': result['overflow'],
        'offered': result.get('offered'),
        'retransmits': result.get('retransmits'),
        'namespace_retransmits': result.get('namespace_retransmits'),
        'segments_out': result.get('segments_out'),
        'srtt_us': (result.get('srtt_us') or {}).get('p50'),
        'echo_us': {'p50': figures.percentile(result['echo_us'], 0.5),
                    'p99': figures.percentile(result['echo_us'], 0.99), 'n': len(result['echo_us'])},
    }


def compare(place, chosen, methods, rounds, length):
    """Every case in every round, the methods of a case one after the other."""
    runs = {case['name']: [] for case in chosen}
    for number in range(rounds):
        for index, case in enumerate(chosen):
            names = [n for n in case['methods'] if n in methods]
            shift = (number + index) % max(1, len(names))
            for name in names[shift:] + names[:shift]:
                print(f'limits.py: round {number + 1}: {case["name"]}: {name}', file=sys.stderr, flush=True)
                try:
                    runs[case['name']].append(measure(place, case, name, METHODS[name](), length))
                except RuntimeError as error:
                    print(f'limits.py: {error}', file=sys.stderr)
                    runs[case['name']].append({'method': name, 'failed': str(error)})
    return runs


# ------------------------------------------------------------------- main --


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='fewer cases, 2 minutes')
    parser.add_argument('--rounds', type=int, default=1, help='how often everything is measured')
    parser.add_argument('--step', type=float, help='seconds that one run measures (5, quick: 2)')
    parser.add_argument('--only', action='append', metavar='WORD', help='only cases with that in their name')
    parser.add_argument('--methods', default=','.join(METHODS))
    parser.add_argument('--write', metavar='FILE', help='all figures, as JSON')
    parser.add_argument('--svg', metavar='FILE', help='the trace of flows that come and go')
    parser.add_argument('--list', action='store_true', help='list the cases')
    options = parser.parse_args(arguments)
    unknown = [name for name in options.methods.split(',') if name not in METHODS]
    if unknown:
        parser.error(f"no method '{unknown[0]}': {', '.join(METHODS)}")
    return options


def main():
    options = options_of(sys.argv[1:])
    chosen = list(cases(options.quick))
    if not options.quick:
        chosen.append(trace())
    chosen = [case for case in chosen if not options.only or any(word in case['name'] for word in options.only)]
    warm_up, step = (1.5, 2) if options.quick else (2, 5)
    length = (warm_up, options.step or step)
    if options.list:
        print('\n'.join(case['name'] for case in chosen))
        return 0
    enter_network('limits', '--mount')
    build = os.path.abspath(os.environ.get('BUILD', os.path.join(here, '../../build')))
    if not os.access(os.path.join(build, 'tests/bench/ebb-bench'), os.X_OK):
        sys.exit(f"limits.py: no ebb-bench in '{build}': run 'make bench-limits'")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    with Place(build) as place:
        runs = compare(place, chosen, options.methods.split(','), options.rounds, length)
        place.stop_line()
    report = {
        'cases': [{**case, 'runs': runs[case['name']]} for case in chosen],
        'rounds': options.rounds,
        'seconds_each': length[1],
        'warm_up_s': length[0],
        'took_s': time.monotonic() - began,
        'slow_path': place.passed,
    }
    if options.write:
        with open(options.write, 'w', encoding='utf-8') as file:
            json.dump(report, file, sort_keys=True)
            file.write('\n')
    print('\n'.join(limits_report.table(report)))
    if options.svg and trace() in chosen:
        with open(options.svg, 'w', encoding='utf-8') as file:
            file.write(limits_report.svg(report))
    return 1 if any('failed' in r for case in report['cases'] for r in case['runs']) else 0


if __name__ == '__main__':
    sys.exit(main())
