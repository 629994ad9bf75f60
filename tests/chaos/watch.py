#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Watches an agent that things happen to, and what must hold meanwhile.

usage: watch.py ADDRESS REPORT [--every SECONDS] [--samples FILE] [--counts FILE]

Scrapes /metrics and asks /health again and again, until it is told to end (SIGTERM), and keeps in REPORT, as JSON:

    scrapes, absent    how often the agent answered, and did not
    lives              how many agents there were, by the time of their start
    backwards          counters that ran backwards, the first 20 of them
    anonymous, descriptors, threads    the most that an agent had
    states             the states of health, without repetitions: [seconds, status, components that are not healthy]

What is kept in pinned maps must go on when an agent is started again; what an agent counts about itself begins at 0.
With --samples each scrape leaves a line: a JSON object of what may grow, with the numbers of --counts (see swarm.c).
"""

import argparse
import http.client
import json
import os
import signal
import time

# What an agent counts in its own memory.
OF_ONE_LIFE = ('process_', 'ebb_tick_', 'ebb_scrape_', 'ebb_http_', 'ebb_bpf_program_', 'ebb_spans_', 'ebb_metric_points_',
               'ebb_push_', 'ebb_audit_', 'ebb_delivery_', 'ebb_config_reloads_', 'ebb_links_restored_', 'ebb_pins_restored_')
# docs/metrics.md: a scrape may count connects that are under way, as many as clients can have under way at once.
LOCAL_SLACK = 64


def parse(text):
    """(counters, everything): series -> value. What a histogram counts is a counter."""
    kinds, counters, found = {}, {}, {}
    kind, family = None, None
    for line in text.splitlines():
        if line.startswith('#'):
            words = line.split(' ', 3)
            if words[1] == 'TYPE':
                family, kind = words[2], words[3]
                kinds[family] = kind
            continue
        series, _, value = line.rpartition(' ')
        found[series] = float(value)
        if kind in ('counter', 'histogram'):
            counters[series] = found[series]
    return counters, found


class Watch:
    def __init__(self, options):
        self.options = options
        self.begin = time.monotonic()
        self.counters, self.started = {}, None
        self.samples = open(options.samples, 'w', encoding='utf-8') if options.samples else None
        self.report = {'scrapes': 0, 'absent': 0, 'lives': 0, 'backwards': [], 'anonymous': 0, 'descriptors': 0,
                       'threads': 0, 'states': []}

    def get(self, path):
        host, port = self.options.address.split(':')
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        try:
            connection.request('GET', path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def compare(self, counters, started):
        same_life = started == self.started
        for series, before in self.counters.items():
            value = counters.get(series)
            if value is None or value >= before:
                continue
            if not same_life and series.startswith(OF_ONE_LIFE):
                continue
            if 'outcome="local"' in series and value >= before - LOCAL_SLACK:
                continue
            if len(self.report['backwards']) < 20:
                self.report['backwards'].append(f'{series} went from {before:g} to {value:g}')
        if not same_life:
            self.report['lives'] += 1
            self.counters = {s: v for s, v in self.counters.items() if not s.startswith(OF_ONE_LIFE)}
        self.started = started
        # a series that is gone for a while must not come back with less
        self.counters.update(counters)

    def note_health(self, health):
        ill = sorted(f'{name}:{c["state"]}' for name, c in health['components'].items()
                     if c['state'] != 'healthy' and not c.get('ignored'))
        states = self.report['states']
        if (not states or states[-1][1:] != [health['status'], ill]) and len(states) < 1000:
            states.append([round(time.monotonic() - self.begin, 1), health['status'], ill])

    def note_sizes(self, found):
        for key, series in (('anonymous', 'ebb_memory_bytes{kind="anonymous"}'), ('descriptors', 'process_open_fds'),
                            ('threads', 'process_threads')):
            self.report[key] = max(self.report[key], int(found.get(series, 0)))

    def sample(self, found, took):
        line = {'seconds': round(time.monotonic() - self.begin, 2), 'scrape_seconds': round(took, 4)}
        for key, series in (('anonymous', 'ebb_memory_bytes{kind="anonymous"}'), ('maps', 'ebb_memory_bytes{kind="maps"}'),
                            ('heap', 'process_heap_bytes'), ('resident', 'process_resident_memory_bytes'),
                            ('cpu', 'process_cpu_seconds_total'),
                            ('descriptors', 'process_open_fds'), ('threads', 'process_threads'),
                            ('ticks', 'ebb_tick_duration_seconds_count'), ('tick_seconds', 'ebb_tick_duration_seconds_sum'),
                            ('events_lost', 'ebb_events_lost_total')):
            line[key] = found.get(series, 0)
        prefix = 'ebb_tick_duration_seconds_bucket{le="'
        line['tick_buckets'] = [[series[len(prefix):-2], value] for series, value in found.items() if series.startswith(prefix)]
        line['transitions'] = sum(v for s, v in found.items() if s.startswith('ebb_breaker_transitions_total{'))
        if self.options.counts:
            with open(self.options.counts, encoding='utf-8') as file:
                line.update((name, int(number)) for name, number in (words.split() for words in file))
        self.samples.write(json.dumps(line) + '\n')
        self.samples.flush()

    def look(self):
        begin = time.monotonic()
        try:
            text = self.get('/metrics')
            took = time.monotonic() - begin
            health = json.loads(self.get('/health'))
            counters, found = parse(text)
        except (OSError, ValueError, http.client.HTTPException):
            self.report['absent'] += 1
            return
        self.report['scrapes'] += 1
        self.compare(counters, found.get('process_start_time_seconds'))
        self.note_health(health)
        self.note_sizes(found)
        if self.samples:
            self.sample(found, took)

    def write(self):
        with open(self.options.report + '.new', 'w', encoding='utf-8') as file:
            json.dump(self.report, file)
        os.rename(self.options.report + '.new', self.options.report)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('address')
    parser.add_argument('report')
    parser.add_argument('--every', type=float, default=0.1)
    parser.add_argument('--samples')
    parser.add_argument('--counts')
    watch = Watch(parser.parse_args())
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    while not ended:
        due = time.monotonic() + watch.options.every
        watch.look()
        watch.write()
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == '__main__':
    main()
