#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes rules, alerts and dashboards from the mixin, deploy/prometheus/mixin.

usage: mixin.py [--check]

--check writes nothing: it names what differs from what the mixin makes, and fails if anything does.
"""

import json
import os
import shutil
import subprocess
import sys

import yaml

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
MIXIN = 'deploy/prometheus/mixin/mixin.libsonnet'
RULES = {'prometheusRules': 'deploy/prometheus/ebb-rules.yml', 'prometheusAlerts': 'deploy/prometheus/ebb-alerts.yml'}
DASHBOARDS = 'dashboards'
HEAD = '# SPDX-License-Identifier: Apache-2.0\n#\n# Made from deploy/prometheus/mixin: change it there, then run make mixin.\n'


class Text(str):
    """A string of several lines, which YAML shall show as such."""


def several_lines(dumper, text):
    return dumper.represent_scalar('tag:yaml.org,2002:str', text, style='|')


yaml.SafeDumper.add_representer(Text, several_lines)


def readable(value):
    if isinstance(value, dict):
        return {key: readable(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [readable(inside) for inside in value]
    return Text(value) if isinstance(value, str) and '\n' in value else value


def in_order(rule):
    """What it is first, then the rest: jsonnet sorts by name."""
    first = [key for key in ('name', 'record', 'alert', 'for', 'expr', 'labels', 'annotations') if key in rule]
    return {key: rule[key] for key in first + [key for key in rule if key not in first]}


def evaluate():
    jsonnet = os.environ.get('JSONNET') or shutil.which('jsonnet')
    if not jsonnet:
        sys.exit('mixin.py: jsonnet is not installed: run make deps')
    # hidden fields, as mixins have them, are not written by themselves
    shown = ' '.join(f'{key}: mixin.{key},' for key in (*RULES, 'grafanaDashboards'))
    done = subprocess.run([jsonnet, '-J', ROOT, '-e', f"local mixin = import '{MIXIN}'; {{ {shown} }}"],
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f'mixin.py: {MIXIN} is not valid jsonnet, see above')
    return json.loads(done.stdout)


def made():
    """{path: text} of all that the mixin makes."""
    mixin = evaluate()
    files = {}
    for key, path in RULES.items():
        groups = [in_order({**group, 'rules': [in_order(rule) for rule in group['rules']]}) for group in mixin[key]['groups']]
        files[path] = HEAD + yaml.dump(readable({'groups': groups}), Dumper=yaml.SafeDumper, sort_keys=False, width=1000,
                                       allow_unicode=True)
    for name, dashboard in mixin['grafanaDashboards'].items():
        files[f'{DASHBOARDS}/{name}'] = json.dumps(dashboard, indent=2, sort_keys=True, ensure_ascii=False) + '\n'
    return files


def differing(files):
    for path, text in files.items():
        try:
            with open(os.path.join(ROOT, path), encoding='utf-8') as file:
                if file.read() != text:
                    yield f'{path}: differs from what the mixin makes: run make mixin'
        except FileNotFoundError:
            yield f'{path}: is missing: run make mixin'
    folder = os.path.join(ROOT, DASHBOARDS)
    for name in sorted(os.listdir(folder) if os.path.isdir(folder) else []):
        if name.endswith('.json') and f'{DASHBOARDS}/{name}' not in files:
            yield f'{DASHBOARDS}/{name}: is not made by the mixin: remove it, or put it there'


def main():
    if sys.argv[1:] not in ([], ['--check']):
        sys.exit(__doc__)
    files = made()
    if sys.argv[1:]:
        found = list(differing(files))
        print('\n'.join(found) or f'{len(files)} files are as the mixin makes them')
        return 1 if found else 0
    os.makedirs(os.path.join(ROOT, DASHBOARDS), exist_ok=True)
    for path, text in files.items():
        with open(os.path.join(ROOT, path), 'w', encoding='utf-8') as file:
            file.write(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
