#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Asks a Prometheus every query of every panel, annotation and rule; TAP, without a plan.

usage: ask.py URL [--within SECONDS]

A panel is asked as Grafana does: for a range, or for now, with all variables at 'All'. What is still empty is asked again until
the time is over. Of an alert each selector is asked for, since the alert itself is empty when all is well.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
sys.dont_write_bytecode = True

import dashboards as boards  # noqa: E402

RATE_INTERVAL = '10s'
RANGE_SECONDS = 60
# Empty is the good state, or cannot be had in the test; in every other case it is a defect.
MAY_BE_EMPTY = {
    'ebb-self.json: Programs in the kernel': 'only while kernel.bpf_stats_enabled is 1, which belongs to the machine',
    'ebb-self.json: Errors in the kernel': 'there are none',
}


class Prometheus:
    def __init__(self, url):
        self.url = url

    def ask(self, path, **parameters):
        url = f'{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}'
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)['data']['result'], None
        except urllib.error.HTTPError as error:
            try:
                return [], json.loads(error.read()).get('error', str(error))
            except ValueError:  # one that starts has another language
                return [], str(error)
        except OSError as error:
            return [], str(error)

    def now(self, query):
        return self.ask('query', query=query)

    def over_time(self, query):
        end = time.time()
        return self.ask('query_range', query=query, start=end - RANGE_SECONDS, end=end, step=1)


def questions(prometheus):
    """(name, function that asks, query) of everything."""
    for file, board in boards.dashboards().items():
        for panel in boards.panels(board):
            for target in panel['targets']:
                ask = prometheus.now if target.get('instant') else prometheus.over_time
                yield f'{file}: {panel["title"]}', ask, boards.fill_in(target['expr'], RATE_INTERVAL)
        for annotation in board['annotations']['list']:
            yield f'{file}: annotation {annotation["name"]}', prometheus.over_time, boards.fill_in(annotation['expr'], RATE_INTERVAL)
        for variable in board['templating']['list'][1:]:
            metric = variable['query']['query'].removeprefix('label_values(').rpartition(',')[0]
            yield f'{file}: variable {variable["name"]}', prometheus.now, boards.fill_in(metric, RATE_INTERVAL)
    for rule in boards.rules():
        if 'record' in rule:
            yield f'record {rule["record"]}', prometheus.over_time, rule['record']
            yield f'record {rule["record"]}, as it is computed', prometheus.over_time, rule['expr']
        else:
            yield f'alert {rule["alert"]}', lambda query: (prometheus.now(query)[1] is None and [0], prometheus.now(query)[1]), rule['expr']
            for selector in sorted(boards.selectors(rule['expr'])):
                yield f'alert {rule["alert"]}: {selector}', prometheus.over_time, selector


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('url')
    parser.add_argument('--within', type=float, default=30)
    options = parser.parse_args()

    end = time.monotonic() + options.within
    waiting = list(dict.fromkeys(questions(Prometheus(options.url))))
    asked = [(name, query) for name, _, query in waiting]
    why = {}
    while waiting:
        still = []
        for question in waiting:
            name, ask, query = question
            result, error = ask(query)
            why[name, query] = error or (None if result else 'empty')
            if why[name, query]:
                still.append(question)
        # what may be empty is asked again where Prometheus did not answer, as long as it starts
        waiting = [q for q in still if q[0] not in MAY_BE_EMPTY or why[q[0], q[2]] != 'empty']
        if time.monotonic() >= end:
            break
        time.sleep(0.5 if waiting else 0)
    for number, (name, query) in enumerate(asked, 1):
        what = why[name, query]
        if what == 'empty' and name in MAY_BE_EMPTY:
            what = None
        print(f'{"not ok" if what else "ok"} {number} - {name}')
        if what:
            print(f'# {what}: {query}')
    return 1 if any(what and not (what == 'empty' and name in MAY_BE_EMPTY) for (name, _), what in why.items()) else 0


if __name__ == '__main__':
    sys.exit(main())
