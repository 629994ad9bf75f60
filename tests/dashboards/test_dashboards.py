#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a dashboard must have, as the linter of Grafana's dashboards documents it, and what we ask for besides."""

import json
import os
import re
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(here, '..', 'lib'), here]
sys.dont_write_bytecode = True

import dashboards as boards  # noqa: E402
import tap  # noqa: E402

VARIABLES = ['datasource', 'job', 'cluster', 'node', 'namespace', 'destination']
RANGE = re.compile(r'\[([^\]]+)\]')
# A window that is meant: the description says so.
FIXED_WINDOW = '5m'
DATASOURCE = {'type': 'prometheus', 'uid': '${datasource}'}


class Dashboards(unittest.TestCase):
    def for_each(self):
        return boards.dashboards().values()

    def for_each_panel(self):
        return [panel for board in self.for_each() for panel in boards.panels(board)]

    def for_each_query(self):
        return [(panel, target['expr']) for panel in self.for_each_panel() for target in panel['targets']]

    def test_there_are_four(self):
        self.assertEqual(sorted(board['uid'] for board in boards.dashboards().values()),
                         ['ebb-destination', 'ebb-fleet', 'ebb-node', 'ebb-self'])

    def test_template_datasource_is_the_first_variable(self):
        for board in self.for_each():
            self.assertEqual([v['name'] for v in board['templating']['list']], VARIABLES)
            self.assertEqual((board['templating']['list'][0]['type'], board['templating']['list'][0]['query']),
                             ('datasource', 'prometheus'))

    def test_template_variables_are_labels_that_there_are_and_reload_with_the_time(self):
        for board in self.for_each():
            for variable in board['templating']['list'][1:]:
                self.assertRegex(variable['query']['query'], rf'^label_values\(ebb_\w+(\{{.*\}})?, {variable["name"]}\)$')
                # with 'multi' Grafana escapes what is chosen
                self.assertEqual((variable['refresh'], variable['multi']), (2, True))
                all_of_them = not board['uid'].endswith(variable['name'])
                self.assertEqual((variable['includeAll'], variable['allValue']), (all_of_them, '.*' if all_of_them else None))
                self.assertEqual(variable['datasource'], DATASOURCE)

    def test_no_legend_says_enforced_true(self):
        """A series by cause and 'enforced' has a name in words, for every cause that docs/metrics.md has."""
        with open(os.path.join(here, '..', '..', 'docs', 'metrics.md'), encoding='utf-8') as file:
            causes = dict(re.findall(r'^\| cause of a (denial|drop) \| ([a-z_, ]+) \|$', file.read(), re.MULTILINE))
        legends = 0
        for panel in self.for_each_panel():
            called = {o['matcher']['options']: p['value'] for o in panel['fieldConfig']['overrides']
                      for p in o['properties'] if p['id'] == 'displayName'}
            for target in panel['targets']:
                legend = target['legendFormat']
                if '{{enforced}}' not in legend:
                    continue
                legends += 1
                for cause in causes['drop' if 'dropped' in legend else 'denial'].split(', '):
                    for enforced in 'true', 'false':
                        series = legend.replace('{{cause}}', cause).replace('{{enforced}}', enforced)
                        self.assertEqual(('would be' in called[series], cause in called[series]), (enforced == 'false', True))
        self.assertEqual(legends, 4)

    def test_dashboards_cannot_be_edited_by_accident(self):
        for board in self.for_each():
            self.assertIs(board['editable'], False)

    def test_panels_ask_the_chosen_data_source(self):
        for panel in self.for_each_panel():
            for what in (panel, *panel['targets']):
                self.assertEqual(what['datasource'], DATASOURCE)

    def test_panels_have_title_description_and_unit(self):
        for panel in self.for_each_panel():
            self.assertTrue(panel['title'] and panel['description'].endswith('.'), panel['title'])
            units = [panel['fieldConfig']['defaults'].get('unit')] if panel['type'] != 'table' else [
                p['value'] for o in panel['fieldConfig']['overrides'] for p in o['properties'] if p['id'] == 'unit']
            self.assertTrue(units and all(units), panel['title'])

    def test_numbers_of_panels_differ_and_no_two_lie_on_each_other(self):
        for board in self.for_each():
            ids = [panel['id'] for panel in board['panels']]
            self.assertEqual(len(ids), len(set(ids)))
            cells = [(x, y) for p in board['panels'] for g in [p['gridPos']]
                     for x in range(g['x'], g['x'] + g['w']) for y in range(g['y'], g['y'] + g['h'])]
            self.assertEqual(len(cells), len(set(cells)))
            self.assertLess(max(x for x, _ in cells), 24)

    def test_rates_follow_the_scrape_interval(self):
        for panel, query in self.for_each_query():
            allowed = {'$__rate_interval', FIXED_WINDOW} if 'five minutes' in panel['description'] else {'$__rate_interval'}
            self.assertLessEqual(set(RANGE.findall(query)), allowed, panel['title'])

    def test_every_metric_is_narrowed_to_what_was_chosen(self):
        for _, query in self.for_each_query():
            for selector in boards.selectors(query):
                name, _, labels = selector.partition('{')
                self.assertIn('cluster=~"$cluster"', labels, selector)
                if ':' not in name:
                    self.assertIn('job=~"$job"', labels, selector)
                    self.assertIn('node=~"$node"', labels, selector)

    def test_recorded_series_are_recorded(self):
        recorded = {rule['record'] for rule in boards.rules() if 'record' in rule}
        for _, query in self.for_each_query():
            for selector in boards.selectors(query):
                name = selector.partition('{')[0]
                if ':' in name:
                    self.assertIn(name, recorded)

    def test_each_leads_to_the_others_and_to_the_runbooks(self):
        for board in self.for_each():
            links = {link['title']: link for link in board['links']}
            self.assertEqual((links['ebb']['type'], links['ebb']['tags']), ('dashboards', board['tags']))
            self.assertTrue(links['ebb']['includeVars'] and links['ebb']['keepTime'])
            self.assertIn('/docs/runbooks/', links['Runbooks']['url'])

    def test_links_lead_to_dashboards_and_variables_that_there_are(self):
        uids = {board['uid'] for board in boards.dashboards().values()}
        texts = [json.dumps(board) for board in boards.dashboards().values()]
        texts += [rule['annotations']['dashboard_url'] for rule in boards.rules() if 'alert' in rule]
        for text in texts:
            for uid, query in re.findall(r'/d/([\w-]+)\?([^"]*)', text):
                self.assertIn(uid, uids)
                for variable in re.findall(r'\bvar-(\w+)=', query):
                    self.assertIn(variable, VARIABLES)

    def test_transitions_of_breakers_are_marked(self):
        for board in self.for_each():
            self.assertTrue(any('ebb_breaker_transitions' in a['expr'] and a['enable'] for a in board['annotations']['list']))

    def test_what_is_of_all_nodes_at_once_marks_what_is_recorded(self):
        # counters of all nodes and destinations are too many for a graph of a day: tests/bench/dashboards.py
        for uid in ('ebb-fleet', 'ebb-self'):
            board = next(board for board in self.for_each() if board['uid'] == uid)
            self.assertIn('cluster_destination:ebb_breaker_transitions:rate5m{', board['annotations']['list'][0]['expr'])


if __name__ == '__main__':
    tap.main()
