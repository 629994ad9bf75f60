#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs test programs one after the other and counts what they report in TAP.

usage: run.py [--logs DIR] [--deadline SECONDS] [--allowed-skips FILE] [--again N] [--lanes N] COMMAND... [--beside COMMAND...]

A COMMAND is one word to the shell that calls us: a program with its arguments, and
before it, as for env(1), NAME=value settings. cmocka programs are told to speak TAP.
The last line is 'N passed, N failed'; the exit status is 0 when nothing failed.

With --lanes N so many run at a time: whichever lane is free takes the next one, with N times its deadline. A lane
of several has, as root, a network of its own, so that a port which one test has closed is not the one that another opens.
Those after --beside run beside the others, one after the other, with what they leave of the processors
and four times their deadline: work that needs a processor and no time. A lane that has nothing else to do
takes of them too.

What counts as one failure: a 'not ok' line; a program that prints no result, fewer
results than it planned, ends with a status or a signal that no 'not ok' explains, is
not done at its deadline, or leaves processes behind. The deadline is --deadline, or in
a script a line '# deadline: SECONDS'.

With --again N, when at most N programs of a lane failed, each is run once more at the end. One that
passes then was unsteady: it is named in the summary as FLAKY, its first output is shown, and it
does not count as failed. A crash, a report of a sanitizer, a skip, processes left behind are
believed the first time.

A skip ('# SKIP reason') is neither passed nor failed on a developer's machine. With
CI=true or EBB_REQUIRE set it is a failure, unless tests/lib/allowed-skips.txt lists it.
"""

import argparse
import ctypes
import fnmatch
import json
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

RESULT = re.compile(r'(?P<not>not )?ok\b(?:\s+(?P<number>\d+))?\s*-?\s*(?P<rest>.*)$')
SKIP = re.compile(r'#\s*skip\b:?\s*(?P<reason>.*)$', re.IGNORECASE)
PLAN = re.compile(r'1\.\.(?P<count>\d+)\s*(?P<rest>#.*)?$')
SETTING = re.compile(r'[A-Za-z_][A-Za-z0-9_]*=')
SANITIZER = re.compile(r'(Address|Leak|Memory|Thread)Sanitizer|runtime error:')
LEAK = re.compile(r'LeakSanitizer: detected memory leaks|AddressSanitizer: \d+ byte\(s\) leaked')
DEADLINE = re.compile(r'^#\s*deadline:\s*(\d+)\s*$', re.MULTILINE)

PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNET = 0x40000000

# From asking a program to end, so that its traps can clean up, to killing it.
GRACE_SECONDS = 10.0
# For what a program started to end after it.
LINGER_SECONDS = 3.0
# Of each failure in the summary.
REASON_LINES = 8


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


def call_libc(name, *arguments):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f'{name}(): {os.strerror(ctypes.get_errno())}')


def become_subreaper():
    """Whatever a program leaves behind becomes our child, also when it left its process group."""
    call_libc('prctl', PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Networks:
    """The machine's network, and one of our own in which there is only ourselves."""

    def __init__(self):
        self.machine = self.here()
        call_libc('unshare', CLONE_NEWNET)
        self.own = self.here()
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)

    @staticmethod
    def here():
        return os.open('/proc/thread-self/ns/net', os.O_RDONLY | os.O_CLOEXEC)

    def enter(self, own):
        """What is started from now on is there."""
        call_libc('setns', self.own if own else self.machine, CLONE_NEWNET)


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


def processor_seconds():
    """Of all that we have started and waited for, and all that it waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
        self.processor = 0.0  # seconds of one

    def fail(self, text, beyond_doubt=False):
        self.tally.failures.append(text)
        self.tally.beyond_doubt |= beyond_doubt
        self.lines.append(f'run.py: {text}')

    def may_be_unsteady(self):
        """Would it make sense to ask again? The memory that a sanitizer saw misused was misused."""
        test_failed = any(line.startswith('not ok') for line in self.tally.failures)
        reports = [line for line in self.lines if SANITIZER.search(line) and not (test_failed and LEAK.search(line))]
        return bool(self.tally.failures) and not self.tally.beyond_doubt and not reports

    def what_failed(self):
        """The failures, each with the first of the comments that follow it."""
        left, failures = 0, list(self.tally.failures)
        for line in self.lines:
            failure = line.removeprefix('run.py: ')
            if failure in failures:
                failures.remove(failure)
                left = REASON_LINES
            elif not line.startswith('#'):
                left = 0
            if left:
                left -= 1
                yield line

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
        start, used = time.monotonic(), processor_seconds()
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
        self.processor = processor_seconds() - used
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


def store_log(directory, number, program, again=''):
    name = re.sub(r'[^A-Za-z0-9_.-]+', '_', program.name)[-100:].strip('_')
    with open(os.path.join(directory, f'{number:03d}-{name}{again}.log'), 'w', encoding='utf-8') as file:
        took = f'# {program.seconds:.2f} s, {program.processor:.2f} s of a processor'
        file.write('\n'.join([f'$ {program.name}', *program.lines, took, '']))


def clear_logs(directory):
    os.makedirs(directory, exist_ok=True)
    for name in os.listdir(directory):
        if name.endswith('.log'):
            os.unlink(os.path.join(directory, name))


SUMMARY = re.compile(r'(\d+) passed, (\d+) failed$')
OF_LANE = re.compile(r'The \w+ lane ran (\d+) programs')

LANES = ['first', 'second', 'third', 'fourth']

# How much longer what runs beside others may take.
BESIDE_PATIENCE = 4


def jobs(commands, first=0, patience=1, own_network=False):
    """What to run: @patience times as long as elsewhere, perhaps in a network of our own; its log has the number."""
    return [{'command': text, 'number': number, 'patience': patience, 'own_network': own_network}
            for number, text in enumerate(commands, first)]


class Queue:
    """Jobs for several lanes. Each message is one, and goes to one lane whole; the end is an empty one."""

    def __init__(self, jobs_in_it):
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.messages = [json.dumps(job).encode() for job in jobs_in_it]
        threading.Thread(target=self.feed, daemon=True).start()

    def feed(self):
        with self.ours:
            for message in self.messages:
                try:
                    self.ours.send(message)
                except BrokenPipeError:  # no lane is left, and each of them says so
                    return

    @staticmethod
    def take(queues):
        """What is in them, one after the other."""
        for number in queues:
            with socket.socket(fileno=number) as queue:
                while message := queue.recv(1 << 16):
                    yield json.loads(message)


class Lane:
    """A run.py of its own, so that what a program leaves behind is laid at the right door."""

    printing = threading.Lock()

    def __init__(self, name, options, queues):
        words = [sys.executable, os.path.abspath(__file__), '--deadline', str(options.deadline),
                 '--allowed-skips', options.allowed_skips, '--again', str(options.again),
                 '--lane', name, '--width', str(options.width)]
        if options.logs:
            words += ['--logs', options.logs]
        for queue in queues:
            words += ['--queue', str(queue.theirs.fileno())]
        if name == 'beside':
            words = ['nice', '-n', '19', *words]
        self.name = name
        self.summary = []
        self.passed, self.failed, self.programs = 0, 0, 0
        self.counted = False
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True,
                                        pass_fds=[queue.theirs.fileno() for queue in queues])
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
                found = OF_LANE.match(line)
                self.programs += int(found[1]) if found else 0
                self.summary += [line] if line else []
            else:
                with self.printing:
                    print(line, flush=True)

    def end(self):
        self.process.send_signal(signal.SIGTERM)

    def finish(self):
        """Waits for it."""
        status = self.process.wait()
        self.reader.join()
        if not self.counted or (status != 0 and not self.failed):
            self.failed += 1
            self.summary.append(f'FAIL  the {self.name} lane ended with {status}')


def run_lanes(options):
    # each has only a part of the processors
    first = Queue(jobs(options.commands, patience=options.lanes, own_network=options.lanes > 1 and os.geteuid() == 0))
    beside = Queue(jobs(options.beside, len(options.commands), patience=BESIDE_PATIENCE))
    lanes = [Lane(name, options, [first, beside]) for name in LANES[:options.lanes]]
    if options.beside:
        lanes.append(Lane('beside', options, [beside]))
    for queue in (first, beside):
        queue.theirs.close()

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
    wanted, were_run = len(options.commands + options.beside), sum(lane.programs for lane in lanes)
    if all(lane.counted for lane in lanes) and were_run != wanted:
        print(f'FAIL  of {wanted} programs {were_run} were run')
        failed += 1
    print(f'{sum(lane.passed for lane in lanes)} passed, {failed} failed')
    return 1 if failed else 0


class Runner:
    """Runs jobs one after the other: what to run, how, and what came of it."""

    def __init__(self, options, rules):
        self.options = options
        self.rules = rules
        self.networks = None
        self.done = []  # (job, program)

    def run_one(self, job, again=''):
        if job['own_network'] and not self.networks:
            self.networks = Networks()
        if self.networks:
            self.networks.enter(job['own_network'])
        program = Program(job['command'], self.options.deadline, job['patience'])
        program.run()
        if ended:
            return program
        if self.rules is not None:
            forbid_skips(program, self.rules)
        report(program, self.options.width)
        if self.options.logs:
            store_log(self.options.logs, job['number'], program, again)
        return program

    def run(self, jobs):
        for job in jobs:
            self.done.append((job, self.run_one(job)))
            if ended:
                return

    def run_again(self):
        """Returns those that failed and passed when asked again; their second run takes the place of the first."""
        failed = [index for index, (_, program) in enumerate(self.done) if program.tally.failures]
        asked = [index for index in failed if self.done[index][1].may_be_unsteady()]
        if ended or not asked or len(failed) > self.options.again:
            return []
        print('run.py: what failed is run again', flush=True)
        unsteady = []
        for index in asked:
            job = self.done[index][0]
            again = self.run_one(job, '.again')
            if not again.tally.failures and not ended:
                unsteady.append(self.done[index][1])
                self.done[index] = (job, again)
        return unsteady


def print_reasons(program):
    for line in program.what_failed():
        print(f'      {line}')


def summarize(programs, unsteady, lane, begin):
    passed = sum(program.tally.passed for program in programs)
    failed = sum(len(program.tally.failures) for program in programs)
    skipped = sum(len(program.tally.skips) for program in programs)
    print()
    if skipped:
        print(f'{skipped} skipped')
    for program in unsteady:
        print(f'FLAKY {program.name}: failed, then passed: somebody has to find out why')
        print_reasons(program)
    for program in programs:
        if program.tally.failures:
            print(f'FAIL  {program.name}')
            print_reasons(program)
    if lane:
        print(f'The {lane} lane ran {len(programs)} programs in {time.monotonic() - begin:.0f} s, '
              f'with {processor_seconds():.0f} s of a processor')
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--logs', metavar='DIR', help='keep the whole output of every program there')
    parser.add_argument('--deadline', metavar='SECONDS', type=int, default=120)
    parser.add_argument('--allowed-skips', metavar='FILE',
                        default=os.path.join(os.path.dirname(os.path.abspath(__file__)), 'allowed-skips.txt'))
    parser.add_argument('--again', metavar='N', type=int, default=0, help='up to N programs that failed are run again')
    parser.add_argument('--lanes', metavar='N', type=int, default=1, choices=range(1, len(LANES) + 1), help='so many run at a time')
    parser.add_argument('--beside', nargs='+', metavar='COMMAND', default=[])
    # what one of several lanes is told
    parser.add_argument('--lane', help=argparse.SUPPRESS)
    parser.add_argument('--queue', type=int, action='append', help=argparse.SUPPRESS)
    parser.add_argument('--width', type=int, help=argparse.SUPPRESS)
    parser.add_argument('commands', nargs='*', metavar='COMMAND')
    options = parser.parse_args()
    options.width = options.width or max(map(len, options.commands + options.beside), default=0)
    if not options.commands and not options.queue:
        # A run of nothing that succeeds would hide a wrong wildcard.
        print('run.py: no test programs were given', file=sys.stderr)
        print('0 passed, 1 failed')
        return 1
    if options.logs and not options.queue:
        clear_logs(options.logs)
    if options.beside or options.lanes > 1:
        return run_lanes(options)

    begin = time.monotonic()
    required = os.environ.get('CI') == 'true' or bool(os.environ.get('EBB_REQUIRE'))
    become_subreaper()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: ended.append(number))
    runner = Runner(options, allowed_skips(options.allowed_skips) if required else None)
    runner.run(Queue.take(options.queue) if options.queue else jobs(options.commands))
    unsteady = runner.run_again()
    if ended:
        print(f'run.py: ended by {signal.Signals(ended[0]).name}', file=sys.stderr)
        return 128 + ended[0]
    return summarize([program for _, program in runner.done], unsteady, options.lane, begin)


if __name__ == '__main__':
    sys.exit(main())
