#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a connection goes, as a picture: a flame graph with the system calls at its top.

usage: perf script -F ip,sym | flame.py REQUEST SVG >SHARES

Each frame is as wide as the share of the samples in which it was on the stack; left to right means nothing. A chain of
functions that only call each other is one frame, whose tooltip names them all. No script in the picture; readable on light
and on dark paper. REQUEST is what 'ebb-bench request' said, which knows where the programs were: perf may take one for another. SHARES is JSON: which share each of our programs has, and what is called for their sake.
"""

import bisect
import collections
import html
import json
import re
import sys

WIDTH, ROW, LETTER = 1200, 17, 6.1
LEAST = 0.003  # of all samples: what is narrower is left to its caller
LEAST_OURS = 0.001  # and what is there for the sake of programs
WHOLE = 0.97  # of a frame: a child that has so much of it is drawn in its place

PROGRAM = re.compile(r'bpf_prog_[0-9a-f]{16}_(\w+)$')
CALLS = ('socket', 'connect', 'setsockopt', 'accept4', 'sendto', 'recvfrom', 'close')  # of a connection with one request, and of nothing else
SYSTEM_CALL = re.compile(r'__(?:x64|arm64)_sys_(\w+)$')
ENTRY = re.compile(r'entry_SYSCALL|do_syscall_64|x64_sys_call|el0|invoke_syscall|do_el0_svc')
# what the kernel does only since programs are there
HOOK = re.compile(r'__cgroup_bpf_run_|tcp_call_bpf|bpf_skops_|bpf_sk_storage_(?:free|get)|bpf_local_storage|bpf_selem|tcp_bpf_rtt|'
                  r'bpf_prog_run_array_cg')

STYLE = '''
text { font: 11px ui-monospace, monospace; fill: #1f2328; pointer-events: none } .words { font: 13px system-ui, sans-serif }
rect { stroke: #fff; stroke-width: .6 } rect:hover { stroke: #1f2328; stroke-width: 1.5 }
.kernel { fill: #d5dde8 } .call { fill: #b3c7e6 } .hook { fill: #f5d9a8 } .ours { fill: #f39c4a } .user { fill: #c6e2c6 }
@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } rect { stroke: #0d1117 } rect:hover { stroke: #f0f6fc }
.kernel { fill: #30394a } .call { fill: #33517f } .hook { fill: #6b5218 } .ours { fill: #b0560c } .user { fill: #2f5233 } }
'''
LEGEND = (('call', 'system call'), ('kernel', 'kernel'), ('hook', 'kernel, for the sake of programs'), ('ours', "ebb's programs"),
          ('user', 'outside of the kernel'))


class Programs:
    """Where the programs are: the name of the nearest one below an address, if it is near enough to be in it."""
    LONGEST = 1 << 17

    def __init__(self, symbols):
        self.symbols = sorted((address, name) for address, name in symbols)
        self.addresses = [address for address, _ in self.symbols]

    def name(self, address, name):
        at = bisect.bisect_right(self.addresses, address) - 1
        return self.symbols[at][1] if at >= 0 and address - self.addresses[at] < self.LONGEST else name


def stacks(lines, programs):
    """[outermost, ..., innermost] of each sample, of what perf script prints: a line for each frame, innermost first, blank lines between."""
    frames = []
    for line in lines:
        words = line.split()
        if words:
            frames.append(programs.name(int(words[0], 16), words[1] if len(words) > 1 else '[unknown]'))
        elif frames:
            yield frames[::-1]
            frames = []
    if frames:
        yield frames[::-1]


def tidied(frames):
    """As it is drawn: what enters the kernel is the system call's; programs have their own names; outside of the kernel is one frame.
    Empty: it is not of a connection."""
    calls = [i for i, name in enumerate(frames) if SYSTEM_CALL.match(name)]
    if not calls:
        entered = next((i for i, name in enumerate(frames) if ENTRY.match(name)), None)
        return ['the way into a system call and out'] if entered is not None else ['outside of the kernel']
    call = SYSTEM_CALL.match(frames[calls[0]])[1]
    if call not in CALLS:
        return []
    found = [call + '()']
    for name in frames[calls[0] + 1:]:
        program = PROGRAM.match(name)
        found.append(program[1] + ' (bpf)' if program else name)
    return found


class Frame:
    def __init__(self, name):
        self.name, self.samples, self.children = name, 0, {}

    def add(self, frames):
        self.samples += 1
        if frames:
            self.children.setdefault(frames[0], Frame(frames[0])).add(frames[1:])


def tree(samples):
    root = Frame('')
    for frames in samples:
        root.add(frames)
    return root


def is_ours(name):
    return name.endswith(' (bpf)')


def kind(name, inside):
    """The class in the style. Of what one of our programs calls, all is for its sake."""
    if is_ours(name):
        return 'ours'
    if inside in ('ours', 'hook') or HOOK.match(name):
        return 'hook'
    if name.endswith('()'):
        return 'call'
    return 'user' if ' ' in name else 'kernel'


def chain(frame):
    """The frame that is drawn in place of this one, and the names of all between."""
    names = [frame.name]
    while not is_ours(frame.name) and not frame.name.endswith('()'):
        most = max(frame.children.values(), key=lambda child: child.samples, default=None)
        if not most or most.samples < WHOLE * frame.samples or is_ours(most.name) or bool(HOOK.match(most.name)) != bool(HOOK.match(frame.name)):
            break
        frame = most
        names.append(frame.name)
    return frame, names


def boxes(frame, total, x=0.0, depth=0, inside=''):
    """(x, depth, share, names, class) of all that is wide enough, from the left to the right, widest first."""
    for child in sorted(frame.children.values(), key=lambda c: (-c.samples, c.name)):
        share = child.samples / total
        if share < (LEAST_OURS if is_ours(child.name) or HOOK.match(child.name) else LEAST):
            continue
        drawn, names = chain(child)
        css = kind(names[-1], inside)
        yield x, depth, share, names, css
        yield from boxes(drawn, total, x, depth + 1, css)
        x += share


def box(x, depth, share, names, css, top):
    left, width, y = x * WIDTH, share * WIDTH, top + depth * ROW
    letters = int((width - 5) / LETTER)
    name = names[-1].removesuffix(' (bpf)')
    # one letter less says that there is more
    label = name if len(name) <= letters else name[:letters - 1] + '…' if letters > 3 else ''
    title = ' → '.join(n.removesuffix(' (bpf)') for n in names)
    yield f'<g><title>{html.escape(title)}: {share:.1%}</title>'
    yield f'<rect class="{css}" x="{left:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" rx="1"/>'
    if label:
        yield f'<text x="{left + 3:.1f}" y="{y + 12}">{html.escape(label)}</text>'
    yield '</g>'


def picture(root):
    found, top = list(boxes(root, root.samples)), 30
    height = top + ROW * (1 + max(depth for _, depth, _, _, _ in found)) + 4
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
           f'aria-label="Where the time of a governed connection with one request goes">')
    yield f'<style>{STYLE}</style>'
    x = 2
    for css, words in LEGEND:
        yield f'<rect class="{css}" x="{x}" y="7" width="11" height="11" rx="1"/><text class="words" x="{x + 16}" y="17">{html.escape(words)}</text>'
        x += 40 + int(len(words) * 6.6)
    for found_box in found:
        yield from box(*found_box, top)
    yield '</svg>'


def shares(samples):
    """Of all samples: those in each of our programs (and what it calls), those in what the kernel does around them, and the functions
    in which our programs and what they call are found, each by itself."""
    programs, inside, around, total = collections.Counter(), collections.Counter(), 0, 0
    for frames in samples:
        total += 1
        first = next((i for i, name in enumerate(frames) if is_ours(name)), None)
        if first is not None:
            program = frames[first].removesuffix(' (bpf)')
            programs[program] += 1
            inside[program + ': ' + frames[-1].removesuffix(' (bpf)')] += 1
        elif any(HOOK.match(name) for name in frames):
            around += 1
    return {'samples': total, 'around': around / total, 'programs': {name: n / total for name, n in programs.most_common()},
            'inside': {name: n / total for name, n in inside.most_common(30)}}


def main():
    if len(sys.argv) != 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding='utf-8') as file:
        request = json.load(file)
    if not request['symbols']:
        print('flame.py: programs have no names: sysctl net.core.bpf_jit_kallsyms=1', file=sys.stderr)
        return 1
    samples = [frames for frames in map(tidied, stacks(sys.stdin, Programs(request['symbols']))) if frames]
    if not samples:
        print('flame.py: no samples', file=sys.stderr)
        return 1
    with open(sys.argv[2], 'w', encoding='utf-8') as file:
        file.write('\n'.join(picture(tree(samples))) + '\n')
    json.dump({'cpu_ns': request['cpu_ns'], **shares(samples)}, sys.stdout)
    return 0


if __name__ == '__main__':
    sys.exit(main())
