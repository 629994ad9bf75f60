# SPDX-License-Identifier: Apache-2.0
"""What every text file has: a licence, an end, no invisible differences."""

import re

from source import Finding, line_of

APACHE = 'Apache-2.0'
DUAL = 'GPL-2.0-only OR BSD-2-Clause'
NEEDS_SPDX = re.compile(r'(.*\.(c|h|py|sh|ya?ml|bash)|(.*/)?(Makefile|Dockerfile)|\.ci/run|\.clang-(format|tidy))$')
SPDX = re.compile(r'SPDX-License-Identifier: ([^*\n]*?)(?:[ \t]*\*/)?[ \t]*$', re.MULTILINE)
BINARY = re.compile(r'.*\.(png|jpe?g|gif|ico|woff2?|gz|db|pcap|bin)$')


def licences(path):
    """What may stand in a file: the kernel's licence where its headers are compiled in."""
    if path.startswith('bpf/'):
        return (DUAL,)
    if path.endswith('.bpf.c'):
        return (DUAL, APACHE)
    return (APACHE,)


def check_spdx(tree):
    for path in tree.paths:
        if not NEEDS_SPDX.match(path):
            continue
        head = '\n'.join(tree.text(path).split('\n', 2)[:2])
        found = SPDX.search(head)
        allowed = ' or '.join(licences(path))
        if not found:
            yield Finding(path, 1, f'no SPDX-License-Identifier in the first two lines: {allowed}')
        elif found[1] not in licences(path):
            yield Finding(path, 1, f"licence '{found[1]}': here it is {allowed}")


def guard_of(path):
    """user/core/policy.h: EBB_CORE_POLICY_H, bpf/gate.h: EBB_GATE_H, tests/lib/fake.h: EBB_TESTS_LIB_FAKE_H"""
    path = re.sub(r'^(user|bpf)/', '', path)
    return 'EBB_' + re.sub(r'\W', '_', path).upper()


def check_headers(tree):
    """A header says what it is for, and has the guard that its path gives."""
    for path in tree.matching(r'(user|bpf|tests)/.*\.h$'):
        text = tree.text(path)
        guard = guard_of(path)
        if f'#ifndef {guard}\n#define {guard}\n' not in text:
            yield Finding(path, 1, f'the guard of this header is {guard}')
        if not re.match(r'/\*[^\n]*\*/\n/\*', text):
            yield Finding(path, 2, 'a header opens with a comment that says what it is for')


METRICS = 'docs/metrics.md'
# As the table has it, and as a histogram's series are called.
METRIC_ROW = re.compile(r'^\| `(ebb_\w+)` \| (\w+) ', re.MULTILINE)
# Where else there is nothing that begins with ebb_, every such word is one; elsewhere it has a unit or labels.
ONLY_METRICS = re.compile(r'(dashboards|deploy/prometheus|helm/ebb/dashboards)/')
NAMES_METRICS = re.compile(r'(docs/.*\.md|README\.md|tests/(?!lint/).*\.(sh|py)|dashboards/.*|deploy/.*|helm/.*)$')
METRIC_LIKE = re.compile(r'\bebb_[a-z0-9_]+(?:_total|_seconds|_bucket|_info)\b(?!\w|\()|\bebb_[a-z0-9_]+(?=\\?\{[a-z]+=)')
WORD = re.compile(r'\bebb_[a-z0-9_]+\b')


def check_metrics(tree):
    """Whoever names a metric names one that there is."""
    if METRICS not in tree.paths:
        return
    known = set()
    for name, kind in METRIC_ROW.findall(tree.text(METRICS)):
        known.add(name)
        known.update(name + end for end in ('_bucket', '_sum', '_count') if kind == 'histogram')
        # OpenMetrics calls a family of counters without its end
        known.add(name.removesuffix('_total'))
    for path in tree.paths:
        if not NAMES_METRICS.match(path):
            continue
        text = tree.text(path)
        for found in (WORD if ONLY_METRICS.match(path) else METRIC_LIKE).finditer(text):
            if found[0] not in known:
                yield Finding(path, line_of(text, found.start()), f"there is no metric '{found[0]}': {METRICS} names them")


def check_whitespace(tree):
    for path in tree.paths:
        if BINARY.match(path):
            continue
        text = tree.text(path)
        for match in re.finditer(r'[ \t]+$', text, re.MULTILINE):
            yield Finding(path, line_of(text, match.start()), 'blanks at the end of the line')
        for match in re.finditer(r'\r', text):
            yield Finding(path, line_of(text, match.start()), 'carriage return')
        if text and not text.endswith('\n'):
            yield Finding(path, line_of(text, len(text)), 'no newline at the end of the file')
        elif text.endswith('\n\n'):
            yield Finding(path, line_of(text, len(text)) - 1, 'empty line at the end of the file')
