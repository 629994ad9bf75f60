#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# deadline: 400
"""The rules that we would otherwise repeat in every review.

usage: lint.py [--root DIR] [--only RULE,...] [--tap] [--list]

Prints findings as a compiler does, 'file:line: message'; the exit status is 1 when
there are any. --tap says the same as one TAP result for each rule. A new rule is a
generator of findings, a line in RULES, and a bad and a good sample in test_lint.py.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import banned  # noqa: E402
import includes  # noqa: E402
import markdown  # noqa: E402
import text  # noqa: E402
import tools  # noqa: E402
from source import Tree  # noqa: E402

RULES = {
    'format': (tools.check_format, 'C files are as clang-format leaves them (make format)'),
    'includes': (includes.check, 'a file includes its own layer or a lower one'),
    'functions': (banned.check_functions, 'no function that cannot be used safely, no way to end the agent'),
    'results': (banned.check_results, 'no result of ours goes unseen'),
    'markers': (banned.check_markers, 'no marks of unfinished work'),
    'dead-code': (banned.check_dead_code, 'no code that is commented out or switched off'),
    'strings': (banned.check_strings, 'messages stay on one line'),
    'sleeps': (banned.check_sleeps, 'tests wait for conditions, not for time'),
    'spdx': (text.check_spdx, 'every file names its licence'),
    'headers': (text.check_headers, 'headers say what they are for and have the right guard'),
    'whitespace': (text.check_whitespace, 'no blanks at line ends, a newline at the end'),
    'metrics': (text.check_metrics, 'metrics that documents, dashboards and tests name exist'),
    'links': (markdown.check_links, 'links in documents lead to a file, and to a heading of it'),
    'paths': (markdown.check_paths, 'files that documents name exist'),
    'commands': (markdown.check_commands, 'commands that documents show exist, with their options'),
    'messages': (markdown.check_messages, 'messages that documents explain are in the code'),
    'runbooks': (markdown.check_runbooks, 'each alert has a runbook, and each runbook an alert'),
    'executable': (tools.check_executable, 'scripts are executable, other files are not'),
    'abi': (tools.check_abi, 'bpf/abi.h compiles alone, without padding, on both sides'),
    'architectures': (tools.check_architectures, 'BPF programs compile for every architecture'),
    'shell': (tools.check_shell, 'shellcheck has nothing to say'),
    'python': (tools.check_python, 'Python files compile'),
    'documents': (tools.check_documents, 'documents made from tables are up to date'),
    'manuals': (tools.check_manuals, 'manual pages are made from the tables, and mandoc finds no fault'),
    'tidy-reasons': (tools.check_tidy_reasons, 'checks that clang-tidy leaves out have a reason'),
    'tidy': (tools.check_tidy, 'clang-tidy has nothing to say'),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', default=os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
    parser.add_argument('--only', metavar='RULE,...')
    parser.add_argument('--tap', action='store_true')
    parser.add_argument('--list', action='store_true', help='list the rules')
    options = parser.parse_args()

    if options.list:
        for name, (_, purpose) in RULES.items():
            print(f'{name:<14} {purpose}')
        return 0
    names = options.only.split(',') if options.only else list(RULES)
    unknown = [name for name in names if name not in RULES]
    if unknown:
        parser.error(f"no rule '{unknown[0]}': lint.py --list names them")

    tree = Tree(os.path.realpath(options.root))
    broken = 0
    for number, name in enumerate(names, 1):
        check, purpose = RULES[name]
        found = sorted(set(check(tree)))
        broken += bool(found)
        if options.tap:
            print(f'{"not ok" if found else "ok"} {number} - {name}: {purpose}')
        for finding in found:
            print(f'# {finding}' if options.tap else f'{finding} [{name}]')
        sys.stdout.flush()
    if options.tap:
        print(f'1..{len(names)}')
    elif broken == 0:
        print(f'lint: {len(names)} rules hold')
    return 1 if broken else 0


if __name__ == '__main__':
    sys.exit(main())
