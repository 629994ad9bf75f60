#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws gcovr's CSV as a table: lines and branches that the tests reach, for each file. Fails where that is too little.

usage: gcovr --csv ... | coverage.py

One line for each shortfall, on standard error: file, figure, what is wanted. What is wanted of a file holds
for each file of its own, so that no well tested neighbour hides one that is not.
"""

import csv
import fnmatch
import sys

# A pattern of files, which may not be absent, and percents of lines and of branches.
WANTED = (
    ('user/core/*.c', 95, 90),
    ('bpf/gate.h', 95, 90),
    ('bpf/bucket.h', 95, 90),
    ('bpf/outcome.h', 95, 90),
    ('bpf/turn.h', 95, 90),
)
WANTED_LINES_OF_ALL = 80

COLUMNS = ('line_total', 'line_covered', 'branch_total', 'branch_covered')


def share(reached, total):
    """In percent. Of nothing, all is reached."""
    return 100 * reached / total if total else 100.0


def percent(reached, total):
    return f'{share(reached, total):5.1f}%' if total else '    - '


def row(name, width, numbers):
    lines, lines_reached, branches, branches_reached = numbers
    return (f'{name:<{width}}  {lines_reached:5d} of {lines:5d} {percent(lines_reached, lines)}'
            f'  {branches_reached:5d} of {branches:5d} {percent(branches_reached, branches)}')


def shortfall(name, what, reached, total, wanted):
    """One line, or none. Rounded down: 94.96% is not 95.0%."""
    if share(reached, total) >= wanted:
        return []
    return [f'{name}: {int(10 * share(reached, total)) / 10:.1f}% of {what}, wanted {wanted}%']


def shortfalls(files, every):
    found = []
    for pattern, lines, branches in WANTED:
        names = fnmatch.filter(sorted(files), pattern)
        if not names:
            found.append(f'{pattern}: was not measured, wanted {lines}% of lines')
        for name in names:
            numbers = files[name]
            found += shortfall(name, 'lines', numbers[1], numbers[0], lines)
            found += shortfall(name, 'branches', numbers[3], numbers[2], branches)
    return found + shortfall('all', 'lines', every[1], every[0], WANTED_LINES_OF_ALL)


def main():
    files = {}
    for record in csv.DictReader(sys.stdin):
        files[record['filename']] = [int(record[column]) for column in COLUMNS]
    if not files:
        print('coverage.py: no file was measured', file=sys.stderr)
        return 1
    every = [sum(column) for column in zip(*files.values())]
    width = max(len(name) for name in files)
    print(f'{"":<{width}}  {"lines":>21}  {"branches":>21}')
    for name in sorted(files):
        print(row(name, width, files[name]))
    print(row('all', width, every), flush=True)
    found = shortfalls(files, every)
    for line in found:
        print(f'coverage: {line}', file=sys.stderr)
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
