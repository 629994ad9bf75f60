#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/lib/run.py must not be fooled: fed with fake programs, it counts what they did."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import tap

RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'run.py')


class RunTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix='ebb-test-run-')
        self.addCleanup(self.directory.cleanup)
        self.skips = self.path('skips.txt')
        with open(self.skips, 'w', encoding='utf-8') as file:
            file.write('# comment\n\nlisted.sh | needs * | the machine has none\n')

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def program(self, body, name='program.sh'):
        path = self.path(name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write('#!/bin/sh\n' + body + '\n')
        os.chmod(path, 0o755)
        return path

    def run_tests(self, *commands, options=(), **environment):
        clean = {name: value for name, value in os.environ.items() if name not in ('CI', 'EBB_REQUIRE')}
        return subprocess.run([sys.executable, RUN, '--allowed-skips', self.skips, *options, *commands],
                              env={**clean, **environment}, capture_output=True, text=True, timeout=60,
                              check=False)

    def expect(self, passed, failed, *commands, **more):
        result = self.run_tests(*commands, **more)
        self.assertEqual(result.stdout.splitlines()[-1], f'{passed} passed, {failed} failed', result.stdout)
        self.assertEqual(result.returncode, 1 if failed else 0, result.stdout + result.stderr)
        return result.stdout

    def test_passing_program_is_one_line(self):
        output = self.expect(2, 0, self.program('echo "ok 1 - a"; echo "ok 2 - b"; echo 1..2'))
        self.assertNotIn('ok 1 - a', output)

    def test_failure_shows_all_that_the_program_said(self):
        output = self.expect(1, 1, self.program('echo "ok 1 - a"; echo why >&2; echo "not ok 2 - b"; exit 1'))
        self.assertIn('| why', output)
        self.assertIn('| not ok 2 - b', output)

    def test_failure_counts_although_the_status_is_zero(self):
        self.expect(0, 1, self.program('echo "not ok 1 - a"'))

    def test_status_without_a_failed_test_is_a_failure(self):
        self.assertIn('exit status 3', self.expect(1, 1, self.program('echo "ok 1 - a"; exit 3')))

    def test_crash_is_a_failure_beside_what_passed(self):
        self.assertIn('SIGSEGV', self.expect(1, 1, self.program('echo "ok 1 - a"; kill -SEGV $$')))

    def test_silent_program_is_a_failure(self):
        self.assertIn('no test result', self.expect(0, 1, self.program('true')))

    def test_prose_is_no_result(self):
        self.expect(0, 1, self.program('echo "okay then"; echo "  ok 1 - indented"; echo "# ok - group"'))

    def test_missing_results_are_a_failure(self):
        self.assertIn('planned 3', self.expect(1, 1, self.program('echo 1..3; echo "ok 1 - a"')))

    def test_bail_out_is_a_failure(self):
        self.expect(1, 1, self.program('echo "ok 1 - a"; echo "Bail out! no disk"'))

    def test_program_that_cannot_start_is_a_failure(self):
        self.assertIn('cannot start', self.expect(0, 1, self.path('nothing-here')))

    def test_no_programs_is_a_failure(self):
        self.expect(0, 1)

    def test_one_failing_program_does_not_hide_another(self):
        self.expect(2, 1, self.program('echo "ok 1 - a"', 'a.sh'), self.program('exit 1', 'b.sh'),
                    self.program('echo "ok 1 - c"', 'c.sh'))

    def test_cmocka_with_a_failure_and_a_skip(self):
        self.expect(1, 1, self.program('[ "$CMOCKA_MESSAGE_OUTPUT" = TAP ] || exit 9; echo 1..3; echo "ok 1 - a"\n'
                                       'echo "not ok 2 - b"; echo "not ok 3 # SKIP c"; exit 1'))

    def test_cmocka_failed_group_setup_is_a_failure(self):
        self.expect(0, 1, self.program('echo 1..5; echo "not ok 0 - group [  FAILED  ] GROUP SETUP"; exit 0'))

    def test_settings_before_the_program_reach_it(self):
        program = self.program('[ "$A$B" = "one two" ] && echo "ok 1 - $1"')
        self.expect(1, 0, f"A=one B=' two' {program} word")

    def test_hanging_program_is_ended_with_its_children(self):
        marker = self.path('pid')
        program = self.program(f'echo "ok 1 - a"; sleep 1000 & echo $! >{marker}; wait')
        start = time.monotonic()
        output = self.expect(1, 1, program, options=['--deadline', '1'])
        self.assertIn('not done after 1 s', output)
        self.assertLess(time.monotonic() - start, 8)
        self.assert_gone(marker)

    def test_hanging_program_may_clean_up(self):
        marker = self.path('cleaned')
        self.expect(1, 1, self.program(f'trap "touch {marker}; exit 1" TERM; echo "ok 1 - a"; sleep 1000 & wait'),
                    options=['--deadline', '1'])
        self.assertTrue(os.path.exists(marker))

    def test_script_names_its_own_deadline(self):
        output = self.expect(1, 1, self.program('# deadline: 1\necho "ok 1 - a"; sleep 1000'))
        self.assertIn('not done after 1 s', output)

    def test_two_lanes_run_beside_each_other(self):
        # each waits for the other: one after the other they would both be late
        first = self.program(f'touch {self.path("a")}; until [ -e {self.path("b")} ]; do sleep 0.01; done; echo "ok 1 - a"',
                             'first.sh')
        second = self.program(f'touch {self.path("b")}; until [ -e {self.path("a")} ]; do sleep 0.01; done\n'
                              'echo "ok 1 - $(nice)"; echo "not ok 2 - b"; exit 1', 'second.sh')
        output = self.expect(2, 1, first, '--beside', second, options=['--deadline', '10'])
        self.assertIn('| ok 1 - 19', output)
        self.assertIn(f'FAIL  {second}\n', output)

    def met(self, own, other):
        """Waits until the other of two programs runs too."""
        return f'touch {self.path(own)}; until [ -e {self.path(other)} ]; do sleep 0.01; done; echo "ok 1 - {own}"'

    def test_several_lanes_share_what_there_is(self):
        programs = [self.program(self.met('a', 'b'), 'a.sh'), self.program(self.met('b', 'a'), 'b.sh'),
                    *(self.program('echo "ok 1 - c"', f'{number}.sh') for number in range(20))]
        logs = self.path('logs')
        output = self.expect(22, 0, *programs, options=['--lanes', '2', '--deadline', '10', '--logs', logs])
        self.assertEqual(sum(line.startswith('ok ') for line in output.split('\n')), 22)
        self.assertEqual(sum(map(int, re.findall(r'(?m)^The (?:first|second) lane ran (\d+) programs in', output))), 22)
        self.assertEqual([name[:3] for name in sorted(os.listdir(logs))], [f'{number:03d}' for number in range(22)])

    def test_lane_with_nothing_to_do_takes_of_what_runs_beside(self):
        self.expect(3, 0, self.program('echo "ok 1 - c"', 'c.sh'), '--beside', self.program(self.met('a', 'b'), 'a.sh'),
                    self.program(self.met('b', 'a'), 'b.sh'), options=['--deadline', '5'])

    def test_lanes_do_not_meet_in_the_network(self):
        if os.geteuid() != 0:
            self.skipTest('needs root, for networks')
        listen = ('exec /usr/bin/python3 -c "import os, socket, time; s = socket.create_server((\'127.0.0.1\', 4)); '
                  'print(\'ok 1 - listens\', flush=True); open(\'{0}\', \'w\').close()\n'
                  'while not os.path.exists(\'{1}\'): time.sleep(0.01)"')
        names = self.path('a'), self.path('b')
        programs = [self.program(listen.format(*order), name) for order, name in ((names, 'a.sh'), (names[::-1], 'b.sh'))]
        beside = self.program('[ "$(readlink /proc/self/ns/net)" = "$NET" ] && echo "ok 1 - that of the machine"', 'c.sh')
        self.expect(3, 0, *programs, '--beside', beside, options=['--lanes', '2', '--deadline', '10'],
                    NET=os.readlink('/proc/self/ns/net'))

    def test_what_runs_beside_has_four_times_the_time(self):
        slow = self.program('sleep 1.5; echo "ok 1 - a"')
        self.expect(1, 1, slow, '--beside', slow, options=['--deadline', '1'])

    def test_lane_that_dies_is_a_failure(self):
        waits = self.program(f'until [ -e {self.path("killed")} ]; do sleep 0.01; done; echo "ok 1 - a"', 'a.sh')
        output = self.expect(1, 1, waits, '--beside', self.program(f'touch {self.path("killed")}; kill -KILL $PPID'))
        self.assertIn('the beside lane ended', output)

    def test_left_process_is_a_failure_and_is_ended(self):
        marker = self.path('pid')
        output = self.expect(1, 1, self.program(f'echo "ok 1 - a"; sleep 1000 & echo $! >{marker}'))
        self.assertIn('left processes behind', output)
        self.assert_gone(marker)

    def test_process_in_a_session_of_its_own_is_found_too(self):
        marker = self.path('pid')
        output = self.expect(1, 1, self.program(
            f'setsid sh -c "echo \\$\\$ >{marker}; exec sleep 1000" &\n'
            f'while [ ! -s {marker} ]; do :; done; echo "ok 1 - a"'))
        self.assertIn('left processes behind', output)
        self.assert_gone(marker)

    def test_interrupt_ends_the_program(self):
        marker = self.path('pid')
        program = self.program(f'echo $$ >{marker}; exec sleep 1000')
        with subprocess.Popen([sys.executable, RUN, program], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) as runner:
            deadline = time.monotonic() + 10
            while not (os.path.exists(marker) and os.path.getsize(marker)) and time.monotonic() < deadline:
                time.sleep(0.01)
            runner.send_signal(signal.SIGTERM)
            runner.communicate(timeout=20)
            self.assertEqual(runner.returncode, 128 + signal.SIGTERM)
        self.assert_gone(marker)

    def second_time(self, first, name='program.sh'):
        """Does @first, and passes when it is run again."""
        marker = self.path(name + '.ran')
        return self.program(f'echo "ok 1 - a"; [ -e {marker} ] || {{ touch {marker}; {first}; }}', name)

    def test_failure_is_asked_again_where_that_is_wanted(self):
        body = 'echo "not ok 2 - why"; exit 1'
        self.expect(1, 1, self.second_time(body, 'a.sh'))
        program = self.second_time(body, 'b.sh')
        output = self.expect(2, 0, self.program('echo "ok 1 - a"'), program, options=['--again', '1'])
        self.assertIn('| not ok 2 - why', output)
        self.assertIn(f'FLAKY {program}: failed, then passed', output)

    def test_failure_that_stays_is_one(self):
        output = self.expect(0, 1, self.program('echo "not ok 1 - a"'), options=['--again', '1'])
        self.assertNotIn('FLAKY', output)
        self.assertEqual(output.count('| not ok 1 - a'), 2)

    def test_many_failures_are_not_asked_again(self):
        body = 'echo "not ok 2 - b"'
        self.expect(2, 2, self.second_time(body, 'a.sh'), self.second_time(body, 'b.sh'), options=['--again', '1'])

    def test_what_is_beyond_doubt_is_not_asked_again(self):
        for name, body in (('crash', 'kill -SEGV $$'), ('race', 'echo "not ok 2 - b"; echo "WARNING: ThreadSanitizer: data race"'),
                           ('left', 'sleep 1000 & true'), ('undefined', 'echo "a.c:1:2: runtime error: shift"; exit 1')):
            with self.subTest(name):
                self.expect(1, 1, self.second_time(body, name), options=['--again', '1'])

    def test_failed_test_may_leave_memory(self):
        report = 'echo "==1==ERROR: LeakSanitizer: detected memory leaks"; echo "SUMMARY: AddressSanitizer: 9 byte(s) leaked in 1 allocation(s)."; exit 99'
        self.expect(2, 0, self.second_time(f'echo "not ok 2 - b"; {report}', 'a.sh'), self.program('echo "ok 1 - a"'), options=['--again', '1'])
        self.expect(1, 1, self.second_time(report, 'b.sh'), options=['--again', '1'])

    def test_summary_says_what_failed_and_why(self):
        comments = '; '.join(f'echo "# {n}"' for n in range(1, 20))
        programs = [self.program(f'echo "ok 1 - a"; echo "not ok 2 - b"; {comments}; echo noise; echo "# none of it"; kill -SEGV $$', 'a.sh'),
                    self.second_time('echo "not ok 2 - c"; echo "# why"', 'b.sh'), *[self.program('echo "ok 1 - a"', 'c.sh')] * 3]
        for lanes in ([], ['--lanes', '2']):
            with self.subTest(lanes):
                output = self.expect(5, 2, *programs, options=['--again', '5', *lanes])
                _, _, summary = output.rpartition('\n\n')
                _, _, reasons = summary.partition(f'FAIL  {programs[0]}\n')
                self.assertEqual(reasons.splitlines()[:9], ['      not ok 2 - b', *(f'      # {n}' for n in range(1, 8)), '      run.py: killed by SIGSEGV'])
                self.assertIn('somebody has to find out why\n      not ok 2 - c\n      # why\n', summary)
                os.unlink(self.path('b.sh.ran'))

    def test_lanes_ask_again_too(self):
        program = self.second_time('exit 1')
        output = self.expect(2, 0, self.program('echo "ok 1 - a"', 'a.sh'), '--beside', program, options=['--again', '1'])
        self.assertIn(f'FLAKY {program}', output)

    def test_skip_is_neither_passed_nor_failed(self):
        output = self.expect(1, 0, self.program('echo "ok 1 - a"; echo "ok 2 - b # SKIP no IPv6 here"'))
        self.assertIn('1 skipped', output)
        self.assertIn('no IPv6 here', output)

    def test_skip_of_a_whole_program(self):
        self.assertIn('1 skipped', self.expect(0, 0, self.program('echo "1..0 # SKIP not root"')))

    def test_skip_fails_where_everything_is_required(self):
        program = self.program('echo "ok 1 - a"; echo "ok 2 - needs b # SKIP no b"')
        for settings in ({'CI': 'true'}, {'EBB_REQUIRE': 'bpf'}):
            with self.subTest(settings):
                self.expect(1, 1, program, **settings)

    def test_listed_skip_is_allowed_where_everything_is_required(self):
        body = 'echo "ok 1 - a"; echo "ok 2 - needs b # SKIP no b"'
        self.expect(1, 0, self.program(body, 'listed.sh'), CI='true')
        self.expect(1, 1, self.program(body, 'other.sh'), CI='true')
        self.expect(1, 1, self.program('echo "ok 1 - a"; echo "ok 2 - x # SKIP no b"', 'listed.sh'), CI='true')

    def test_list_of_skips_without_a_reason_is_refused(self):
        with open(self.skips, 'a', encoding='utf-8') as file:
            file.write('a.sh | b |\n')
        result = self.run_tests(self.program('echo "ok 1 - a"'), CI='true')
        self.assertNotEqual(result.returncode, 0)
        self.assertIn('skips.txt:4:', result.stderr)

    def test_logs_hold_the_whole_output(self):
        logs = self.path('logs')
        self.expect(1, 0, self.program('echo "ok 1 - a"; echo details'), options=['--logs', logs])
        (name,) = os.listdir(logs)
        with open(os.path.join(logs, name), encoding='utf-8') as file:
            self.assertIn('details', file.read())

    def assert_gone(self, pid_file):
        with open(pid_file, encoding='utf-8') as file:
            pid = int(file.read())
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)


if __name__ == '__main__':
    tap.main()
