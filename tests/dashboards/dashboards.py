# SPDX-License-Identifier: Apache-2.0
"""Dashboards and rules as lists of queries, for the tests that ask about them and the ones that ask Prometheus."""

import glob
import json
import os
import re

import yaml

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
# What one chooses in Grafana: all, as 'allValue' says it.
ALL = '.*'
SELECTOR = re.compile(r'\b((?:ebb_|process_|slo:|cluster_\w*:|up\b)[\w:]*)(\{[^}]*\})?')


def dashboards():
    """{file name: dashboard}"""
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, 'dashboards', '*.json'))):
        with open(path, encoding='utf-8') as file:
            found[os.path.basename(path)] = json.load(file)
    return found


def panels(dashboard):
    """Those that show something."""
    return [panel for panel in dashboard['panels'] if panel['type'] != 'row']


def rules():
    found = []
    for path in sorted(glob.glob(os.path.join(ROOT, 'deploy', 'prometheus', '*.yml'))):
        with open(path, encoding='utf-8') as file:
            found += [rule for group in yaml.safe_load(file)['groups'] for rule in group['rules']]
    return found


def fill_in(query, rate_interval, interval='1m', chosen=None):
    """The query as Grafana sends it, with everything chosen but what is given: {variable: value}."""
    query = query.replace('$__rate_interval', rate_interval).replace('$__interval', interval)
    return re.sub(r'\$\{?(\w+)(?::\w+)?\}?', lambda match: (chosen or {}).get(match[1], ALL), query)


def selectors(query):
    """Every metric that a query names, with its labels."""
    return {name + labels for name, labels in SELECTOR.findall(query)}
