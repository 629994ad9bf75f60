#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long each panel of each dashboard takes on the data of many nodes over a day.

usage: dashboards.py [--nodes 100] [--destinations 2] [--fleet 100] [--hours 24] [--interval 60] [--dir DIR]

Writes the series that dashboards and rules name, recorded ones too, as OpenMetrics text, two hours at a time, has promtool make blocks of
them, starts a Prometheus there and asks what Grafana would ask for the whole time: each panel in as many points as it is wide. Prints the
slowest, and the sum of each dashboard, one panel after the other. One destination is chosen, and one node, where a dashboard is about one. The exit status is 1 when a panel takes 3 s or more.
"""

import argparse
import http.client
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'dashboards')]
sys.dont_write_bytecode = True

import dashboards as boards  # noqa: E402

BLOCK_HOURS = 2
POINTS = 400  # of a graph that is half as wide as the window
LIMIT_SECONDS = 3
STATES = ('closed', 'open', 'half_open')
OUTCOMES = ('established', 'refused', 'timeout', 'unreachable', 'local', 'abandoned', 'cancelled', 'denied')
REASONS = ('refused', 'timeout', 'unreachable', 'abandoned', 'reset', 'unanswered')
BOUNDS = [f'{64e-6 * 4 ** i:.6f}'.rstrip('0') for i in range(11)] + ['+Inf']
COMPONENTS = ('programs', 'enforcement', 'limits', 'lease', 'loop', 'pins', 'tables', 'events', 'breakers', 'node_fuse', 'config')


class Series:
    """A name with labels, and how it goes on: up by about so much each second, or about so much."""

    def __init__(self, name, labels, grows=None, is_about=0.0):
        text = ','.join(f'{key}="{value}"' for key, value in labels.items())
        self.text = f'{name}{{{text}}} '
        self.grows = grows
        self.value = 0.0 if grows is not None else is_about

    def lines(self, stamps, seconds, weather):
        """A sample for each stamp; a counter grows as the weather is."""
        if self.grows is None:
            return [f'{self.text}{self.value:g}{stamp}' for stamp in stamps]
        begin, each = int(self.value), int(self.grows * seconds * weather)
        self.value = begin + each * len(stamps)
        return [f'{self.text}{value}{stamp}' for value, stamp in zip(itertools.count(begin, each), stamps)]


def of_destination(node, destination):
    pair = {**node, 'destination': destination, 'workload': 'deployment/web', 'namespace': 'shop', 'pod': 'web-0', 'container': 'web'}
    gate = {**node, 'destination': destination}
    for outcome in OUTCOMES:
        yield 'ebb_connects_total', Series('ebb_connects_total', {**pair, 'outcome': outcome}, 9 if outcome == 'established' else 0.2)
    for reason in REASONS:
        yield 'ebb_connection_failures_total', Series('ebb_connection_failures_total', {**pair, 'reason': reason}, 0.2)
    for cause in ('breaker', 'half_open', 'rate', 'concurrency'):
        yield 'ebb_denied_total', Series('ebb_denied_total', {**pair, 'cause': cause, 'enforced': 'true'}, 0.05)
    for name, grows in (('ebb_sent_bytes_total', 1e5), ('ebb_received_bytes_total', 1e6), ('ebb_retransmits_total', 0.1)):
        yield name, Series(name, pair, grows)
    yield 'ebb_active_connections', Series('ebb_active_connections', pair, None, 12)
    for state in STATES:
        yield 'ebb_breaker_state', Series('ebb_breaker_state', {**gate, 'state': state}, None, int(state == 'closed'))
    for name, is_about in (('ebb_breaker_failure_ratio', 0.02), ('ebb_breaker_open_until_timestamp_seconds', 0), ('ebb_concurrent_in_use', 12),
                           ('ebb_concurrent_limit', 64)):
        yield name, Series(name, gate, None, is_about)
    yield 'ebb_breaker_transitions_total', Series('ebb_breaker_transitions_total', {
        **gate, 'from': 'closed', 'to': 'open', 'reason': 'failure_rate'}, 0.02)
    for family in ('ebb_connect_duration_seconds', 'ebb_rtt_seconds', 'ebb_turn_duration_seconds'):
        for number, bound in enumerate(BOUNDS):
            yield family + '_bucket', Series(family + '_bucket', {**gate, 'le': bound}, 0.9 * (number + 1))
        yield family + '_count', Series(family + '_count', gate, 0.9 * len(BOUNDS))


def of_node(number, destinations):
    node = {'job': 'ebb', 'cluster': 'bench', 'node': f'node-{number:03}', 'instance': f'node-{number:03}:9478'}
    for name, is_about in (('up', 1), ('ebb_node_fuse_active', 0), ('ebb_enforcement_active', 1), ('ebb_lease_age_seconds', 0.5),
                           ('process_resident_memory_bytes', 2e7), ('process_open_fds', 60), ('ebb_dead_letters', 0),
                           ('ebb_dead_letters_oldest_seconds', 0), ('ebb_config_last_reload_successful', 1), ('ebb_config_generation', 3),
                           ('ebb_spans_waiting', 0), ('ebb_config_last_reload_success_timestamp_seconds', 1e9)):
        yield name, Series(name, node, None, is_about)
    for name, grows in (('process_cpu_seconds_total', 0.1), ('ebb_events_lost_total', 0), ('ebb_links_restored_total', 0), ('ebb_pins_restored_total', 0)):
        yield name, Series(name, node, grows)
    yield 'ebb_build_info', Series('ebb_build_info', {**node, 'version': '0.1.0', 'compiler': 'gcc'}, None, 1)
    for component in COMPONENTS:
        yield 'ebb_health_state', Series('ebb_health_state', {**node, 'component': component}, None, 0)
    for table in ('destinations', 'pairs', 'endpoints'):
        yield 'ebb_map_entries', Series('ebb_map_entries', {**node, 'map': table}, None, 100)
        yield 'ebb_map_capacity', Series('ebb_map_capacity', {**node, 'map': table}, None, 4096)
    for family in ('ebb_tick_duration_seconds', 'ebb_scrape_duration_seconds'):
        for position, bound in enumerate(BOUNDS):
            yield family + '_bucket', Series(family + '_bucket', {**node, 'le': bound}, 0.2 * (position + 1))
    for destination in range(destinations):
        yield from of_destination(node, f'service-{destination}')


def recorded(nodes, destinations):
    """What the rules would have recorded: as many series, made up like the others."""
    more = {'ebb_denied:rate5m': [{'cause': cause, 'enforced': 'true'} for cause in ('breaker', 'half_open', 'rate', 'concurrency')],
            **{f'{name}_bucket:rate5m': [{'le': bound} for bound in BOUNDS]
               for name in ('ebb_connect_duration_seconds', 'ebb_rtt_seconds', 'ebb_turn_duration_seconds')},
            'ebb_breaker_transitions:rate5m': [{'from': 'closed', 'to': 'open', 'reason': 'failure_rate'}]}
    of_destinations = [{'cluster': 'bench', 'destination': f'service-{number}'} for number in range(destinations)]
    of_nodes = [{'cluster': 'bench', 'node': f'node-{number:03}'} for number in range(nodes)]
    for name in sorted({rule['record'] for rule in boards.rules() if 'record' in rule}):
        level, _, rest = name.partition(':')
        if level == 'slo':
            apart = [{'slo': 'availability'}, {'slo': 'latency'}]
        else:
            apart = more.get(rest, [{}])
        for labels in of_nodes if level == 'cluster_node' else of_destinations:
            for extra in apart:
                yield name, Series(name, {**labels, **extra}, None, 0.5)


def families(nodes, destinations, fleet):
    found = {}
    for number in range(nodes):
        for family, series in of_node(number, destinations):
            found.setdefault(family, []).append(series)
    for family, series in recorded(nodes, fleet):
        found.setdefault(family, []).append(series)
    return found


def write_block(path, found, begin, end, interval, random_numbers):
    """Samples of [begin, end) of every series; all of a family stand together."""
    stamps, count = [f' {at}\n' for at in range(begin, end, interval)], 0
    with open(path, 'w', encoding='ascii', buffering=1 << 20) as file:
        for name, series in found.items():
            kind = 'counter' if name.endswith('_total') else 'unknown'
            file.write(f'# TYPE {name.removesuffix("_total")} {kind}\n')
            for one in series:
                file.write(''.join(one.lines(stamps, interval, random_numbers.uniform(0.5, 1.5))))
            count += len(series) * len(stamps)
        file.write('# EOF\n')
    return count


def make_blocks(options, directory, begin, end):
    found = families(options.nodes, options.destinations, options.fleet)
    print(f'{sum(map(len, found.values()))} series of {options.nodes} nodes', flush=True)
    text, samples, random_numbers = os.path.join(directory, 'block.txt'), 0, random.Random(1)
    for start in range(begin, end, BLOCK_HOURS * 3600):
        samples += write_block(text, found, start, min(end, start + BLOCK_HOURS * 3600), options.interval, random_numbers)
        subprocess.run(['promtool', 'tsdb', 'create-blocks-from', 'openmetrics', '-q', text, os.path.join(directory, 'tsdb')], check=True,
                       stdout=subprocess.DEVNULL)
    os.remove(text)
    print(f'{samples} samples', flush=True)


class Prometheus:
    def __init__(self, directory, port):
        config = os.path.join(directory, 'prometheus.yml')
        with open(config, 'w', encoding='ascii') as file:
            file.write('global: {scrape_interval: 1m}\n')
        self.port = port
        self.process = subprocess.Popen(['prometheus', f'--config.file={config}', f'--storage.tsdb.path={os.path.join(directory, "tsdb")}',
                                         f'--web.listen-address=127.0.0.1:{port}', '--storage.tsdb.retention.time=10y', '--log.level=warn'])
        while not self.ready():
            time.sleep(0.1)

    def get(self, path):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=120)
        connection.request('GET', path)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def ready(self):
        try:
            return self.get('/-/ready')[0] == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        """(seconds, series that came, error)"""
        start = time.monotonic()
        status, body = self.get(f'/api/v1/{path}?{urllib.parse.urlencode(parameters)}')
        answer = json.loads(body)
        return time.monotonic() - start, len(answer['data']['result']) if status == 200 else 0, answer.get('error')

    def stop(self):
        self.process.terminate()
        self.process.wait()


def measure(prometheus, begin, end, interval):
    step = max((end - begin) // POINTS, interval)
    rows = []
    for name, board in boards.dashboards().items():
        total = 0.0
        # a dashboard that is about one of them has no 'All'
        chosen = {variable['name']: {'node': 'node-000', 'destination': 'service-0'}.get(variable['name'], boards.ALL)
                  for variable in board['templating']['list'] if not variable.get('includeAll')}
        for panel in boards.panels(board):
            seconds, series = 0.0, 0
            for target in panel['targets']:
                query = boards.fill_in(target['expr'], f'{max(4 * interval, step + interval)}s', f'{step}s', chosen)
                if target.get('instant'):
                    took, came, error = prometheus.ask('query', query=query, time=end - interval)
                else:
                    took, came, error = prometheus.ask('query_range', query=query, start=begin, end=end, step=step)
                if error:
                    sys.exit(f'{name}: {panel["title"]}: {error}: {query}')
                seconds, series = seconds + took, series + came
            rows.append((seconds, name, panel['title'], series))
            total += seconds
        print(f'{name}: {total:.2f} s for all of its panels, one after the other', flush=True)
    return sorted(rows, reverse=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--nodes', type=int, default=100)
    parser.add_argument('--destinations', type=int, default=2, help='of which there are all series of every node')
    parser.add_argument('--fleet', type=int, default=100, help='destinations of which there are recorded series')
    parser.add_argument('--hours', type=int, default=24)
    parser.add_argument('--interval', type=int, default=60, help='seconds from one sample to the next')
    parser.add_argument('--port', type=int, default=19790)
    parser.add_argument('--dir', help='where the data is made; used again when it is there')
    options = parser.parse_args()

    directory = options.dir or tempfile.mkdtemp(prefix='ebb-bench-dashboards-')
    times = os.path.join(directory, 'times.json')
    if os.path.exists(times):
        with open(times, encoding='ascii') as file:
            begin, end = json.load(file)
    else:
        os.makedirs(directory, exist_ok=True)
        end = int(time.time()) // 7200 * 7200
        begin = end - options.hours * 3600
        make_blocks(options, directory, begin, end)
        with open(times, 'w', encoding='ascii') as file:
            json.dump([begin, end], file)
    prometheus = Prometheus(directory, options.port)
    try:
        rows = measure(prometheus, begin, end, options.interval)
    finally:
        prometheus.stop()
        if not options.dir:
            shutil.rmtree(directory)
    for seconds, name, title, series in rows[:12]:
        print(f'{seconds:6.2f} s  {series:4} series  {name}: {title}')
    slow = [row for row in rows if row[0] >= LIMIT_SECONDS]
    print(f'{len(slow)} of {len(rows)} panels take {LIMIT_SECONDS} s or more')
    return 1 if slow else 0


if __name__ == '__main__':
    sys.exit(main())
