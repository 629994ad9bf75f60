#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# deadline: 300
"""
The chart: it renders for every scenario of helm/ebb/ci, to objects that Kubernetes' schemas take and a configuration that the
agent takes; each of its values does something; what is made from it or copied into it is in step.
"""

import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, '..', 'lib')]
sys.dont_write_bytecode = True

import chart  # noqa: E402
import tap  # noqa: E402

CAPABILITIES = ['BPF', 'NET_ADMIN', 'PERFMON']
# Written by nobody but the agent, and not below what the node runs from.
WRITABLE = {'/sys/fs/bpf', '/run/ebb', '/var/lib/ebb'}


def of_kind(objects, kind, end=''):
    return [o for o in objects if o['kind'] == kind and o['metadata']['name'].endswith(end)]


class Chart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        chart.prepare()
        cls.box = chart.Box()
        cls.texts = [cls.box.render(scenario) for scenario in chart.SCENARIOS]
        cls.rendered = dict(zip(chart.SCENARIOS, chart.read_yaml(*cls.texts)))
        cls.schema = json.loads(chart.read('helm', 'ebb', 'values.schema.json'))
        texts = [chart.read('helm', 'ebb', 'values.yaml')] + [chart.read('helm', 'ebb', 'ci', s) for s in chart.SCENARIOS]
        parsed = [documents[0] if documents else {} for documents, _ in chart.read_yaml(*texts)]
        cls.values, cls.scenarios = parsed[0], dict(zip(chart.SCENARIOS, parsed[1:]))
        cls.agent = of_kind(cls.rendered['default-values.yaml'][0], 'DaemonSet', '-ebb')[0]['spec']['template']['spec']

    @classmethod
    def tearDownClass(cls):
        cls.box.done()

    def schema_of(self, path):
        schema = self.schema
        for key in path:
            schema = schema.get('properties', {}).get(key, {})
        return schema

    def leaves(self):
        return list(chart.leaves(self.values, lambda path: 'properties' not in self.schema_of(path) or path == ('config',)))

    def each(self, function, items):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(function, items))

    # ---- what it renders to

    def test_helm_finds_no_fault(self):
        for scenario in chart.SCENARIOS:
            run = self.box.helm('lint', 'ebb', '--strict', '-f', f'ebb/ci/{scenario}')
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_objects_are_as_kubernetes_has_them(self):
        for scenario, (objects, problems) in self.rendered.items():
            self.assertEqual(problems, [], scenario)
            self.assertGreater(len(objects), 2, scenario)

    def test_the_check_of_objects_refuses_what_is_wrong(self):
        text = self.texts[chart.SCENARIOS.index('production-values.yaml')]
        wrong = {'hostPID: true': 'hostPID: "yes"', 'honorLabels: true': 'honorLabels: 1', 'verbs: [list, watch]': 'verbz: [list]',
                 'targetPort: http': 'targetPorts: http', 'hostNetwork: false': 'hostNetworking: false'}
        for (old, new), (_, problems) in zip(wrong.items(), chart.read_yaml(*(text.replace(old, new) for old, new in wrong.items()))):
            self.assertIn(old, text)
            self.assertEqual(len(problems), 1, new)

    def test_no_line_ends_in_blanks(self):
        for scenario, text in zip(chart.SCENARIOS, self.texts):
            self.assertEqual(re.findall(r'^.*[ \t]$', text, re.MULTILINE), [], scenario)

    def test_the_agent_takes_every_configuration(self):
        seen = 0
        for scenario, (objects, _) in self.rendered.items():
            for configmap in of_kind(objects, 'ConfigMap'):
                if text := configmap.get('data', {}).get('ebb.yaml'):
                    run = subprocess.run([chart.EBB, 'config', 'check', '-'], input=text, stdout=subprocess.PIPE,
                                         stderr=subprocess.STDOUT, text=True)
                    self.assertEqual(run.returncode, 0, f'{scenario}: {run.stdout}')
                    seen += 1
        self.assertGreaterEqual(seen, 4)

    def test_the_agent_knows_its_variables_and_options(self):
        keys = chart.read('docs', 'configuration.md')
        options = subprocess.run([chart.EBB, 'run', '--help'], stdout=subprocess.PIPE, text=True, check=True).stdout
        seen = set()
        for objects, _ in self.rendered.values():
            container = of_kind(objects, 'DaemonSet')[0]['spec']['template']['spec']['containers'][0]
            for variable in container['env']:
                if variable['name'].startswith('EBB_'):
                    self.assertIn(f'`{variable["name"]}`', keys)
                    seen.add(variable['name'])
            for argument in container['args'][1:]:
                self.assertRegex(options, rf'(?m)^ +(-\w, )?{argument.split("=")[0]}\b')
        self.assertGreaterEqual(len(seen), 5)

    def test_it_has_least_rights(self):
        container = self.agent['containers'][0]
        security = container['securityContext']
        self.assertEqual(security['capabilities'], {'drop': ['ALL'], 'add': CAPABILITIES})
        self.assertEqual((security['privileged'], security['allowPrivilegeEscalation'], security['readOnlyRootFilesystem']), (False, False, True))
        self.assertEqual({m['mountPath'] for m in container['volumeMounts'] if not m.get('readOnly')}, WRITABLE)
        rules = of_kind(self.rendered['default-values.yaml'][0], 'ClusterRole')[0]['rules']
        self.assertEqual(rules, [{'apiGroups': [''], 'resources': ['pods'], 'verbs': ['list', 'watch']}])
        self.assertEqual(of_kind(self.rendered['alone-values.yaml'][0], 'ClusterRole'), [])

    def test_the_end_of_a_pod_leaves_time_to_the_agent(self):
        config = chart.read('docs', 'configuration.md')
        timeout = int(re.search(r'`shutdown\.timeout` \|[^|]*\| `(\d+)s`', config)[1])
        self.assertGreater(self.agent['terminationGracePeriodSeconds'], timeout)

    def test_a_change_of_the_configuration_starts_no_pod_again(self):
        pods = []
        for mode in ('observe', 'enforce'):
            text = self.box.render_values('mode.json', {'config': {'mode': mode}})
            pods.append(of_kind(chart.read_yaml(text)[0][0], 'DaemonSet', '-ebb')[0]['spec'])
        self.assertEqual(*pods)

    def test_a_digest_is_stronger_than_a_tag(self):
        container = of_kind(self.rendered['production-values.yaml'][0], 'DaemonSet')[0]['spec']['template']['spec']['containers'][0]
        self.assertEqual(container['image'], 'registry.example/mirror/ebb@' + self.scenarios['production-values.yaml']['image']['digest'])
        self.assertEqual(self.agent['containers'][0]['image'], f'ghcr.io/ebb-project/ebb:{self.version()}')

    # ---- its values

    def test_every_value_does_something(self):
        """For each there is a scenario that renders to something else without what it says of it."""
        texts = dict(zip(chart.SCENARIOS, self.texts))

        def is_silent(path):
            for scenario, values in self.scenarios.items():
                value = chart.get(values, path)
                if value is not None and value != chart.get(self.values, path):
                    name = '.'.join(path).replace('/', '_') + '.json'
                    if self.box.render_values(name, chart.without(values, path)) != texts[scenario]:
                        return None
            return '.'.join(path)

        self.assertEqual([path for path in self.each(is_silent, self.leaves()) if path], [])

    def test_every_misspelt_value_is_refused(self):
        sections = {path[:i] for path in self.leaves() for i in range(len(path))} - {('global',)} | {('config',)}

        def is_taken(path):
            name = '_'.join(('typo',) + path) + '.json'
            taken = self.box.render_values(name, chart.with_value({}, path + ('mispelt',), 'x')) is not None
            return '.'.join(path) + '.mispelt' if taken else None

        self.assertEqual([path for path in self.each(is_taken, sorted(sections)) if path], [])

    def test_what_contradicts_itself_is_refused_with_what_to_do(self):
        for values, words in (
                (['config.listen=:1'], 'set port'),
                (['config.kubernetes.source=api'], 'values below kubernetes'),
                (['configFile=mode: observe', 'existingConfigMap=other'], 'give one of them'),
                (['serviceMonitor.enabled=true', 'podMonitor.enabled=true'], 'scraped twice'),
                (['serviceMonitor.enabled=true', 'service.enabled=false'], 'needs service.enabled'),
                (['image.digest=md5:1'], 'image.digest'),
                (['kubernetes.source=docker'], 'kubernetes.source'),
                (['config.mode=enforced'], 'config.mode'),
                (['port=70000'], 'port'),
                (['extraCapabilities={CAP_BPF}'], 'extraCapabilities')):
            run = self.box.helm('template', 'release', 'ebb', *(word for value in values for word in ('--set', value)))
            self.assertNotEqual(run.returncode, 0, values)
            self.assertIn(words, run.stderr)

    def test_the_schema_knows_the_sections_of_the_configuration(self):
        text = chart.read('docs', 'configuration.md')
        general = re.findall(r'^\| `(\w+)` \|', text, re.MULTILINE)
        sections = set(re.findall(r'^## ([a-z_]+)$', text, re.MULTILINE))
        self.assertEqual(set(self.schema['properties']['config']['properties']), set(general) | sections)

    def test_the_schema_takes_the_defaults_and_knows_every_value(self):
        for path in self.leaves():
            self.assertNotEqual(self.schema_of(path), {}, '.'.join(path))

    # ---- what is made of it, and of what it is made

    def version(self):
        return re.search(r'^VERSION := (\S+)', chart.read('Makefile'), re.MULTILINE)[1]

    def test_there_is_one_version(self):
        text = chart.read('helm', 'ebb', 'Chart.yaml')
        self.assertIn(f'appVersion: "{self.version()}"', text)
        self.assertIn(f'image: ghcr.io/ebb-project/ebb:{self.version()}', text)

    def test_what_is_made_is_in_step(self):
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(['cp', '-R', '--parents', 'helm/ebb', 'deploy/kubernetes', directory], cwd=chart.ROOT, check=True)
            for what in ('files', 'readme', 'manifests'):
                subprocess.run([chart.TOOL, what, chart.PACKAGES, directory], check=True)
            for path in ('helm/ebb', 'deploy/kubernetes'):
                run = subprocess.run(['diff', '-r', path, os.path.join(directory, path)], cwd=chart.ROOT, stdout=subprocess.PIPE, text=True)
                self.assertEqual(run.stdout, '', 'run make chart manifests')

    def test_manifests_are_as_kubernetes_has_them(self):
        paths = glob.glob(os.path.join(chart.ROOT, 'deploy', 'kubernetes', '*.yaml'))
        self.assertEqual(len(paths), 3)
        for path, (objects, problems) in zip(paths, chart.read_yaml(*(chart.read(path) for path in paths))):
            self.assertEqual(problems, [], path)
            self.assertNotIn('helm.sh', json.dumps(objects), path)

    def test_whatever_the_release_is_called_the_job_is_that_of_the_rules(self):
        monitors = [(o, objects) for objects, _ in self.rendered.values() for o in objects
                    if o['kind'] in ('ServiceMonitor', 'PodMonitor')]
        self.assertEqual({o['kind'] for o, _ in monitors}, {'ServiceMonitor', 'PodMonitor'})
        for monitor, objects in monitors:
            scraped = of_kind(objects, 'Service') if monitor['kind'] == 'ServiceMonitor' else \
                [o['spec']['template'] for o in of_kind(objects, 'DaemonSet')]
            for one in scraped:
                self.assertIn(monitor['spec']['jobLabel'], one['metadata']['labels'])
        rules = chart.read('helm', 'ebb', 'files', 'prometheus', 'ebb-alerts.yml')
        job = re.search(r'job=~"([^"]+)"', rules)[1]
        service = of_kind(self.rendered['default-values.yaml'][0], 'Service')[0]
        self.assertRegex(service['metadata']['labels']['app.kubernetes.io/name'], f'^(?:{job})$')

    def test_rules_and_dashboards_are_in_it(self):
        objects = self.rendered['production-values.yaml'][0]
        rules = glob.glob(os.path.join(chart.ROOT, 'deploy', 'prometheus', '*.yml'))
        self.assertEqual(len(of_kind(objects, 'PrometheusRule')), len(rules))
        self.assertTrue(all(rule['spec']['groups'] for rule in of_kind(objects, 'PrometheusRule')))
        boards = glob.glob(os.path.join(chart.ROOT, 'dashboards', '*.json'))
        shown = [json.loads(text) for o in of_kind(objects, 'ConfigMap') for name, text in o.get('data', {}).items() if name.endswith('.json')]
        self.assertEqual(len(shown), len(boards))


if __name__ == '__main__':
    tap.main()
