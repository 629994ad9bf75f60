#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds what was pushed to a collector against a scrape: every series of a destination, and its value.

usage: same_metrics.py POINTS <EXPOSITION    POINTS as collector.py writes it; of each series the last point counts

prints how many series are the same; or, and exits 1, those that are not
"""

import json
import os
import sys

from prometheus_client.parser import text_string_to_metric_families

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
sys.dont_write_bytecode = True

import otlp  # noqa: E402


def about_a_destination(samples):
    return {key: value for key, value in samples.items() if 'destination' in dict(key[1])}


def scraped(text):
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {k: (str(float(v)) if k == 'le' else v) for k, v in sample.labels.items() if v != ''}
            found[sample.name, tuple(sorted(labels.items()))] = sample.value
    return found


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        points = [json.loads(line) for line in file]
    last = max(p['request'] for p in points)
    ours = about_a_destination(otlp.samples(p for p in points if p['request'] == last))
    theirs = about_a_destination(scraped(sys.stdin.read()))
    different = sorted(key for key in set(ours) | set(theirs) if ours.get(key) != theirs.get(key))
    for key in different:
        print(f'{key}: pushed {ours.get(key)}, scraped {theirs.get(key)}', file=sys.stderr)
    if not different:
        print(len(ours))
    return 1 if different else 0


if __name__ == '__main__':
    sys.exit(main())
