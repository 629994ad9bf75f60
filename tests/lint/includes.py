# SPDX-License-Identifier: Apache-2.0
"""Dependencies run one way: a file includes its own layer or a lower one.

    main, agent, cli, tools          4  entry points
    export, config, node, tell, report  3  edges
    core | kernel                    2  pure core | kernel gateway: never each other
    lib                              1  no knowledge of the product
    bpf/abi.h                        0  the one header that both sides include

The kernel gateway alone speaks to libbpf, its loader alone knows the skeleton, and the
core has neither clock nor I/O.
"""

import re

from source import Finding, c_code, line_of

LAYERS = {'lib': 1, 'core': 2, 'kernel': 2, 'export': 3, 'config': 3, 'node': 3, 'tell': 3, 'report': 3, 'cli': 4, 'agent': 4,
          'main': 4, 'tools': 4}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?P<form>["<])(?P<target>[^">]+)[">]', re.MULTILINE)
LIBBPF_CALL = re.compile(r'\b((?:bpf_(?:map|link|prog|obj|object|program|btf|iter|enable)|libbpf|btf|ring_buffer)_\w+)'
                         r'\s*\(')
# What would bring a clock, threads or I/O into the core.
IMPURE = re.compile(r'(time|unistd|fcntl|poll|pthread|signal|dirent|threads)\.h$|sys/|bpf/|net|arpa/')

# A simulation, and what stands before our own sinks, ask the very gate that the kernel asks: functions of their
# arguments alone.
GATE = {'user/core/simulate.c': 'bpf/gate.h', 'user/export/guard.c': 'bpf/gate.h'}

# Made by the build: from the page, and from the tables of databases.
MADE = {'user/export/http_page.c': 'page.h', 'user/export/migration.c': 'migrations.h'}

SKELETON = 'ebb.skel.h'
LOADER = 'user/kernel/loader.c'


def folder(path):
    """The folder of layers that a file of ours belongs to, or None."""
    if path.startswith('tools/'):
        return 'tools'
    match = re.match(r'user/(?:(\w+)/)?', path)
    return (match[1] or 'main') if match else None


def check_user(tree, path, form, target):
    own = folder(path)
    if own not in LAYERS:
        return f"folder '{own}' has no layer: give it one in tests/lint/includes.py"
    if form == '<':
        if target.startswith('bpf/') and own != 'kernel':
            return f'<{target}>: only user/kernel speaks to libbpf'
        if own == 'core' and IMPURE.match(target):
            return f'<{target}>: the core has no clock and does no I/O'
        return None
    if target == SKELETON:
        return None if path == LOADER else f'"{target}": only {LOADER} includes the skeleton'
    if target == MADE.get(path):
        return None
    if target.startswith('bpf/'):
        return None if target in ('bpf/abi.h', GATE.get(path)) else f'"{target}": bpf/abi.h is the one header both sides include'
    theirs, slash, _ = target.partition('/')
    if not slash or theirs not in LAYERS:
        return f'"{target}": name it from user/, as in "core/policy.h"'
    if {own, theirs} == {'core', 'kernel'}:
        return f'"{target}": core and kernel do not include each other'
    if LAYERS[theirs] > LAYERS[own]:
        return f'"{target}": layer {LAYERS[theirs]} is above {own}, layer {LAYERS[own]}'
    if f'user/{target}' not in tree.paths:
        return f'"{target}": there is no user/{target}'
    return None


def check_bpf(path, form, target):
    if path == 'bpf/abi.h' and target != 'linux/types.h':
        return f"'{target}': bpf/abi.h includes nothing but <linux/types.h>"
    if form == '"' and target != 'vmlinux.h' and not target.startswith('bpf/'):
        return f'"{target}": a BPF program includes vmlinux.h, <bpf/...> and "bpf/..." only'
    return None


def check(tree):
    for path in tree.c_files():
        text = tree.text(path)
        for match in INCLUDE.finditer(text):
            message = None
            if path.startswith('bpf/'):
                message = check_bpf(path, match['form'], match['target'])
            elif folder(path):
                message = check_user(tree, path, match['form'], match['target'])
            if message:
                yield Finding(path, line_of(text, match.start()), message)
        if folder(path) and folder(path) != 'kernel':
            code = c_code(text)
            for match in LIBBPF_CALL.finditer(code):
                yield Finding(path, line_of(code, match.start()), f'{match[1]}(): only user/kernel speaks to libbpf')
