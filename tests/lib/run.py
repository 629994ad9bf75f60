#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs test programs one after the other and counts what they report in TAP.

usage: run.py [--logs DIR] [--deadline SECONDS] [--allowed-skips FILE] [--again N] COMMAND... [--beside COMMAND...]

A COMMAND is one word to the shell that calls us: a program with its arguments, and
before it, as for env(1), NAME=value settings. cmocka programs are told to speak TAP.
Those after --beside run beside the others, also one after the other, with what they leave
of the processors and four times their deadline: work that needs a processor and no time.
The last line is 'N passed, N failed'; the exit status is 0 when nothing failed.

What counts as one failure: a 'not ok' line; a program that prints no result, fewer
results than it planned, ends with a status or a signal that no 'not ok' explains, is
not done at its deadline, or leaves processes behind. The deadline is --deadline, or in
a script a line '# deadline: SECONDS'.

With --again N, when at most N programs failed, each is run once more at the end. One that
passes then was unsteady: it is named in the summary as FLAKY, its first output is shown, and it
does not count as failed. A crash, a report of a sanitizer, a skip, processes left behind are
believed the first time.

A skip ('# SKIP reason') is neither passed nor failed on a developer's machine. With
CI=true or EBB_REQUIRE set it is a failure, unless tests/lib/allowed-skips.txt lists it.
"""

import argparse
import ctypes
import fnmatch
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

RESULT = re.compile(r'(?P<not>not )?ok\b(?:\s+(?P<number>\d+))?\s*-?\s*(?P<rest>.*)$')
SKIP = re.compile(r'#\s*skip\b:?\s*(?P<reason>.*)$', re.IGNORECASE)
PLAN = re.compile(r'1\.\.(?P<count>\d+)\s*(?P<rest>#.*)?$')
SETTING = re.compile(r'[A-Za-z_][A-Za-z0-9_]*=')
SANITIZER = re.compile(r'(Address|Leak|Memory|Thread)Sanitizer|runtime error:')
DEADLINE = re.compile(r'^#\s*deadline:\s*(\d+)\s*$', re.MULTILINE)

PR_SET_CHILD_SUBREAPER = 36

# From asking a program to end, so that its traps can clean up, to killing it.
GRACE_SECONDS = 10.0
# For what a program started to end after it.
LINGER_SECONDS = 3.0


class Tally:
    """What one program reported."""

    def __init__(self):
        self.passed = 0
        self.failures = []  # one line each
        self.skips = []  # (test, reason)
        self.planned = 0
        self.bailed = None
        self.beyond_doubt = False

    def read(self, line):
        plan = PLAN.match(line)
        if plan:
            self.planned += int(plan['count'])
            skip = SKIP.search(plan['rest'] or '')
            if skip and int(plan['count']) == 0:
                self.skips.append(('all', skip['reason']))
            return
        if line.startswith('Bail out!'):
            self.bailed = line
            return
        result = RESULT.match(line)
        if not result:
            return
        # cmocka 1.1 writes "not ok 3 # SKIP name"
        skip = SKIP.search(result['rest'])
        if skip:
            name = result['rest'][:skip.start()].strip()
            self.skips.append((name or skip['reason'], skip['reason']))
        elif result['not']:
            self.failures.append(line)
        else:
            self.passed += 1

    def results(self):
        return self.passed + len(self.failures) + len(self.skips)


def parse_command(text):
    words = shlex.split(text)
    settings = {}
    while words and SETTING.match(words[0]):
        name, value = words.pop(0).split('=', 1)
        settings[name] = value
    if not words:
        raise SystemExit(f"run.py: no program in '{text}'")
    return settings, words


def deadline_of(words, default):
    """A script may say for itself how long it may take."""
    for word in words:
        try:
            with open(word, 'rb') as file:
                head = file.read(2048)
        except OSError:
            continue
        found = DEADLINE.search(head.decode('utf-8', 'replace')) if head.startswith(b'#!') else None
        if found:
            return int(found[1])
    return default


def become_subreaper():
    """Whatever a program leaves behind becomes our child, also when it left its process group."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), 'prctl(PR_SET_CHILD_SUBREAPER)')


def children_gone():
    """Takes in the dead ones. To be called only when no Popen waits for one of them."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        return True
    return False


def children():
    for name in os.listdir('/proc'):
        if not name.isdigit():
            continue
        try:
            with open(f'/proc/{name}/stat', encoding='utf-8', errors='replace') as file:
                # the name in parentheses may hold blanks and parentheses
                parent = int(file.read().rpartition(')')[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == os.getpid():
            yield int(name)


def kill_children():
    """Theirs become ours when they die: again, until there are none."""
    def none_left():
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        return children_gone()
    wait_for(none_left, LINGER_SECONDS)


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.01)
    return True


def kill_group(pgid, number):
    try:
        os.killpg(pgid, number)
    except (ProcessLookupError, PermissionError):
        pass


# Signals that are to end us. The handler does no more than note them: it may arrive where
# Popen holds a lock, so neither raising nor waiting is safe in it.
ended = []


class Program:
    """One run: a process group of its own, all output in one list of lines."""

    def __init__(self, text, default_deadline, patience=1):
        self.name = text
        settings, self.words = parse_command(text)
        self.environment = {**os.environ, 'CMOCKA_MESSAGE_OUTPUT': 'TAP', **settings}
        self.deadline = deadline_of(self.words, default_deadline) * patience
        self.tally = Tally()
        self.lines = []
        self.process = None
        self.seconds = 0.0

    def fail(self, text, beyond_doubt=False):
        self.tally.failures.append(text)
        self.tally.beyond_doubt |= beyond_doubt
        self.lines.append(f'run.py: {text}')

    def may_be_unsteady(self):
        """Would it make sense to ask again? The memory that a sanitizer saw misused was misused."""
        return bool(self.tally.failures) and not self.tally.beyond_doubt and not any(map(SANITIZER.search, self.lines))

    def read_output(self):
        for raw in self.process.stdout:
            line = raw.decode('utf-8', 'backslashreplace').rstrip('\r\n')
            self.lines.append(line)
            self.tally.read(line)

    def wait(self, seconds, until=lambda: False):
        """Is it over before the time is, and before @until says so?"""
        over = wait_for(lambda: self.process.poll() is not None or until(), seconds)
        return over and self.process.returncode is not None

    def stop(self):
        """The group gets time to clean up, then ends."""
        kill_group(self.process.pid, signal.SIGTERM)
        self.wait(GRACE_SECONDS)
        kill_group(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def run(self):
        start = time.monotonic()
        try:
            self.process = subprocess.Popen(self.words, env=self.environment, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                            start_new_session=True)
        except OSError as error:
            self.fail(f'cannot start {self.words[0]}: {error.strerror}')
            return
        reader = threading.Thread(target=self.read_output, daemon=True)
        reader.start()

        late = not self.wait(self.deadline, lambda: ended)
        if late:
            self.stop()
        left = not wait_for(children_gone, LINGER_SECONDS)
        if left:
            kill_children()
        reader.join(LINGER_SECONDS)
        self.seconds = time.monotonic() - start
        self.judge(late, left)

    def judge(self, late, left):
        tally = self.tally
        if late:
            self.fail(f'not done after {self.deadline} s, ended by us')
        elif self.process.returncode < 0:
            number = -self.process.returncode
            self.fail(f'killed by {signal.Signals(number).name}', beyond_doubt=True)
        elif self.process.returncode > 0 and not tally.failures:
            self.fail(f'exit status {self.process.returncode} without a failed test')
        if left:
            self.fail('left processes behind', beyond_doubt=True)
        if tally.bailed:
            self.fail(tally.bailed)
        if tally.planned and tally.planned != tally.results() and not tally.failures:
            self.fail(f'planned {tally.planned} tests, reported {tally.results()}')
        if tally.results() == 0:
            self.fail('printed no test result')


def allowed_skips(path):
    """Lines 'PROGRAM | TEST | REASON', the first two as in fnmatch(3); '#' begins a comment."""
    rules = []
    try:
        with open(path, encoding='utf-8') as file:
            for number, line in enumerate(file, 1):
                line = line.strip()
                if not line or line.startswith('#'):
                    continue
                parts = [part.strip() for part in line.split('|')]
                if len(parts) != 3 or not all(parts):
                    raise SystemExit(f"{path}:{number}: expected 'PROGRAM | TEST | REASON'")
                rules.append(parts)
    except FileNotFoundError:
        pass
    return rules


def forbid_skips(program, rules):
    for test, reason in program.tally.skips:
        names = [os.path.basename(word) for word in program.words]
        allowed = any(fnmatch.fnmatchcase(test, rule[1]) and
                      any(fnmatch.fnmatchcase(name, rule[0]) for name in names) for rule in rules)
        if not allowed:
            program.fail(f'skipped although everything is required here: {test} ({reason or "no reason"})',
                         beyond_doubt=True)


def report(program, width):
    tally = program.tally
    counts = [f'{tally.passed} passed']
    if tally.failures:
        counts.append(f'{len(tally.failures)} failed')
    if tally.skips:
        counts.append(f'{len(tally.skips)} skipped')
    word = 'FAIL' if tally.failures else 'ok'
    print(f'{word:<4}  {program.name:<{width}}  {program.seconds:6.2f} s  {", ".join(counts)}', flush=True)
    if tally.failures:
        for line in program.lines:
            print(f'      | {line}')
        sys.stdout.flush()
    else:
        for test, reason in tally.skips:
            print(f'      skipped: {test}{" (" + reason + ")" if reason and reason != test else ""}')


def store_log(directory, number, program):
    name = re.sub(r'[^A-Za-z0-9_.-]+', '_', program.name)[-100:].strip('_')
    with open(os.path.join(directory, f'{number:03d}-{name}.log'), 'w', encoding='utf-8') as file:
        file.write('\n'.join([f'$ {program.name}', *program.lines, '']))


SUMMARY = re.compile(r'(\d+) passed, (\d+) failed$')

# How much longer what runs beside others may take.
BESIDE_PATIENCE = 4


class Lane:
    """A run.py of its own, so that what a program leaves behind is laid at the right door."""

    def __init__(self, options, commands, logs, beside):
        words = [sys.executable, os.path.abspath(__file__), '--deadline', str(options.deadline),
                 '--allowed-skips', options.allowed_skips, '--again', str(options.again)]
        if logs:
            words += ['--logs', logs]
        if beside:
            words = ['nice', '-n', '19', *words, '--patience', str(BESIDE_PATIENCE)]
        self.name = 'beside' if beside else 'first'
        self.lines = []  # all that was said before the summary
        self.summary = []
        self.passed, self.failed = 0, 0
        self.counted = False
        self.shows = not beside
        self.process = subprocess.Popen([*words, *commands], stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        at_end = False
        for line in self.process.stdout:
            line = line.rstrip('\n')
            found = SUMMARY.match(line)
            if found:
                self.passed, self.failed = int(found[1]), int(found[2])
                self.counted = True
            elif at_end or not line:
                at_end = True
                self.summary += [line] if line else []
            else:
                self.lines.append(line)
                if self.shows:
                    print(line, flush=True)

    def end(self):
        self.process.send_signal(signal.SIGTERM)

    def finish(self):
        """Waits for it. Says what it has kept to itself."""
        status = self.process.wait()
        self.reader.join()
        if not self.shows:
            print('\n'.join(self.lines), flush=True)
        if not self.counted or (status != 0 and not self.failed):
            self.failed += 1
            self.summary.append(f'FAIL  the {self.name} lane ended with {status}')


def run_lanes(options):
    logs = options.logs
    lanes = [Lane(options, options.commands, logs, beside=False),
             Lane(options, options.beside, logs and logs + '-beside', beside=True)]

    def end(_number, _frame):
        for lane in lanes:
            lane.end()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    for lane in lanes:
        lane.finish()
    print()
    for lane in lanes:
        for line in lane.summary:
            print(line)
    failed = sum(lane.failed for lane in lanes)
    print(f'{sum(lane.passed for lane in lanes)} passed, {failed} failed')
    return 1 if failed else 0


def run_programs(options, commands, rules, first_log=0):
    """One after the other, each reported when it is done."""
    programs = [Program(text, options.deadline, options.patience) for text in commands]
    width = max((len(program.name) for program in programs), default=0)
    for number, program in enumerate(programs, first_log):
        program.run()
        if ended:
            break
        if rules is not None:
            forbid_skips(program, rules)
        report(program, width)
        if options.logs:
            store_log(options.logs, number, program)
    return programs


def run_again(options, programs, rules):
    """Names those that failed and passed when asked again; their second run takes the place of the first in @programs."""
    failed = [index for index, program in enumerate(programs) if program.tally.failures]
    asked = [index for index in failed if programs[index].may_be_unsteady()]
    if ended or not asked or len(failed) > options.again:
        return []
    print('run.py: what failed is run again', flush=True)
    unsteady = []
    for index, again in zip(asked, run_programs(options, [programs[index].name for index in asked], rules, len(programs))):
        if not again.tally.failures and not ended:
            programs[index] = again
            unsteady.append(again.name)
    return unsteady


def summarize(programs, unsteady):
    passed = sum(program.tally.passed for program in programs)
    failed = sum(len(program.tally.failures) for program in programs)
    skipped = sum(len(program.tally.skips) for program in programs)
    print()
    if skipped:
        print(f'{skipped} skipped')
    for name in unsteady:
        print(f'FLAKY {name}: failed, then passed: somebody has to find out why')
    for program in programs:
        if program.tally.failures:
            print(f'FAIL  {program.name}')
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--logs', metavar='DIR', help='keep the whole output of every program there')
    parser.add_argument('--deadline', metavar='SECONDS', type=int, default=120)
    parser.add_argument('--allowed-skips', metavar='FILE',
                        default=os.path.join(os.path.dirname(os.path.abspath(__file__)), 'allowed-skips.txt'))
    parser.add_argument('--again', metavar='N', type=int, default=0, help='up to N programs that failed are run again')
    parser.add_argument('--patience', metavar='N', type=int, default=1, help='every deadline is N times as long')
    parser.add_argument('--beside', nargs='+', metavar='COMMAND', default=[])
    parser.add_argument('commands', nargs='*', metavar='COMMAND')
    options = parser.parse_args()
    if not options.commands:
        # A run of nothing that succeeds would hide a wrong wildcard.
        print('run.py: no test programs were given', file=sys.stderr)
        print('0 passed, 1 failed')
        return 1
    if options.beside:
        return run_lanes(options)

    required = os.environ.get('CI') == 'true' or bool(os.environ.get('EBB_REQUIRE'))
    rules = allowed_skips(options.allowed_skips) if required else None
    if options.logs:
        os.makedirs(options.logs, exist_ok=True)
        for name in os.listdir(options.logs):
            if name.endswith('.log'):
                os.unlink(os.path.join(options.logs, name))

    become_subreaper()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: ended.append(number))
    programs = run_programs(options, options.commands, rules)
    unsteady = run_again(options, programs, rules)
    if ended:
        print(f'run.py: ended by {signal.Signals(ended[0]).name}', file=sys.stderr)
        return 128 + ended[0]
    return summarize(programs, unsteady)


if __name__ == '__main__':
    sys.exit(main())
