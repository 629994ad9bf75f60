#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# deadline: 120
"""The rules for Prometheus: as the mixin makes them, valid, each alert fires when it should and only then (alerts.yml),
and each has what a person needs who is woken by it."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.join(here, '..', '..')
sys.path[:0] = [os.path.join(here, '..', 'lib')]
sys.dont_write_bytecode = True

import tap  # noqa: E402

# Another folder is given by who breaks rules to see these tests fail.
RULES = os.environ.get('EBB_RULES', os.path.join(root, 'deploy', 'prometheus'))
FILES = [os.path.abspath(os.path.join(RULES, name)) for name in ('ebb-rules.yml', 'ebb-alerts.yml')]
RUNBOOKS = 'https://github.com/ebb-agent/ebb/blob/main/docs/runbooks/'
GRAFANA = 'http://localhost:3000'
SCRAPED = 'job="ebb",cluster="c",node="n",instance="n:9478"'
# promtool's own notation, so that a case reads as its manual says
CASES = os.path.join(here, 'alerts.yml')
ANNOTATIONS = {'summary', 'description', 'runbook_url', 'dashboard_url'}


def load(path, loader=yaml.SafeLoader):
    with open(path, encoding='utf-8') as file:
        return yaml.load(file, loader)


def cases_of_alerts():
    # every value is a string: 0x30 is promtool's notation and no number
    return load(CASES, yaml.BaseLoader)


GROUPS = [group for path in FILES for group in load(path)['groups']]


def rules():
    return [rule for group in GROUPS for rule in group['rules']]


ALERTS = {rule['alert']: rule for rule in rules() if 'alert' in rule}


def series(case):
    return [{'series': name.replace('{{}}', '{' + SCRAPED + '}').replace('{}', SCRAPED), 'values': values}
            for name, values in case['series'].items()]


def expected(name, case):
    rule = ALERTS[name]
    return {'exp_labels': {**case['labels'], 'severity': rule['labels']['severity']},
            'exp_annotations': {'summary': rule['annotations']['summary'], 'description': case['description'],
                                'runbook_url': RUNBOOKS + name + '.md', 'dashboard_url': GRAFANA + case['dashboard']}}


def promtool(*arguments):
    return subprocess.run(['promtool', *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def promtool_test(name, case, alerts):
    # alerts after what they use; a value older than five minutes is none
    return {'rule_files': FILES, 'evaluation_interval': case.get('evaluated', '1m'),
            'group_eval_order': [group['name'] for group in GROUPS],
            'tests': [{'interval': case.get('interval', '1m'), 'input_series': series(case),
                       'alert_rule_test': [{'eval_time': case['at'], 'alertname': name, 'exp_alerts': alerts}]}]}


def failures(tests):
    """{key: what promtool says of that test, '' when all is as it should be}, from {key: test}; asked all at once."""
    said = {}
    with tempfile.TemporaryDirectory() as scratch:
        paths = {key: os.path.join(scratch, f'{number}.yml') for number, key in enumerate(tests)}
        for key, path in paths.items():
            with open(path, 'w', encoding='utf-8') as file:
                yaml.safe_dump(tests[key], file)
        output = promtool('test', 'rules', *paths.values()).stdout
    for key, path in paths.items():
        of_it = output.partition(f'Unit Testing:  {path}\n')[2].partition('Unit Testing:  ')[0].strip()
        said[key] = '' if of_it == 'SUCCESS' else of_it or output
    return said


def of_alert(name, cases):
    """The tests of one alert: {(name, 'fires' or 'quiet', number): test}"""
    tests = {(name, 'fires', n): promtool_test(name, case, [expected(name, case)]) for n, case in enumerate(cases['fires'])}
    tests.update({(name, 'quiet', n): promtool_test(name, case, []) for n, case in enumerate(cases['quiet'])})
    return tests


class Rules(unittest.TestCase):
    def test_files_are_as_the_mixin_makes_them(self):
        done = subprocess.run([os.path.join(root, 'tools', 'mixin.py'), '--check'], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_promtool_accepts_them(self):
        done = promtool('check', 'rules', '--lint-fatal', *FILES)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_recorded_series_are_what_they_are_called(self):
        with open(os.path.join(here, 'recorded.yml'), encoding='utf-8') as file:
            text = file.read().replace('RULES', FILES[0])
        with tempfile.NamedTemporaryFile('w', suffix='.yml', encoding='utf-8') as file:
            file.write(text)
            file.flush()
            done = promtool('test', 'rules', file.name)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_recorded_names_say_level_metric_and_operation(self):
        for rule in rules():
            if 'record' in rule:
                self.assertRegex(rule['record'], r'^[a-z_]+:[a-z_]+:[a-z0-9_]+$')

    def test_what_rules_use_of_each_other_is_recorded(self):
        recorded = {rule['record'] for rule in rules() if 'record' in rule}
        used = {name for rule in rules() for name in re.findall(r'\b[a-z_]+:[a-z_]+:[a-z0-9_]+', rule['expr'])}
        self.assertLessEqual(used, recorded)

    def test_no_alert_is_without_a_case_and_no_case_without_an_alert(self):
        self.assertEqual(sorted(ALERTS), sorted(cases_of_alerts()))
        for name, cases in cases_of_alerts().items():
            self.assertTrue(cases['fires'] and cases['quiet'], name)

    def test_a_person_who_is_woken_finds_what_is_needed(self):
        for name, rule in ALERTS.items():
            with self.subTest(name):
                self.assertIn(rule['labels']['severity'], ('critical', 'warning', 'info'))
                self.assertEqual(set(rule['annotations']), ANNOTATIONS)
                self.assertNotIn('{{', rule['annotations']['summary'], 'a summary is the same for all')
                self.assertEqual(rule['annotations']['runbook_url'], RUNBOOKS + name + '.md')


def add_cases():
    tests = {}
    alerts = cases_of_alerts()
    for name, cases in alerts.items():
        tests.update(of_alert(name, cases))
    said = failures(tests)
    for name, cases in alerts.items():
        for kind in ('fires', 'quiet'):
            def check(self, name=name, kind=kind, cases=cases):
                for number, case in enumerate(cases[kind]):
                    self.assertFalse(said[name, kind, number], f'{case.get("why", "")}\n{said[name, kind, number]}')
            setattr(Rules, f'test_{name}_{"fires" if kind == "fires" else "is_quiet"}', check)


if __name__ == '__main__':
    add_cases()
    tap.main()
