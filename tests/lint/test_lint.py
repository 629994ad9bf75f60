#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tests/lint refuses a bad sample and accepts a good one."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'lib'))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import tap  # noqa: E402
import lint  # noqa: E402

APACHE = '/* SPDX-License-Identifier: Apache-2.0 */\n'
DUAL = '/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n'
ABI = '#include <linux/types.h>\nstruct ebb_key {\n\t__u32 a;\n\t__u16 b;\n\t__u16 c;\n};\n'
# Where the mark itself would be found in this file.
MANUALS = {f'docs/man/{name}.{section}':
           f'.Dd November 21, 2026\n.Dt {name.upper()} {section}\n.Os\n.Sh NAME\n.Nm {name}\n.Nd a page\n'
           for name, section in (('ebb', 8), ('ebb.yaml', 5))}
MARK = 'TO' + 'DO'
APACHE_YAML = '# SPDX-License-Identifier: Apache-2.0\n'
MANUAL = ('.Ss ebb list\n.It Fl \\-pin Ar "DIR"\n.It Fl o ,  Fl \\-output Ar "FORMAT"\n.Sh NEXT\n'
          '.Ss ebb limit set\n.It Fl \\-bytes Ar "LIMIT"\n')

# rule -> samples: (what it is, {path: text}); a path of None removes nothing, it is written as is.
METRICS = ('| `ebb_connects_total` | counter | outcome | x |\n| `ebb_time_seconds` | histogram |  | x |\n'
           '| `ebb_state` | gauge | state | x |\n')

BAD = {
    'format': [
        ('spaces instead of a tab', {'user/lib/a.c': 'int a(void)\n{\n    return 0;\n}\n'}),
    ],
    'includes': [
        ('core includes kernel', {'user/core/a.c': '#include "kernel/maps.h"\n', 'user/kernel/maps.h': ''}),
        ('kernel includes core', {'user/kernel/a.c': '#include "core/policy.h"\n', 'user/core/policy.h': ''}),
        ('lib includes core', {'user/lib/a.c': '#include "core/policy.h"\n', 'user/core/policy.h': ''}),
        ('core includes export', {'user/core/a.h': '#include "export/http.h"\n', 'user/export/http.h': ''}),
        ('export includes agent', {'user/export/a.c': '#include "agent/agent.h"\n', 'user/agent/agent.h': ''}),
        ('indented include', {'user/lib/a.c': '#  include  "core/policy.h"\n', 'user/core/policy.h': ''}),
        ('header that is not there', {'user/lib/a.c': '#include "lib/gone.h"\n'}),
        ('header by its name alone', {'user/lib/a.c': '#include "b.h"\n', 'user/lib/b.h': ''}),
        ('skeleton outside the loader', {'user/kernel/maps.c': '#include "ebb.skel.h"\n'}),
        ('user space includes a BPF header', {'user/core/a.c': '#include "bpf/gate.h"\n', 'bpf/gate.h': ''}),
        ('the simulation includes another', {'user/core/simulate.c': '#include "bpf/conn.h"\n', 'bpf/conn.h': ''}),
        ('libbpf outside kernel', {'user/agent/a.c': '#include <bpf/bpf.h>\n'}),
        ('map call outside kernel', {'user/cli/a.c': 'int f(void)\n{\n\treturn bpf_map_update_elem(1, 0, 0, 0);\n}\n'}),
        ('link call outside kernel', {'user/agent/a.c': 'void f(void)\n{\n\tbpf_link__destroy(0);\n}\n'}),
        ('clock in the core', {'user/core/a.c': '#include <time.h>\n'}),
        ('I/O in the core', {'user/core/a.c': '#include <sys/socket.h>\n'}),
        ('folder without a layer', {'user/extra/a.c': '#include "lib/why.h"\n', 'user/lib/why.h': ''}),
        ('BPF program includes user space', {'bpf/a.bpf.c': '#include "user/core/policy.h"\n'}),
        ('abi.h includes something', {'bpf/abi.h': '#include "bpf/maps.h"\n'}),
    ],
    'functions': [
        ('strcpy', {'user/lib/a.c': 'void f(char *a)\n{\n\tstrcpy(a, "b");\n}\n'}),
        ('sprintf', {'tests/unit/a.c': 'void f(char *a)\n{\n\tsprintf(a, "b");\n}\n'}),
        ('strcat', {'tools/a.c': 'void f(char *a)\n{\n\tstrcat (a, "b");\n}\n'}),
        ('alloca', {'user/lib/a.c': 'void f(void)\n{\n\tchar *a = alloca(3);\n}\n'}),
        ('atoi', {'user/cli/a.c': 'int f(char *a)\n{\n\treturn atoi(a);\n}\n'}),
        ('exit', {'user/agent/a.c': 'void f(void)\n{\n\texit(1);\n}\n'}),
        ('_exit', {'user/agent/a.c': 'void f(void)\n{\n\t_exit(1);\n}\n'}),
        ('abort', {'user/lib/a.c': 'void f(void)\n{\n\tabort();\n}\n'}),
        ('system', {'user/cli/a.c': 'void f(void)\n{\n\tsystem("ls");\n}\n'}),
        ('assert on what the kernel wrote', {'user/kernel/a.c': 'void f(int a)\n{\n\tassert(a);\n}\n'}),
        ('assert on what a client sent', {'user/export/a.c': 'void f(int a)\n{\n\tassert(a);\n}\n'}),
    ],
    'results': [
        (name, {'user/lib/b.h': 'int ebb_b(int a);\n', 'user/lib/a.c': f'void f(int a)\n{{\n{text}\n}}\n'})
        for name, text in {'first': '\tebb_b(1);', 'second': '\ta = 1;\n\tebb_b(1);', 'after a block': '\tif (a) {\n\t}\n\tebb_b(1);',
                           'alone under if': '\tif (a)\n\t\tebb_b(1);', 'under else': '\tif (a)\n\t\ta = 1;\n\telse\n\t\tebb_b(1);'}.items()
    ],
    'markers': [
        ('in C', {'user/lib/a.c': f'/* {MARK}: later */\n'}),
        ('in a script', {'tests/a.sh': '#!/bin/sh\n# ' + 'FIX' + 'ME\n'}),
        ('in a document', {'docs/a.md': 'XX' + 'X write this\n'}),
    ],
    'dead-code': [
        ('a call', {'user/lib/a.c': '/* foo(bar); */\n'}),
        ('an assignment', {'user/lib/a.c': '/* a->b = 3; */\n'}),
        ('a block', {'user/lib/a.c': '/*\nif (a) {\n\treturn 0;\n}\n*/\n'}),
        ('a line comment', {'user/lib/a.c': 'int a; // the first\n'}),
        ('switched off', {'user/lib/a.c': '#if 0\nint a;\n#endif\n'}),
    ],
    'strings': [
        ('a log line', {'user/agent/a.c': 'void f(void)\n{\n\tebb_warn("the first half "\n\t\t "and the second");\n}\n'}),
        ('a reason', {'user/cli/a.c': 'int f(void)\n{\n\treturn ebb_why(0, -1, "half "\n\t\t       "%s", "x");\n}\n'}),
        ('a print', {'tools/a.c': 'void f(void)\n{\n\tprintf("half "\n\t       "half\\n");\n}\n'}),
    ],
    'sleeps': [
        ('in a unit test', {'tests/unit/test_a.c': 'void f(void)\n{\n\tusleep(10);\n}\n'}),
        ('in a shell test', {'tests/e2e/test_a.sh': '#!/bin/sh\nrun; sleep 1\n'}),
        ('in a loop', {'tests/e2e/test_a.sh': '#!/bin/sh\nwhile :; do sleep 0.1; done\n'}),
    ],
    'spdx': [
        ('no licence', {'user/lib/a.c': 'int a;\n'}),
        ('too late', {'user/lib/a.c': 'int a;\nint b;\n' + APACHE}),
        ('the wrong one', {'user/lib/a.c': DUAL}),
        ('the wrong one in bpf', {'bpf/a.h': APACHE}),
        ('script', {'tests/a.sh': '#!/bin/sh\necho\n'}),
        ('Makefile', {'Makefile': 'all:\n'}),
        ('.ci/run', {'.ci/run': '#!/bin/bash\n'}),
    ],
    'headers': [
        ('no guard', {'user/lib/a.h': APACHE + '/* What it is for. */\nint a;\n'}),
        ('guard of another', {'user/lib/a.h': APACHE + '/* It. */\n#ifndef EBB_LIB_B_H\n#define EBB_LIB_B_H\n#endif\n'}),
        ('no purpose', {'user/lib/a.h': APACHE + '#ifndef EBB_LIB_A_H\n#define EBB_LIB_A_H\n#endif\n'}),
    ],
    'whitespace': [
        ('blank at the end', {'a.md': 'word \n'}),
        ('tab at the end', {'user/lib/a.c': 'int a;\t\n'}),
        ('no newline', {'a.md': 'word'}),
        ('empty last line', {'a.md': 'word\n\n'}),
        ('carriage return', {'a.md': 'word\r\n'}),
    ],
    'metrics': [
        ('a document', {'docs/metrics.md': METRICS, 'docs/a.md': 'Look at `ebb_connect_total`.\n'}),
        ('labels', {'docs/metrics.md': METRICS, 'README.md': '`ebb_connects{outcome="denied"}` and `ebb_states{state="open"}`\n'}),
        ('a test', {'docs/metrics.md': METRICS, 'tests/e2e/test_a.sh': "like x y 'ebb_state\\{status='\ngrep ebb_turn_seconds\n"}),
        ('a dashboard', {'docs/metrics.md': METRICS, 'dashboards/a.json': '{"expr": "ebb_conects"}\n'}),
    ],
    'links': [
        ('to nothing', {'docs/a.md': '[here](gone.md)\n'}),
        ('picture of nothing', {'docs/a.md': '![here](gone.png)\n'}),
        ('to no heading', {'docs/a.md': '[here](b.md#other)\n', 'docs/b.md': '# part\n'}),
        ('to a heading in code', {'docs/a.md': '[here](#part)\n\n```sh\n# part\n```\n'}),
    ],
    'paths': [
        ('of no file', {'docs/a.md': 'See `tests/e2e/test_gone.sh`.\n'}),
    ],
    'commands': [
        ('no such option', {'docs/man/ebb.8': MANUAL, 'docs/a.md': '```sh\nebb list --colour\n```\n'}),
        ('in an indented block', {'docs/man/ebb.8': MANUAL, 'README.md': 'Run:\n\n    ebb limit set api --byte 3\n'}),
        ('no such command', {'docs/man/ebb.8': MANUAL, 'docs/a.md': '```console\n$ ebb lost\n```\n'}),
        ('option of another', {'docs/man/ebb.8': MANUAL, 'docs/a.md': '    sudo ebb list --bytes 3\n'}),
        ('no shell', {'docs/man/ebb.8': MANUAL, 'docs/a.md': '<!-- not run: no cluster -->\n```sh\nfor a in b; kubectl get pods\n```\n'}),
        ('not run for no reason', {'docs/man/ebb.8': MANUAL, 'docs/a.md': '<!-- not run: -->\n```sh\nebb list\n```\n'}),
    ],
    'messages': [
        ('that nobody says', {'user/a.c': 'f("cannot open \'%s\'");\n',
                              'docs/troubleshooting.md': '### `cannot close \'...\'`\n'}),
    ],
    'runbooks': [
        ('none for an alert', {'deploy/prometheus/rules.yaml': APACHE_YAML + 'groups:\n- rules:\n  - alert: EbbA\n'}),
        ('for no alert', {'deploy/prometheus/rules.yaml': APACHE_YAML + '- alert: EbbA\n', 'docs/runbooks/EbbA.md': 'a\n',
                          'docs/runbooks/EbbB.md': 'b\n'}),
    ],
    'executable': [
        ('script that is not', {'tests/a.sh': ('#!/bin/sh\n', 0o644)}),
        ('text that is', {'a.md': ('text\n', 0o755)}),
    ],
    'abi': [
        ('padding inside', {'bpf/abi.h': '#include <linux/types.h>\nstruct a {\n\t__u8 b;\n\t__u32 c;\n};\n'}),
        ('padding at the end', {'bpf/abi.h': '#include <linux/types.h>\nstruct a {\n\t__u32 b;\n\t__u8 c;\n};\n'}),
        ('not alone', {'bpf/abi.h': 'struct a {\n\t__u32 b;\n};\n'}),
    ],
    'architectures': [
        ('field of one architecture', {
            'vmlinux/x86_64/vmlinux.h': 'struct regs {\n\tint bx;\n};\n',
            'vmlinux/aarch64/vmlinux.h': 'struct regs {\n\tint x0;\n};\n',
            'bpf/a.bpf.c': '#include "vmlinux.h"\nint f(struct regs *r)\n{\n\treturn r->bx;\n}\n'}),
    ],
    'shell': [
        ('unquoted', {'tests/a.sh': '#!/bin/sh\nrm $1\n'}),
        ('without a suffix', {'.ci/run': '#!/bin/bash\ncd $1\n'}),
    ],
    'python': [
        ('syntax', {'tests/a.py': 'def f(:\n'}),
        ('without a suffix', {'tools/a': '#!/usr/bin/python3\nif\n'}),
    ],
    'documents': [
        ('differs', {'user/export/metrics.c': '', 'docs/metrics.md': 'old\n',
                     'build/tools/docs': '#!/bin/sh\necho new\n'}),
        ('is missing', {'user/export/metrics.c': '', 'build/tools/docs': '#!/bin/sh\necho new\n'}),
        ('the tool fails', {'user/export/metrics.c': '', 'docs/metrics.md': '', 'build/tools/docs': '#!/bin/sh\nexit 1\n'}),
        ('the tool is not built', {'user/export/metrics.c': '', 'docs/metrics.md': 'new\n'}),
        ('another one differs', {'user/config/keys.c': '', 'docs/configuration.md': 'old\n',
                                 'build/tools/docs': '#!/bin/sh\necho new\n'}),
        ('a manual differs', {'user/cli/manual.c': '', **MANUALS, 'build/tools/docs': '#!/bin/sh\necho new\n'}),
        ('a manual is missing', {'user/cli/manual.c': '', 'build/tools/docs': '#!/bin/sh\necho new\n'}),
    ],
    'manuals': [
        ('mandoc finds fault', dict.fromkeys(MANUALS, '.Dd x\n.Pp\n')),
    ],
    'tidy-reasons': [
        ('no reason', {'.clang-tidy': '# bugprone-a: a good reason\nChecks: >\n  -*,\n  -bugprone-a,\n  -bugprone-b\n'}),
    ],
    'tidy': [
        ('unchecked result', {'.clang-tidy': "Checks: '-*,cert-err33-c'\n",
                              'user/lib/a.c': '#include <stdio.h>\nvoid f(FILE *a)\n{\n\tfclose(a);\n}\n'}),
        ('does not compile', {'.clang-tidy': "Checks: '-*,cert-err33-c'\n", 'user/lib/a.c': 'int a\n'}),
    ],
}

GOOD = {
    'format': [
        ('a function', {'user/lib/a.c': 'int a(void)\n{\n\treturn 0;\n}\n'}),
        ('foreign file', {'vmlinux/x86_64/vmlinux.h': 'int   a ;\n'}),
    ],
    'includes': [
        ('downwards', {'user/agent/a.c': '#include "core/policy.h"\n#include "kernel/maps.h"\n#include "lib/why.h"\n'
                                         '#include "bpf/abi.h"\n#include <time.h>\n',
                       'user/core/policy.h': '', 'user/kernel/maps.h': '', 'user/lib/why.h': ''}),
        ('the simulation asks the gate of the kernel', {'user/core/simulate.c': '#include "bpf/gate.h"\n', 'bpf/gate.h': ''}),
        ('own layer', {'user/export/a.c': '#include "node/cgroup.h"\n', 'user/node/cgroup.h': ''}),
        ('the loader', {'user/kernel/loader.c': '#include <bpf/bpf.h>\n#include "ebb.skel.h"\nvoid f(void)\n{\n'
                                                '\tbpf_map__fd(0);\n}\n'}),
        ('a name in a comment', {'user/agent/a.c': '/* see bpf_map_update_elem(2) */\n'}),
        ('a BPF program', {'bpf/a.bpf.c': '#include "vmlinux.h"\n#include <bpf/bpf_helpers.h>\n#include "bpf/abi.h"\n'
                                          'void f(void)\n{\n\tbpf_map_lookup_elem(0, 0);\n}\n'}),
        ('a test', {'tests/unit/a.c': '#include "bpf/gate.h"\n#include <time.h>\n'}),
    ],
    'functions': [
        ('safe ones', {'user/lib/a.c': 'void f(char *a)\n{\n\t(void)snprintf(a, 1, "strcpy(a, b)");\n}\n'}),
        ('names that contain others', {'user/lib/a.c': 'void f(void)\n{\n\tebb_exit(1);\n\ton_exit_do(x->exit(1));\n}\n'}),
        ('main ends the program', {'user/main.c': 'void f(void)\n{\n\texit(1);\n}\n'}),
        ('a helper ends itself', {'tests/e2e/a.c': 'void f(void)\n{\n\texit(1);\n}\n'}),
        ('assert in the core', {'user/core/a.c': 'void f(int a)\n{\n\tassert(a);\n}\n'}),
        ('assert by the compiler', {'user/kernel/a.c': '_Static_assert(1, "one");\n'}),
    ],
    'results': [
        (name, {'user/lib/b.h': 'int ebb_b(int a);\nvoid ebb_c(void);\nint ebb_why(int a);\n',
                'user/lib/a.c': f'int f(int a)\n{{\n{text}\n}}\n'})
        for name, text in {'returned': '\treturn ebb_b(1);', 'kept': '\tint r = 0;\n\n\tr = ebb_b(1);\n\treturn r;',
                           'judged': '\tif (ebb_b(1) < 0)\n\t\treturn 1;', 'an argument': '\treturn ebb_why(\n\t\tebb_b(1));',
                           'cast away': '\ta = 1;\n\t(void)ebb_b(1);', 'no result': '\ta = 1;\n\tebb_c();',
                           'cast to another type': '\treturn (long)ebb_b(1);',
                           'an echo': '\ta = 1;\n\tebb_why(1);', 'in a comment': '\t/* first; ebb_b(1) does it */'}.items()
    ],
    'markers': [
        ('part of a word', {'user/lib/a.c': 'char a[] = "/tmp/ebb-XXXXXX";\n'}),
    ],
    'dead-code': [
        ('prose', {'user/lib/a.c': '/* the caller owns it; see facts (trap 5); another one has it; */\nint a;\n'}),
        ('an example', {'user/lib/a.c': '/*\n * Use it so:\n *\n *\treturn ebb_why(why, -EINVAL, "no");\n */\nint a;\n'}),
        ('in a string', {'user/lib/a.c': 'char a[] = "http://a/";\n'}),
        ('the licence line of the kernel', {'bpf/a.bpf.c': '// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n'}),
    ],
    'strings': [
        ('one line', {'user/lib/a.c': 'void f(void)\n{\n\tebb_warn("all of it");\n}\n'}),
        ('broken after a newline', {'user/cli/a.c': 'void f(void)\n{\n\tprintf("one\\n"\n\t       "two\\n");\n}\n'}),
        ('wrapped help', {'user/cli/a.c': 'const char *a = "a paragraph "\n\t\t"that is wrapped anyway";\n'}),
        ('two arguments', {'user/lib/a.c': 'void f(void)\n{\n\tebb_warn("%s",\n\t\t "x");\n}\n'}),
    ],
    'sleeps': [
        ('the victim of a test', {'tests/e2e/test_a.sh': '#!/bin/sh\nsleep 1000 &\n'}),
        ('with a reason in C', {'tests/unit/test_a.c': 'void f(void)\n{\n\tusleep(10); /* the rest is what is tested */\n}\n'}),
        ('with a reason', {'tests/e2e/test_a.sh': '#!/bin/sh\nsleep 0.3 # longer than from look to look\n'}),
        ('a word', {'tests/e2e/test_a.sh': '#!/bin/sh\n# sleep\necho no sleep\n'}),
    ],
    'spdx': [
        ('C', {'user/lib/a.c': APACHE + 'int a;\n'}),
        ('line comment', {'bpf/a.bpf.c': '// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n'}),
        ('BPF program of a test', {'tests/bpf/a.bpf.c': DUAL}),
        ('script', {'tests/a.sh': '#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n'}),
        ('document', {'a.md': '# Title\n'}),
    ],
    'headers': [
        ('user', {'user/lib/a.h': APACHE + '/* What it is for. */\n#ifndef EBB_LIB_A_H\n#define EBB_LIB_A_H\n#endif\n'}),
        ('bpf', {'bpf/a.h': DUAL + '/*\n * What it is for.\n */\n#ifndef EBB_A_H\n#define EBB_A_H\n#endif\n'}),
        ('tests', {'tests/lib/a.h': APACHE + '/* It. */\n#ifndef EBB_TESTS_LIB_A_H\n#define EBB_TESTS_LIB_A_H\n#endif\n'}),
    ],
    'whitespace': [
        ('a line', {'a.md': 'word\n'}),
        ('empty file', {'a.md': ''}),
    ],
    'metrics': [
        ('all that there is of them', {
            'docs/metrics.md': METRICS,
            'docs/a.md': '`ebb_connects_total`, `ebb_connects` in OpenMetrics, `ebb_time_seconds_bucket`, `ebb_policy_seconds()`, ebb_gate_v2\n',
            'dashboards/a.json': '{"expr": "rate(ebb_time_seconds_sum[5m]) / ebb_state"}\n'}),
    ],
    'links': [
        ('to a file', {'docs/a.md': '# The `part`, 2\n\n[b](b.md), [part](b.md#part-1), [here](#the-part-2), [out](https://a.org/)\n',
                       'docs/b.md': '# part\n# Part\n'}),
    ],
    'paths': [
        ('of files', {'docs/a.md': '`docs/a.md`, `docs/runbooks/NAME.md`, `docs/gone` in code:\n\n```text\n`docs/b.md`\n```\n',
                      'docs/gone': 'text\n'}),
    ],
    'commands': [
        ('as they are', {'docs/man/ebb.8': MANUAL,
                         'docs/a.md': '    ebb list --pin DIR -o json --output=text | head  # all\n    ebb: started\n\n'
                                      '```console\n$ ebb limit set api --bytes=3\nebb lost: it\n```\n'}),
    ],
    'messages': [
        ('of the code', {'user/a.c': 'f("cannot open \'%s\'"\n  ": %s at %3zu, ", a);\n',
                         'docs/troubleshooting.md': '### `cannot open \'...\': ... at ...`\n'}),
    ],
    'runbooks': [
        ('one for each', {'deploy/prometheus/rules.yaml': APACHE_YAML + '- alert: EbbA\n', 'docs/runbooks/EbbA.md': 'a\n'}),
        ('before there are alerts', {'docs/runbooks/EbbA.md': 'a\n'}),
    ],
    'executable': [
        ('both kinds', {'tests/a.sh': ('#!/bin/sh\n', 0o755), 'a.md': ('text\n', 0o644)}),
    ],
    'abi': [
        ('named padding', {'bpf/abi.h': '#include <linux/types.h>\nstruct a {\n\t__u8 b;\n\t__u8 pad[3];\n\t__u32 c;\n};\n'}),
    ],
    'architectures': [
        ('field of both', {
            'vmlinux/x86_64/vmlinux.h': 'struct regs {\n\tint sp;\n\tint bx;\n};\n',
            'vmlinux/aarch64/vmlinux.h': 'struct regs {\n\tint x0;\n\tint sp;\n};\n',
            'bpf/a.bpf.c': '#include "vmlinux.h"\nint f(struct regs *r)\n{\n\treturn r->sp;\n}\n'}),
    ],
    'shell': [
        ('quoted', {'tests/a.sh': '#!/bin/sh\nrm "$1"\n'}),
    ],
    'python': [
        ('a function', {'tests/a.py': 'def f():\n    pass\n'}),
    ],
    'documents': [
        ('equal', {'user/export/metrics.c': '', 'docs/metrics.md': 'new\n', 'build/tools/docs': '#!/bin/sh\necho new\n'}),
        ('before there are metrics', {'docs/a.md': ''}),
        ('manuals', {'user/cli/manual.c': '', **MANUALS, 'build/tools/docs': '#!/bin/sh\nexec cat docs/man/$1\n'}),
    ],
    'manuals': [
        ('two pages', MANUALS),
        ('before there are any', {'docs/a.md': ''}),
    ],
    'tidy-reasons': [
        ('a reason', {'.clang-tidy': '# bugprone-a: a good reason\nChecks: >\n  -*,\n  bugprone-*,\n  -bugprone-a\n'}),
    ],
    'tidy': [
        ('result cast away', {'.clang-tidy': "Checks: '-*,cert-err33-c'\n",
                              'user/lib/a.c': '#include <stdio.h>\nvoid f(FILE *a)\n{\n\t(void)fclose(a);\n}\n'}),
        ('a check that is off', {
            '.clang-tidy': '# cert-err33-c: a good reason\nChecks: >\n  -*,\n  misc-redundant-expression,\n  cert-err33-c,\n  -cert-err33-c\n',
            'user/lib/a.c': '#include <stdio.h>\nvoid f(FILE *a)\n{\n\tfclose(a);\n}\n'}),
    ],
}


class LintTest(unittest.TestCase):
    def lint(self, rule, files):
        with tempfile.TemporaryDirectory(prefix='ebb-test-lint-') as root:
            if rule == 'format':
                os.symlink(os.path.join(HERE, '..', '..', '.clang-format'), os.path.join(root, '.clang-format'))
            for path, text in files.items():
                path = os.path.join(root, path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                text, mode = text if isinstance(text, tuple) else (text, 0o755 if text.startswith('#!') else 0o644)
                with open(path, 'w', encoding='utf-8') as file:
                    file.write(text)
                os.chmod(path, mode)
            environment = {**os.environ, 'EBB_BUILD': 'build'}
            return subprocess.run([sys.executable, os.path.join(HERE, 'lint.py'), '--root', root, '--only', rule],
                                  env=environment, capture_output=True, text=True, timeout=60, check=False)

    def test_every_rule_has_a_bad_and_a_good_sample(self):
        self.assertEqual(set(BAD), set(lint.RULES))
        self.assertEqual(set(GOOD), set(lint.RULES))

    def test_unknown_rule_is_wrong_use(self):
        self.assertEqual(self.lint('no-such-rule', {}).returncode, 2)

    def test_tap_says_the_same(self):
        with tempfile.TemporaryDirectory(prefix='ebb-test-lint-') as root:
            with open(os.path.join(root, 'a.md'), 'w', encoding='utf-8') as file:
                file.write('word')
            result = subprocess.run([sys.executable, os.path.join(HERE, 'lint.py'), '--root', root, '--tap',
                                     '--only', 'markers,whitespace'], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        lines = result.stdout.splitlines()
        self.assertTrue(lines[0].startswith('ok 1 - markers'), result.stdout)
        self.assertTrue(lines[1].startswith('not ok 2 - whitespace'), result.stdout)
        self.assertIn('# a.md:1: no newline', result.stdout)
        self.assertEqual(lines[-1], '1..2')


def add_tests(rule):
    def refuses(self):
        for name, files in BAD[rule]:
            with self.subTest(name):
                result = self.lint(rule, files)
                self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
                self.assertIn(f'[{rule}]', result.stdout)
                self.assertEqual(result.stderr, '')

    def accepts(self):
        for name, files in GOOD[rule]:
            with self.subTest(name):
                result = self.lint(rule, files)
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    setattr(LintTest, f'test_{rule.replace("-", "_")}_refuses', refuses)
    setattr(LintTest, f'test_{rule.replace("-", "_")}_accepts', accepts)


for each in lint.RULES:
    add_tests(each)

if __name__ == '__main__':
    tap.main()
