#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What our programs may cost, as committed in baseline.json, against what they cost now.

usage: baseline.py check [--kernel RELEASE FIGURES]    a line for each complaint; without --kernel, of what the object says
       baseline.py renew FILE...                       writes down what is now; of RELEASE.figures and RELEASE.tried
       baseline.py table FILE                          makes the tables between the marks of a document again

FIGURES: a file of lines 'NAME VERIFIED XLATED ...', see programs.c. What the verifier looks at depends on the kernel: it is
compared within a series (6.12), and with more patience where the release is another than the one that was written down. A
series that is not in the baseline is held to the kernel's own limit only.
"""

import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', 'lib')]
sys.dont_write_bytecode = True

from bpf_object import Object  # noqa: E402

BASELINE = os.environ.get('EBB_BASELINE', os.path.join(HERE, 'baseline.json'))
LIMIT = 1000000  # the verifier's own
NEAR = 0.75  # of it: too near
MAP_LOOKUP = 1  # the number of the helper
FRAME = 32  # older kernels round each frame up to it
GROWTH = 0.05
GROWTH_OTHER_RELEASE = 0.25  # of the same series: the verifier itself may have changed
RENEW = "if it is meant to, 'make baseline' writes it down"

# what the object says -> how it may grow
OWN = {'instructions': GROWTH, 'helper_calls': 0, 'lookups': 0, 'stack': GROWTH}
WORDS = {'instructions': 'instructions', 'helper_calls': 'calls of helpers', 'lookups': 'look-ups in maps', 'stack': 'bytes of stack',
         'verified': 'instructions looked at by the verifier', 'xlated': 'instructions in the kernel'}

# of guest.sh
PARTS = {'refuses': 'must refuse', 'governs': 'the agent as a program', 'systemd': 'the unit, started by systemd',
         'netem': 'the agent as a program; networks that lose, delay and reorder'}


def series(release):
    return re.match(r'\d+\.\d+', release)[0]


def compiler():
    """What the programs were compiled with, as the Makefile remembers it; None: not known."""
    try:
        with open(os.path.join(os.environ.get('EBB_BUILD', 'build'), '.compile-bpf'), encoding='utf-8') as file:
            return os.path.basename(file.read().split()[0])
    except (OSError, IndexError):
        return None


def deepest(elf, function):
    return max(FRAME, -(-function.frame // FRAME) * FRAME) + \
        max((deepest(elf, elf.functions[called]) for called in function.calls), default=0)


def of_object():
    """{program: {figure: number}}"""
    elf, found = Object(), {}
    for name, functions in sorted(elf.programs().items()):
        found[name] = {'instructions': sum(f.instructions for f in functions),
                       'helper_calls': sum(sum(f.helpers.values()) for f in functions),
                       'lookups': sum(f.helpers[MAP_LOOKUP] for f in functions),
                       'stack': deepest(elf, functions[0])}
    return found


def read_figures(path):
    with open(path, encoding='utf-8') as file:
        lines = [line.split() for line in file if line.strip()]
    return {line[0]: {'verified': int(line[1]), 'xlated': int(line[2])} for line in lines}


def read_tried(release, path):
    with open(path, encoding='utf-8') as file:
        suite, parts, checks, failed = file.readline().split()
        seen = [line.strip() for line in file]
    return {'release': release, 'suite': suite, 'parts': parts.split(','), 'checks': int(checks), 'failed': int(failed), 'seen': seen}


def in_order(of_series):
    return {s: of_series[s] for s in sorted(of_series, key=lambda s: [int(n) for n in s.split('.')])}


def compare(where, now, before, growth):
    """Complaints, a line each, that say what grew and what to do. @growth: {figure: share}"""
    for name in sorted(set(before) - set(now)):
        yield f'{where}: {name} is no longer loaded, or has another name: {RENEW}'
    for name, figures in sorted(now.items()):
        if name not in before:
            yield f'{where}: {name} is not in the baseline: {RENEW}'
            continue
        for figure, share in growth.items():
            was, value = before[name][figure], figures[figure]
            if value > was * (1 + share):
                grown = f' (+{(value - was) / was:.1%}, allowed {share:.0%})' if was else ''
                yield f'{where}: {name}: {WORDS[figure]}: {was:,} before, {value:,} now{grown}: {RENEW}'


def over_limit(where, now):
    for name, figures in sorted(now.items()):
        if figures['verified'] > LIMIT * NEAR:
            yield f'{where}: {name}: the verifier looks at {figures["verified"]:,} instructions, more than {NEAR:.0%} of its limit of {LIMIT:,}'


def check_object(baseline, now, tool):
    if tool != baseline['compiler']:
        return [], f'compiled with {tool}, the baseline with {baseline["compiler"]}: not compared'
    return list(compare('object', now, baseline['programs'], OWN)), None


def check_kernel(baseline, release, now, tool):
    """(complaints, note)"""
    known = baseline['kernels'].get(series(release))
    complaints = list(over_limit(release, now))
    if not now:
        return [f'{release}: no program was loaded'], None
    if not known:
        return complaints, f'{series(release)} is not in the baseline: held to the limit of the verifier only'
    if tool != baseline['compiler']:
        return complaints, f'compiled with {tool}, the baseline with {baseline["compiler"]}: held to the limit of the verifier only'
    same = known['release'] == release
    share = GROWTH if same else GROWTH_OTHER_RELEASE
    complaints += compare(release, now, known['programs'], {'verified': share, 'xlated': share})
    return complaints, None if same else f'the baseline is of {known["release"]}: up to {share:.0%} more is let pass'


def check(kernel):
    with open(BASELINE, encoding='utf-8') as file:
        baseline = json.load(file)
    if kernel:
        release, path = kernel
        complaints, note = check_kernel(baseline, release, read_figures(path), compiler())
    else:
        complaints, note = check_object(baseline, of_object(), compiler())
    for line in [note] * bool(note) + complaints:
        print(line)
    return 1 if complaints else 0


def renew(paths):
    known, tried = {}, {}
    if os.path.exists(BASELINE):
        with open(BASELINE, encoding='utf-8') as file:
            before = json.load(file)
        known, tried = before['kernels'], before.get('tried', {})
    # of two releases of a series, the one that was tried last
    for path in sorted(paths, key=os.path.getmtime):
        release, kind = os.path.splitext(os.path.basename(path))
        if kind == '.tried':
            tried[series(release)] = read_tried(release, path)
            continue
        figures = read_figures(path)
        if not figures:
            sys.exit(f'baseline.py: {path} has no figures')
        known[series(release)] = {'release': release, 'programs': figures}
    baseline = {'compiler': compiler(), 'programs': of_object(), 'kernels': in_order(known), 'tried': in_order(tried)}
    with open(BASELINE, 'w', encoding='utf-8') as file:
        json.dump(baseline, file, indent='\t')
        file.write('\n')
    return 0


def rows(heads, lines):
    yield '| ' + ' | '.join(heads) + ' |'
    yield '|' + '---|' * len(heads)
    for line in lines:
        yield '| ' + ' | '.join(line) + ' |'


def tables(baseline):
    """{mark: lines}"""
    kernels, programs = baseline['kernels'], sorted(baseline['programs'])
    verified = rows(['program', *(k['release'] for k in kernels.values())],
                    ([f'`{name}`', *(f'{k["programs"][name]["verified"]:,}' if name in k['programs'] else ''
                                     for k in kernels.values())] for name in programs))
    own = rows(['program', *OWN], ([f'`{name}`', *(f'{baseline["programs"][name][figure]:,}' for figure in OWN)]
                                   for name in programs))
    tried = rows(['kernel', 'of Debian', 'in the machine', 'checks', 'failed', 'seen'],
                 ([t['release'], 'bookworm' if t['suite'] == '-' else t['suite'],
                   '; '.join(PARTS[part] for part in t['parts']), str(t['checks']), str(t['failed']), '; '.join(t['seen'])]
                  for t in baseline.get('tried', {}).values()))
    return {'tried': list(tried), 'verified': list(verified), 'programs': list(own)}


def write_tables(text, made):
    for mark, lines in made.items():
        begin, end = f'<!-- made: {mark} -->\n', '<!-- end -->\n'
        head, rest = text.split(begin, 1)
        text = head + begin + '\n'.join(lines) + '\n' + end + rest.split(end, 1)[1]
    return text


def table(path):
    with open(BASELINE, encoding='utf-8') as file:
        made = tables(json.load(file))
    with open(path, encoding='utf-8') as file:
        text = file.read()
    with open(path, 'w', encoding='utf-8') as file:
        file.write(write_tables(text, made))
    return 0


def main(arguments):
    if arguments == ['check']:
        return check(None)
    if len(arguments) == 4 and arguments[:2] == ['check', '--kernel']:
        return check(arguments[2:])
    if arguments[:1] == ['renew']:
        return renew(arguments[1:])
    if len(arguments) == 2 and arguments[0] == 'table':
        return table(arguments[1])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
