#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Do two runs of tests/bench/run.sh come to the same conclusions? agree.py A.json B.json

A conclusion is whether a target is met, and which of two cases of one work is the dearer, where
the first run can tell them apart (their quartiles do not overlap). Exits with 1 when one is another."""

import argparse
import itertools
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import report  # noqa: E402

RATIO = re.compile(r"\bx (\d+\.\d+)")
QUARTILES = re.compile(r"(\d+\.\d+) to (\d+\.\d+)")


def rows_of(lines):
    """(work, case, cells) of each row: a case begins with '...' or leaves its work to the row above."""
    work = ""
    for line in lines:
        if not line.startswith("|") or line.startswith("|---"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] and not cells[0].startswith("..."):
            work = cells[0]
        yield work, cells[0] if cells[0].startswith("...") else cells[1] if not cells[0] else "", cells


def verdicts(lines):
    """Of each row that has a target: whether it is met."""
    told = {}
    for work, case, cells in rows_of(lines):
        for word in ("met", "missed"):
            if re.match(rf"\**{word}\b", cells[-1]):
                told[work, case] = word
    return told


def ratios(lines):
    """{work: {case: (ratio, lower quartile, upper quartile)}}"""
    told = {}
    for work, case, cells in rows_of(lines):
        ratio, quartiles = (pattern.search(cell) for pattern, cell in zip((RATIO, QUARTILES), (cells + ["", ""])[1:3]))
        if case and ratio and quartiles:
            told.setdefault(work, {})[case] = (float(ratio[1]), float(quartiles[1]), float(quartiles[2]))
    return told


def orders(lines):
    """{(work, case, case): whether the first is the dearer}, of what can be told apart."""
    told = {}
    for work, cases in ratios(lines).items():
        for (a, (_, a_low, a_high)), (b, (_, b_low, b_high)) in itertools.combinations(cases.items(), 2):
            if a_low > b_high or b_low > a_high:
                told[work, a, b] = a_low > b_high
    return told


def disagreements(first, second):
    """(how many conclusions both runs have, lines about those that differ)."""
    count, lines = 0, []
    ours, theirs = verdicts(first), verdicts(second)
    for key in sorted(ours.keys() & theirs.keys()):
        count += 1
        if ours[key] != theirs[key]:
            lines.append(f"{' '.join(key).strip()}: {ours[key]}, then {theirs[key]}")
    again = ratios(second)
    for (work, a, b), dearer in orders(first).items():
        if a not in again.get(work, {}) or b not in again[work]:
            continue
        count += 1
        if (again[work][a][0] > again[work][b][0]) != dearer:
            lines.append(f"{work} {a} is {'dearer' if dearer else 'cheaper'} than {b}, and then it is not")
    return count, lines


def lines_of(path):
    with open(path, encoding="utf-8") as file:
        return "\n".join(report.whole(json.load(file))).split("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("first")
    parser.add_argument("second")
    arguments = parser.parse_args()
    count, lines = disagreements(lines_of(arguments.first), lines_of(arguments.second))
    print(f"{count} conclusions, {len(lines)} of them another in the second run")
    for line in lines:
        print(f"- {line}")
    return 1 if lines or not count else 0


if __name__ == "__main__":
    sys.exit(main())
