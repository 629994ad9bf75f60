#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests ask of scraped metrics. Prints what is wrong and exits with 1.

    metrics.py strict FILE                 OpenMetrics, by the strict parser of prometheus_client
    metrics.py same TEXT OPENMETRICS       both formats have the same families and series
    metrics.py agree METRICS LIST STATUS   the same numbers as 'ebb list' and 'ebb status', in JSON
    metrics.py forward FILE...             counters never run backwards, and no series is lost
"""

import collections
import json
import sys

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client import parser as text


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def is_openmetrics(content):
    return content.endswith('# EOF\n')


def families(path):
    content = read(path)
    parse = openmetrics if is_openmetrics(content) else text
    return list(parse.text_string_to_metric_families(content))


def samples(path):
    """(name, labels) -> value; a series that comes twice is an error."""
    found = {}
    for family in families(path):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if key in found:
                yield_error(f'{path}: twice: {key}')
            found[key] = sample.value
    return found


errors = []


def yield_error(message):
    errors.append(message)


def strict(path):
    content = read(path)
    if not is_openmetrics(content):
        yield_error('does not end with # EOF')
    names = [family.name for family in openmetrics.text_string_to_metric_families(content)]
    if len(names) != len(set(names)) or len(names) < 20:
        yield_error(f'families: {names}')
    for family in families(path):
        if not family.documentation:
            yield_error(f'{family.name} has no help')


def same(text_path, openmetrics_path):
    # numbers may differ, a moment lies between them
    ours, theirs = set(samples(text_path)), set(samples(openmetrics_path))
    for key in sorted(ours ^ theirs):
        yield_error(f'only in one of them: {key}')


def total(found, name, destination, **labels):
    wanted = set(labels.items()) | {('destination', destination)}
    return sum(value for (key, series), value in found.items() if key == name and wanted <= set(series))


def agree(metrics_path, list_path, status_path):
    found = samples(metrics_path)
    rows = collections.defaultdict(list)
    for row in json.loads(read(list_path))['destinations']:
        rows[row['destination']].append(row)
    status = json.loads(read(status_path))

    def compare(what, metric, command):
        if metric != command:
            yield_error(f'{what}: the metric is {metric}, the command says {command}')

    if not rows:
        yield_error('there are no rows to compare')
    for name, gates in rows.items():
        connects = total(found, 'ebb_connects_total', name)
        denied = sum(row['denied'] for row in gates)
        # outcome="local" may be ahead by the connects that were under way during an earlier scrape
        ahead = connects - total(found, 'ebb_connects_total', name, outcome='denied') - sum(row['attempts'] for row in gates)
        compare(f'{name} attempts', ahead, min(max(ahead, 0), 2, total(found, 'ebb_connects_total', name, outcome='local')))
        compare(f'{name} denied', total(found, 'ebb_connects_total', name, outcome='denied'), denied)
        compare(f'{name} denied', total(found, 'ebb_denied_total', name, enforced='true'), denied)
        compare(f'{name} would deny', total(found, 'ebb_denied_total', name, enforced='false'),
                sum(row['would_deny'] for row in gates))
        compare(f'{name} failures', total(found, 'ebb_connection_failures_total', name),
                sum(row['failures'] for row in gates))
        compare(f'{name} active', total(found, 'ebb_active_connections', name), sum(row['active'] for row in gates))
        for metric, key in (('sent_bytes', 'sent_bytes'), ('received_bytes', 'received_bytes'), ('retransmits', 'retransmits'),
                            ('sent_datagrams', 'sent_datagrams'), ('adopted_connections', 'adopted'), ('reset_connections', 'reset')):
            compare(f'{name} {key}', total(found, f'ebb_{metric}_total', name), sum(row['traffic'][key] for row in gates))
        for unit in ('bytes', 'packets'):
            for enforced, key in (('true', f'dropped_{unit}'), ('false', f'would_drop_{unit}')):
                for cause in ('bytes', 'packets', 'breaker'):
                    compare(f'{name} {key} {cause}',
                            total(found, f'ebb_dropped_{unit}_total', name, cause=cause, enforced=enforced),
                            sum(row['traffic'][key][cause] for row in gates))
        compare(f'{name} paced', total(found, 'ebb_paced_connections', name), sum(row['paced'] for row in gates))
        compare(f'{name} connect times', total(found, 'ebb_connect_duration_seconds_count', name),
                gates[0]['connect_seconds']['count'])
        for row in gates:
            for state in ('closed', 'open', 'half_open'):
                compare(f'{name} {state}', total(found, 'ebb_breaker_state', name, state=state, workload=row['workload'] or ''),
                        1 if row['state'] == state else 0)
            until = total(found, 'ebb_breaker_open_until_timestamp_seconds', name, workload=row['workload'] or '')
            if abs(until - (row['open_until_timestamp'] or 0)) > 0.05:
                yield_error(f'{name} open until: {until}, {row["open_until_timestamp"]}')
    for table in ('destinations', 'pairs'):
        compare(table, found[('ebb_map_entries', (('map', table),))], status[table]['used'])
        compare(table, found[('ebb_map_capacity', (('map', table),))], status[table]['capacity'])
    for reason, count in status['errors'].items():
        compare(reason, found[('ebb_bpf_errors_total', (('reason', reason),))], count)


def forward(*paths):
    before = {}
    for path in paths:
        counters = {}
        for family in families(path):
            if family.type not in ('counter', 'histogram'):
                continue
            for sample in family.samples:
                counters[(sample.name, tuple(sorted(sample.labels.items())))] = sample.value
        for key, value in before.items():
            # of the process itself, and of its programs: a new one begins at 0
            if key[0].startswith(('process_', 'ebb_tick_', 'ebb_scrape_', 'ebb_http_', 'ebb_bpf_program_')):
                continue
            # docs/metrics.md: a scrape may count connects that are just under way, and a new agent forgets that
            slack = 2 if ('outcome', 'local') in key[1] else 0
            if key not in counters:
                yield_error(f'{path}: gone: {key}')
            elif counters[key] < value - slack:
                yield_error(f'{path}: {key} went from {value} to {counters[key]}')
        before = counters
    if not any(value > 0 for (name, _), value in before.items() if name == 'ebb_connects_total'):
        yield_error('nothing was counted')


{'strict': strict, 'same': same, 'agree': agree, 'forward': forward}[sys.argv[1]](*sys.argv[2:])
for line in errors[:20]:
    print('#', line)
sys.exit(1 if errors else 0)
