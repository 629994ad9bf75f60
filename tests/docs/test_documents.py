#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How documents are read, and what counts as the same output."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'lib'))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import tap  # noqa: E402
import run  # noqa: E402
from documents import blocks, is_run, matches  # noqa: E402

PAGE = '''# A page

<!-- setup
agent
-->

<!-- file: /etc/ebb/ebb.yaml -->
```yaml
mode: enforce
```

```console
$ ebb list \\
> --sort name
NAME  STATE
api   open
$ ebb mode auto
```

<!-- not run: there is no cluster -->
```sh
kubectl get pods
```

Words.

    ebb list

The end.
'''


class DocumentsTest(unittest.TestCase):
    def test_blocks_are_found_with_what_is_said_of_them(self):
        found = blocks(PAGE)
        self.assertEqual([block.language for block in found], ['setup', 'yaml', 'console', 'sh', ''])
        self.assertEqual([is_run(block) for block in found], [True, True, True, False, False])
        self.assertEqual(found[1].notes, {'file': '/etc/ebb/ebb.yaml'})
        self.assertEqual(found[3].notes, {'not run': 'there is no cluster'})

    def test_a_console_has_commands_and_what_they_print(self):
        commands = blocks(PAGE)[2].commands()
        self.assertEqual(commands, [(13, 'ebb list \\\n--sort name', ['NAME  STATE', 'api   open']),
                                    (17, 'ebb mode auto', [])])

    def test_a_comment_is_for_the_next_block_only(self):
        found = blocks('<!-- varies: why -->\n\nWords.\n\n```sh\ntrue\n```\n')
        self.assertEqual(found[0].notes, {})

    def test_a_block_in_a_list_is_a_block(self):
        found = blocks('1. First:\n\n   <!-- not run: why not -->\n   ```sh\n   ebb list\n   ```\n')
        self.assertEqual([(block.language, block.text, block.notes) for block in found],
                         [('sh', 'ebb list\n', {'not run': 'why not'})])

    def test_numbers_times_and_identities_may_differ(self):
        for wanted, got in (('open since 926ms: 3 failures', 'open since 1.2s: 5 failures'),
                            ('2026-11-29 13:10:54.648  api', '2027-01-02 03:04:05.000  api'),
                            ('episode 30b34142cbf6b79a', 'episode 0d5e1b2c99a3f101'),
                            ('api      10 %   3', 'api 9%  12'),
                            ('in 1m07s; 0B', 'in 58.1s; 3.2MB')):
            self.assertTrue(matches([wanted], [got]), (wanted, got))

    def test_words_may_not(self):
        for wanted, got in (('api open', 'api closed'), ('a', 'a\nb'), ('a\nb', 'a'), ('', 'a'), ('P50 P95', 'P50 p95')):
            self.assertFalse(matches(wanted.split('\n'), got.split('\n')), (wanted, got))

    def test_dots_are_any_number_of_lines(self):
        self.assertTrue(matches(['a', '...', 'c'], ['a', 'b', 'b', 'c']))
        self.assertTrue(matches(['a', '...'], ['a']))
        self.assertFalse(matches(['a', '...', 'c'], ['a', 'b']))

    def step(self, status, output, text=PAGE, number=2):
        step = run.steps_of(text)[number]
        step.status, step.output = status, output
        return step

    def test_another_output_or_status_is_a_fault(self):
        self.assertIsNone(run.fault(self.step(0, 'NAME STATE\napi open'), ''))
        self.assertIn('shown', run.fault(self.step(0, 'NAME STATE\napi closed'), ''))
        self.assertIsNone(run.fault(self.step(0, 'now in force', number=3), ''))
        self.assertIn('status 5', run.fault(self.step(5, 'NAME STATE\napi open'), ''))
        self.assertIn('not run', run.fault(self.step(None, None), ''))

    def test_what_was_printed_is_put_in_the_place_of_what_was_shown(self):
        text = run.written(PAGE, [self.step(0, 'nothing\nat all'), self.step(0, '', number=3)])
        self.assertIn('> --sort name\nnothing\nat all\n$ ebb mode auto\n```\n', text)
        self.assertEqual(run.written(PAGE, [self.step(0, 'NAME STATE\napi open')]), PAGE)


if __name__ == '__main__':
    tap.main()
