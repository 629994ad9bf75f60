#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands that documents show, as printed, each document in a world of its own.

usage: run.py [--write] --cgroup DIRECTORY --scratch DIRECTORY --program DIRECTORY DOCUMENT...

documents.py says how a document is read, world.sh what the world is. Speaks TAP, one result for
each command. --write puts what was printed into the document where it differs by more than
numbers: look at the difference before you commit it.

What goes on until Ctrl-C gets one: 'ebb run' when the document ends, 'ebb watch'
and 'ebb record' after half a second.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from documents import blocks, has_world, is_run, masked, matches  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, '..', '..'))
DEADLINE_SECONDS = 120

# "\1B N\n" output "\1E N status\n"
MARK = '\1'
ENDLESS = re.compile(r'^ebb (?:watch|record)\b')
AGENT = re.compile(r'^(ebb run\b[^#\n]*)')


class Step:
    """One command of a document, what it must print (None: anything), and what it did."""

    def __init__(self, block, line, command, wanted):
        self.block, self.line, self.command, self.wanted = block, line, command, wanted
        self.output, self.status = None, None

    def script(self, document):
        if 'file' in self.block.notes:
            return f'mkdir -p "$(dirname {self.block.notes["file"]})" && cat >{self.block.notes["file"]} <<\'EOF-{self.line}\'\n' \
                   f'{self.block.text}EOF-{self.line}\n'
        if self.block.language == 'setup':
            return f'set -e\n{self.command}set +e\n'
        if self.block.language != 'sh':
            return one_command(self.command) + '\n'
        # each line must succeed, or the document ends here
        return 'set -e\n' + ''.join(one_command(line) + '\n' for line in self.command.split('\n')) + 'set +e\n'


def one_command(command):
    if AGENT.match(command):
        return AGENT.sub(r'\1 >>/var/log/ebb.log 2>\&1 & wait_for 60 curl -sf http://127.0.0.1:9478/health/ready ', command)
    if ENDLESS.match(command):
        command = re.sub(r'\s+#.*', '', command)
        return f'timeout -s INT 0.5 {command} || [ $? = 124 ]'
    return command


def steps_of(text):
    found = []
    for block in blocks(text):
        if not is_run(block):
            continue
        if 'file' in block.notes:
            found.append(Step(block, block.line, block.notes['file'], None))
        elif 'shows' in block.notes:
            found.append(Step(block, block.line, block.notes['shows'], block.text.split('\n')[:-1]))
        else:
            for line, command, wanted in block.commands():
                found.append(Step(block, line, command, wanted))
    return found


def script_of(steps, path):
    lines = [f'. {HERE}/world.sh', 'make_world']
    for number, step in enumerate(steps):
        body = step.script(path)
        lines.append(f'printf "\\001B {number}\\n"')
        # a block of sh ends at its first error, and changes nothing of the shell
        lines.append(f'{{\n{body}}} 2>&1 </dev/null\nprintf "\\001E {number} %d\\n" "$?"')
    return '\n'.join(lines) + '\n'


def run_document(steps, path, options):
    """Fills in what each step printed; returns what was said outside of them."""
    work = tempfile.mkdtemp(prefix='docs-', dir=options.scratch)
    cgroup = tempfile.mkdtemp(prefix='docs-', dir=options.cgroup)
    script = os.path.join(work, 'script')
    with open(script, 'w', encoding='utf-8') as file:
        file.write(script_of(steps, path))
    environment = {**os.environ, 'program': options.program, 'repository': ROOT, 'work': work,
                   'cgroup_inode': str(os.stat(cgroup).st_ino)}
    for name in list(environment):
        if name.startswith('EBB_') or name.endswith('SAN_OPTIONS'):
            del environment[name]
    # in the cgroup first, so that it is the root of the cgroup namespace
    command = ['bash', '-c', 'echo $$ >"$0/cgroup.procs" && exec unshare --mount --net --uts --ipc --cgroup --pid --fork '
               '--kill-child --mount-proc bash "$1"', cgroup, script]
    said = os.path.join(work, 'said')
    with open(said, 'wb') as file:
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, check=False,
                           timeout=DEADLINE_SECONDS, env=environment)
        except subprocess.TimeoutExpired:
            file.write(f'\nnot done after {DEADLINE_SECONDS} s\n'.encode())
    with open(said, 'rb') as file:
        text = file.read().decode('utf-8', 'replace')
    for match in re.finditer(f'{MARK}B (\\d+)\n(.*?)\n?{MARK}E \\1 (\\d+)\n', text, re.DOTALL):
        step = steps[int(match[1])]
        step.output, step.status = match[2], int(match[3])
    return re.sub(f'{MARK}B (\\d+)\n(.*?)\n?{MARK}E \\1 (\\d+)\n', '', text, flags=re.DOTALL).strip()


def fault(step, outside):
    """Why this is not what the document says, or None."""
    if step.status is None:
        return 'it was not run: ' + (outside or 'what came before ended the shell')
    wanted = int(step.block.notes.get('status', '0'))
    if step.status != wanted:
        return f'status {step.status}, not {wanted}:\n{step.output}'
    # where nothing is shown, only that it runs is promised
    if not step.wanted and 'shows' not in step.block.notes or 'varies' in step.block.notes:
        return None
    got = [line.rstrip() for line in step.output.split('\n')] if step.output else []
    if step.wanted and step.wanted[-1] == '':
        step.wanted.pop()
    if matches(step.wanted, got):
        return None
    return 'printed:\n' + '\n'.join(f'  {masked(line)}' for line in got) + \
        '\nshown:\n' + '\n'.join(f'  {masked(line)}' for line in step.wanted)


def written(text, steps):
    """The document with what was really printed."""
    lines = text.split('\n')
    for step in sorted(steps, key=lambda step: -step.line):
        if step.output is None or step.wanted is None:
            continue
        got = [line.rstrip() for line in step.output.split('\n')] if step.output else []
        if matches(step.wanted, got):
            continue
        start = step.line - 1 if 'shows' in step.block.notes else step.line + step.command.count('\n')
        lines[start:start + len(step.wanted)] = got
    return '\n'.join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--write', action='store_true')
    parser.add_argument('--cgroup', required=True, help='an empty cgroup2 directory of the test')
    parser.add_argument('--scratch', required=True)
    parser.add_argument('--program', required=True, help='the directory where ebb is')
    parser.add_argument('documents', nargs='+')
    options = parser.parse_args()
    texts = {}
    for path in options.documents:
        with open(path, encoding='utf-8') as file:
            texts[path] = file.read()
    paths = [path for path in options.documents if has_world(texts[path])]

    def run(path):
        steps = steps_of(texts[path])
        return path, steps, run_document(steps, path, options)

    failed = number = 0
    # a document waits for most of its time: for programs to be verified, for a breaker
    for path, steps, outside in ThreadPoolExecutor(os.cpu_count()).map(run, paths):
        text = texts[path]
        name = os.path.relpath(path, ROOT)
        for step in steps:
            number += 1
            why = fault(step, outside)
            failed += why is not None
            title = step.command.strip().split('\n')[0].replace('#', '\\#')
            print(f'{"ok" if why is None else "not ok"} {number} - {name}:{step.line}: {title}')
            for line in (why or '').split('\n') if why else []:
                print(f'# {line}')
        sys.stdout.flush()
        if options.write:
            changed = written(text, steps)
            if changed != text:
                with open(path, 'w', encoding='utf-8') as file:
                    file.write(changed)
    print(f'1..{number}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
