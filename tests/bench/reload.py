#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
How long a running agent takes from a changed file to all of it in force, as it says itself:

    reload.py EBB CGROUP PIN [DESTINATIONS [ROUNDS]]

CGROUP and PIN are made and removed. Three changes in turn: nothing but a comment, one setting of each
destination, and the addresses of each (which waits for programs that still see the old routes).
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

UNITS = {'us': 1e-3, 'ms': 1, 's': 1e3}


def text(destinations, round_, addresses):
    lines = [f'# {round_}\nmode: enforce\ndestinations:\n']
    for i in range(destinations):
        lines.append(f'  - name: d{i}\n    match: [{{cidr: 10.{addresses}.{i // 256}.{i % 256}/32, port: 443}}]\n'
                     f'    breaker: {{consecutive_failures: {3 + round_ % 5}}}\n')
    return ''.join(lines)


def main():
    ebb, cgroup, pin = sys.argv[1:4]
    destinations = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 20
    os.mkdir(cgroup)
    with tempfile.TemporaryDirectory() as folder:
        path, log_path = f'{folder}/ebb.yaml', f'{folder}/log'
        with open(path, 'w') as f:
            f.write(text(destinations, 0, 0))
        with open(log_path, 'w') as log:
            agent = subprocess.Popen(['env', 'EBB_AUDIT_SQLITE_PATH=off', ebb, 'run', '--config', path, '--cgroup', cgroup, '--pin', pin,
                                      '--listen', '127.0.0.1:0'], stderr=log)
        try:
            seen = open(log_path)

            def wait(pattern):
                line = ''
                while agent.poll() is None:
                    line += seen.readline()
                    if not line.endswith('\n'):
                        time.sleep(0.001)
                        continue
                    found = re.search(pattern, line)
                    if found:
                        return found
                    line = ''
                sys.exit('the agent ended')

            wait(' started: ')
            took = {'comment': [], 'settings': [], 'addresses': []}
            setting, addresses = 0, 0
            for round_ in range(rounds):
                for kind, samples in took.items():
                    setting += kind == 'settings'
                    addresses += kind == 'addresses'
                    with open(path + '.new', 'w') as f:
                        f.write(text(destinations, setting, addresses % 2) + f'# {round_} {kind}\n')
                    os.rename(path + '.new', path)
                    found = wait(r'configuration applied: .* took=([\d.]+)(us|ms|s);')
                    samples.append(float(found[1]) * UNITS[found[2]])
            for kind, samples in took.items():
                samples.sort()
                print(f'{kind}: destinations={destinations} p50={statistics.median(samples):.1f} ms '
                      f'max={samples[-1]:.1f} ms n={len(samples)}')
        finally:
            agent.terminate()
            agent.wait()
            subprocess.run([ebb, 'detach', '--pin', pin], stdout=subprocess.DEVNULL, check=False)
            os.rmdir(cgroup)


main()
