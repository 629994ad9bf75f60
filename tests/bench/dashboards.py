#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long each panel of each dashboard takes on the data of many nodes over a day.

usage: dashboards.py [--nodes 100] [--destinations 2] [--others 20] [--of-one 40] [--fleet 100] [--hours 24] [--interval 60] [--dir DIR]

Writes the series that dashboards and rules name, recorded ones too, as OpenMetrics text, two hours at a time, has promtool make blocks of
them, starts a Prometheus there and asks what Grafana would ask for the whole time: each panel in as many points as it is wide, annotations,
and the choices of the variables. Prints the slowest, and the sum of each dashboard, one after the other. One destination is chosen, and one
node, where a dashboard is about one: that node has many destinations, and that destination is used by all nodes. The exit status is 1 when
something takes 3 s or more, and when one of the queries finds nothing: then the data lack a series that a dashboard asks for.
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
CAUSES = ('breaker', 'half_open', 'rate', 'concurrency')
TRANSITIONS = (('closed', 'open', 'consecutive_failures'), ('closed', 'open', 'failure_rate'), ('open', 'half_open', 'open_expired'),
               ('half_open', 'closed', 'probes_succeeded'), ('half_open', 'open', 'probes_failed'))
RESULTS = ('answered', 'unanswered', 'reset', 'cancelled')
BOUNDS = [f'{64e-6 * 4 ** i:.6f}'.rstrip('0') for i in range(11)] + ['+Inf']
COMPONENTS = ('programs', 'enforcement', 'limits', 'lease', 'loop', 'pins', 'tables', 'events', 'node_fuse', 'names', 'turns', 'config', 'audit_spool', 'audit_jsonl',
              'audit_sqlite', 'audit_postgres', 'traces', 'kubernetes', 'metrics_otlp', 'seccomp')
# of each node, next to 'job', 'cluster', 'node' and 'instance': name, a label with its values, what it is about or by how much it grows each second
GAUGES_OF_NODE = (
    ('up', None, (), 1), ('ebb_node_fuse_active', None, (), 0), ('ebb_enforcement_active', None, (), 1), ('ebb_lease_age_seconds', None, (), 0.5),
    ('process_resident_memory_bytes', None, (), 2e7), ('process_open_fds', None, (), 60), ('ebb_dead_letters', None, (), 0),
    ('ebb_dead_letters_oldest_seconds', None, (), 0), ('ebb_config_last_reload_successful', None, (), 1), ('ebb_config_generation', None, (), 3),
    ('ebb_spans_waiting', None, (), 0), ('ebb_config_last_reload_success_timestamp_seconds', None, (), 1e9),
    ('ebb_health_state', 'component', COMPONENTS, 0), ('ebb_health_state', 'component', ('breakers',), 1), ('ebb_memory_bytes', 'kind', ('anonymous', 'maps'), 2e7),
    ('ebb_map_entries', 'map', ('destinations', 'pairs'), 100), ('ebb_map_capacity', 'map', ('destinations', 'pairs'), 4096),
    ('ebb_delivery_queue', 'sink', ('jsonl', 'sqlite'), 0))
COUNTERS_OF_NODE = (
    ('process_cpu_seconds_total', None, (), 0.1), ('ebb_events_lost_total', None, (), 0), ('ebb_links_restored_total', None, (), 0),
    ('ebb_pins_restored_total', None, (), 0), ('ebb_config_reloads_total', 'result', ('applied', 'rejected'), 0.001),
    ('ebb_bpf_errors_total', 'reason', tuple(f'reason_{number}' for number in range(20)), 0.05),
    ('ebb_bpf_program_seconds_total', 'program', tuple(f'program_{number}' for number in range(12)), 1),
    ('ebb_bpf_program_runs_total', 'program', tuple(f'program_{number}' for number in range(12)), 1000),
    ('ebb_spans_total', 'result', ('sent', 'rejected', 'refused', 'expired', 'dropped', 'lost', 'invalid'), 0.1))


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


def of_pair(pair):
    """Of one workload and one destination."""
    for outcome in OUTCOMES:
        yield 'ebb_connects_total', {**pair, 'outcome': outcome}, 9 if outcome == 'established' else 0.2
    for reason in REASONS:
        yield 'ebb_connection_failures_total', {**pair, 'reason': reason}, 0.2
    for result in RESULTS:
        yield 'ebb_turns_total', {**pair, 'result': result}, 9 if result == 'answered' else 0.2
    for cause in CAUSES:
        yield 'ebb_denied_total', {**pair, 'cause': cause, 'enforced': 'true'}, 0.05
    for cause in ('bytes', 'packets', 'breaker'):
        yield 'ebb_dropped_packets_total', {**pair, 'cause': cause, 'enforced': 'true'}, 0.05
    for name, grows in (('ebb_sent_bytes_total', 1e5), ('ebb_received_bytes_total', 1e6), ('ebb_retransmits_total', 0.1)):
        yield name, pair, grows


def of_breaker(gate, is_open):
    for state in STATES:
        yield 'ebb_breaker_state', Series('ebb_breaker_state', {**gate, 'state': state}, None, int((state == 'open') == is_open and state != 'half_open'))
    for begin, end, reason in TRANSITIONS:
        yield 'ebb_breaker_transitions_total', Series('ebb_breaker_transitions_total', {**gate, 'from': begin, 'to': end, 'reason': reason}, 0.02)


def of_destination(node, destination, is_open, workloads):
    gate = {**node, 'destination': destination}
    for number in range(workloads):
        pair = {**gate, 'workload': f'deployment/web-{number}', 'namespace': 'shop', 'pod': f'web-{number}', 'container': 'web'}
        yield 'ebb_active_connections', Series('ebb_active_connections', pair, None, 12)
        for name, labels, grows in of_pair(pair):
            yield name, Series(name, labels, grows)
    yield from of_breaker(gate, is_open)
    for name, is_about in (('ebb_breaker_failure_ratio', 0.02), ('ebb_breaker_open_until_timestamp_seconds', 4e9 if is_open else 0),
                           ('ebb_concurrent_in_use', 12), ('ebb_concurrent_limit', 64), ('ebb_limit_connects_available', 30), ('ebb_limit_connects_rate', 20),
                           ('ebb_limit_bytes_available', 2e5), ('ebb_limit_bytes_rate', 1e6), ('ebb_paced_connections', 2)):
        yield name, Series(name, gate, None, is_about)
    for family in ('ebb_connect_duration_seconds', 'ebb_rtt_seconds', 'ebb_turn_duration_seconds'):
        for number, bound in enumerate(BOUNDS):
            yield family + '_bucket', Series(family + '_bucket', {**gate, 'le': bound}, 0.9 * (number + 1))
        yield family + '_count', Series(family + '_count', gate, 0.9 * len(BOUNDS))


def of_node(number, destinations, workloads, others):
    node = {'job': 'ebb', 'cluster': 'bench', 'node': f'node-{number:03}', 'instance': f'node-{number:03}:9478'}
    for table, grows in ((GAUGES_OF_NODE, False), (COUNTERS_OF_NODE, True)):
        for name, label, values, about in table:
            for labels in [{**node, label: value} for value in values] or [node]:
                yield name, Series(name, labels, about) if grows else Series(name, labels, None, about)
    yield 'ebb_build_info', Series('ebb_build_info', {**node, 'version': '0.1.0', 'compiler': 'gcc'}, None, 1)
    for sink, results in (('spool', ('accepted', 'refused')), ('jsonl', ('delivered', 'dead_letter')), ('sqlite', ('delivered', 'dead_letter'))):
        for result in results:
            yield 'ebb_audit_events_total', Series('ebb_audit_events_total', {**node, 'sink': sink, 'result': result}, 0.1)
    for sink in ('jsonl', 'sqlite'):
        for result in ('done', 'retry', 'refused', 'unusable'):
            yield 'ebb_delivery_attempts_total', Series('ebb_delivery_attempts_total', {**node, 'sink': sink, 'result': result}, 0.1)
    for family in ('ebb_tick_duration_seconds', 'ebb_scrape_duration_seconds'):
        for position, bound in enumerate(BOUNDS):
            yield family + '_bucket', Series(family + '_bucket', {**node, 'le': bound}, 0.2 * (position + 1))
    for destination in range(destinations):
        # the first of them is open on every tenth node
        yield from of_destination(node, f'service-{destination}', destination == 0 and number % 10 == 0, workloads)
    # of breakers of all destinations dashboards ask, and their variables
    for destination in range(destinations, destinations + others):
        yield from of_breaker({**node, 'destination': f'service-{destination}'}, False)


def recorded(nodes, destinations):
    """What the rules would have recorded: as many series, made up like the others."""
    more = {'ebb_denied:rate5m': [{'cause': cause, 'enforced': 'true'} for cause in CAUSES],
            **{f'{name}_bucket:rate5m': [{'le': bound} for bound in BOUNDS]
               for name in ('ebb_connect_duration_seconds', 'ebb_rtt_seconds', 'ebb_turn_duration_seconds')},
            'ebb_breaker_transitions:rate5m': [{'from': begin, 'to': end, 'reason': reason} for begin, end, reason in TRANSITIONS]}
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


def families(options):
    found = {}
    for number in range(options.nodes):
        chosen = number == 0
        for family, series in of_node(number, options.of_one if chosen else options.destinations, 3 if chosen else 1, options.others):
            found.setdefault(family, []).append(series)
    for family, series in recorded(options.nodes, options.fleet):
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
    found = families(options)
    print(f'{sum(map(len, found.values()))} series of {options.nodes} nodes', flush=True)
    samples, random_numbers, working = 0, random.Random(1), None
    for start in range(begin, end, BLOCK_HOURS * 3600):
        text = os.path.join(directory, f'block-{start}.txt')
        samples += write_block(text, found, start, min(end, start + BLOCK_HOURS * 3600), options.interval, random_numbers)
        # the next is written while promtool reads this one
        finish(working)
        working = text, subprocess.Popen(['promtool', 'tsdb', 'create-blocks-from', 'openmetrics', '-q', text, os.path.join(directory, 'tsdb')],
                                         stdout=subprocess.DEVNULL)
    finish(working)
    print(f'{samples} samples', flush=True)


def finish(working):
    if working:
        text, process = working
        if process.wait() != 0:
            sys.exit('promtool makes no block')
        os.remove(text)


class Prometheus:
    def __init__(self, directory, port):
        config = os.path.join(directory, 'prometheus.yml')
        with open(config, 'w', encoding='ascii') as file:
            file.write('global: {scrape_interval: 1m}\n')
        self.port = port
        self.process = subprocess.Popen(['prometheus', f'--config.file={config}', f'--storage.tsdb.path={os.path.join(directory, "tsdb")}',
                                         f'--web.listen-address=127.0.0.1:{port}', '--storage.tsdb.retention.time=10y', '--log.level=warn',
                                         # no compaction meanwhile: blocks stay as small and as many as they are made
                                         *(f'--storage.tsdb.{which}-block-duration={BLOCK_HOURS}h' for which in ('min', 'max'))])
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
        found = answer.get('data', [])
        return time.monotonic() - start, len(found['result'] if isinstance(found, dict) else found), answer.get('error')

    def stop(self):
        self.process.terminate()
        self.process.wait()


def questions(board, begin, end, interval):
    """(what asks, path, parameters) of every panel, annotation and variable, as Grafana asks for them."""
    step = max((end - begin) // POINTS, interval)
    over_time = {'start': begin, 'end': end, 'step': step}
    # a dashboard that is about one of them has no 'All'
    chosen = {variable['name']: {'node': 'node-000', 'destination': 'service-0'}.get(variable['name'], boards.ALL)
              for variable in board['templating']['list'] if not variable.get('includeAll')}

    def fill_in(query):
        return boards.fill_in(query, f'{max(4 * interval, step + interval)}s', f'{step}s', chosen)

    for panel in boards.panels(board):
        for target in panel['targets']:
            query = fill_in(target['expr'])
            yield panel['title'], *(('query', {'query': query, 'time': end - interval}) if target.get('instant') else ('query_range', {'query': query, **over_time}))
    for annotation in board['annotations']['list']:
        yield 'annotation ' + annotation['name'], 'query_range', {'query': fill_in(annotation['expr']), **over_time}
    for variable in board['templating']['list'][1:]:
        selector, _, label = variable['query']['query'].removeprefix('label_values(').rstrip(')').rpartition(', ')
        yield 'variable ' + variable['name'], f'label/{label}/values', {'match[]': fill_in(selector), 'start': begin, 'end': end}


def measure(prometheus, begin, end, interval):
    """(rows, the slowest first; queries that found nothing)"""
    rows, empty = [], []
    for name, board in boards.dashboards().items():
        took, came = {}, {}
        for what, path, parameters in questions(board, begin, end, interval):
            seconds, series, error = prometheus.ask(path, **parameters)
            if error:
                sys.exit(f'{name}: {what}: {error}: {parameters}')
            if series == 0:
                empty.append(f'{name}: {what}: {parameters}')
            took[what], came[what] = took.get(what, 0.0) + seconds, came.get(what, 0) + series
        rows += [(seconds, name, what, came[what]) for what, seconds in took.items()]
        print(f'{name}: {sum(took.values()):.2f} s for all of it, one after the other; slowest {max(took.values()):.2f} s', flush=True)
    return sorted(rows, reverse=True), empty


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--nodes', type=int, default=100)
    parser.add_argument('--destinations', type=int, default=2, help='of which there are all series of every node')
    parser.add_argument('--others', type=int, default=20, help='destinations of every node of which there are the breakers')
    parser.add_argument('--of-one', type=int, default=40, help='destinations of the first node, with three workloads each')
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
        rows, empty = measure(prometheus, begin, end, options.interval)
    finally:
        prometheus.stop()
        if not options.dir:
            shutil.rmtree(directory)
    for seconds, name, title, series in rows[:12]:
        print(f'{seconds:6.2f} s  {series:4} series  {name}: {title}')
    slow = [row for row in rows if row[0] >= LIMIT_SECONDS]
    print(f'{len(slow)} of {len(rows)} take {LIMIT_SECONDS} s or more')
    for what in empty:
        print(f'empty: {what}')
    return 1 if slow or empty else 0


if __name__ == '__main__':
    sys.exit(main())
