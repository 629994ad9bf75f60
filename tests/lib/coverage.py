#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws gcovr's CSV as a table: lines and branches that the tests reach, for each file.

usage: gcovr --csv ... | coverage.py
"""

import csv
import sys


def percent(reached, total):
    return f'{100 * reached / total:5.1f}%' if total else '    - '


def row(name, width, numbers):
    lines, lines_reached, branches, branches_reached = numbers
    return (f'{name:<{width}}  {lines_reached:5d} of {lines:5d} {percent(lines_reached, lines)}'
            f'  {branches_reached:5d} of {branches:5d} {percent(branches_reached, branches)}')


def main():
    files = {}
    for record in csv.DictReader(sys.stdin):
        files[record['filename']] = [int(record[column]) for column in
                                     ('line_total', 'line_covered', 'branch_total', 'branch_covered')]
    if not files:
        print('coverage.py: no file was measured', file=sys.stderr)
        return 1
    width = max(len(name) for name in files)
    print(f'{"":<{width}}  {"lines":>21}  {"branches":>21}')
    for name in sorted(files):
        print(row(name, width, files[name]))
    print(row('all', width, [sum(column) for column in zip(*files.values())]))
    return 0


if __name__ == '__main__':
    sys.exit(main())
