# SPDX-License-Identifier: Apache-2.0
"""Rules that are asked of a compiler or of another program."""

import hashlib
import os
import py_compile
import re
import shlex
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

from source import Finding, line_of

# What the Makefile says, or what it says by default.
BUILD = os.environ.get('EBB_BUILD', 'build')
CC = shlex.split(os.environ.get('CC', 'gcc'))
CLANG = shlex.split(os.environ.get('CLANG', 'clang-16'))
CLANG_FORMAT = shlex.split(os.environ.get('CLANG_FORMAT', 'clang-format-16'))
CLANG_TIDY = shlex.split(os.environ.get('CLANG_TIDY', 'clang-tidy-16'))

MESSAGE = re.compile(r'^(?P<path>[^:\s][^:\n]*):(?P<line>\d+):(?:\d+:)? (?P<kind>fatal error|error|warning|note|info|style): '
                     r'(?P<text>.*)$', re.MULTILINE)

# directory of vmlinux/ -> what bpf_tracing.h wants to hear
ARCHITECTURES = {'x86_64': 'x86', 'aarch64': 'arm64'}


def run(tree, command, **more):
    """(status, output) of a command in the root of the tree."""
    try:
        done = subprocess.run(command, cwd=tree.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, **more)
    except FileNotFoundError:
        return 127, f'{command[0]}: not found: run make deps'
    return done.returncode, done.stdout


def findings(tree, path, command, **more):
    """Runs a command that speaks as compilers do; any failure is a finding, also one it does not explain."""
    status, output = run(tree, command, **more)
    found = []
    for match in MESSAGE.finditer(output):
        if match['kind'] != 'note':
            where = os.path.relpath(os.path.join(tree.root, match['path']), tree.root)
            found.append(Finding(where, int(match['line']), match['text']))
    if status != 0 and not found:
        found.append(Finding(path, 1, f'{command[0]}: exit status {status}: {output.strip()[-2000:]}'))
    return found if status != 0 else []


def in_parallel(function, items):
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(function, items):
            yield from found


def check_format(tree):
    files = tree.c_files()
    if files:
        found = findings(tree, files[0], [*CLANG_FORMAT, '--dry-run', '-Werror', *files])
        for path in sorted({finding.path for finding in found}):
            lines = [finding.line for finding in found if finding.path == path]
            yield Finding(path, min(lines), f'{len(lines)} lines are not as clang-format leaves them: make format')


def switched_off(tree):
    """The checks that .clang-tidy names with a minus."""
    return set(re.findall(r'(?m)^[ \t]+-([\w.-]+),?[ \t]*$', tree.text('.clang-tidy')))


def check_tidy(tree):
    off = switched_off(tree)
    flags = ['-std=gnu11', '-D_GNU_SOURCE', '-DEBB_VERSION="0"', '-I.', '-Iuser', f'-I{BUILD}', f'-I{BUILD}/bpf']
    version = run(tree, [*CLANG_TIDY, '--version'])[1]
    clean = os.path.join(tree.root, BUILD, 'lint-clean')
    os.makedirs(clean, exist_ok=True)

    def tidy(path):
        # The analysis takes seconds for each file: what had no finding is not asked again until
        # its text, that of a header, or the checks change.
        status, text = run(tree, [*CLANG, '-E', '-C', path, *flags])
        mark = hashlib.sha256('\0'.join((version, tree.text('.clang-tidy'), path, text)).encode()).hexdigest()
        mark = os.path.join(clean, mark)
        if status == 0 and os.path.exists(mark):
            return []
        found = findings(tree, path, [*CLANG_TIDY, '--quiet', '--warnings-as-errors=*', path, '--', *flags])
        # clang-tidy 16 reports clang-analyzer-core.* although they are off: the analyzer needs them for others
        found = [finding for finding in found if not off & set(re.split(r'[\[\],]', finding.message))]
        if status == 0 and not found:
            with open(mark, 'w', encoding='utf-8'):
                pass
        return found
    yield from in_parallel(tidy, tree.matching(r'(user|tools)/.*\.c$'))


def check_tidy_reasons(tree):
    """Each check that .clang-tidy switches off has its reason beside it: '# NAME: reason'."""
    path = '.clang-tidy'
    if path not in tree.paths:
        return
    text = tree.text(path)
    for name in sorted(switched_off(tree)):
        if not re.search(rf'(?m)^#[ \t]+{re.escape(name)}: \S+ \S+', text):
            yield Finding(path, line_of(text, text.index(f'-{name}')), f"'{name}' is off: say why in a line '# {name}: ...'")


def check_abi(tree):
    """bpf/abi.h compiles alone on both sides, and no padding hides in it."""
    path = 'bpf/abi.h'
    if path not in tree.paths:
        return
    common = ['-std=gnu11', '-fsyntax-only', '-Wall', '-Wextra', '-Wpadded', '-Werror', '-I.', '-x', 'c', '-']
    program = f'#include "{path}"\n'
    commands = [([*CC, *common], program), ([*CLANG, *common], program)]
    for architecture in ARCHITECTURES:
        if os.path.exists(os.path.join(tree.root, 'vmlinux', architecture, 'vmlinux.h')):
            # the kernel's own types have padding, as system headers they may
            commands.append(([*CLANG, '-target', 'bpf', '-isystem', f'vmlinux/{architecture}', *common],
                             '#include <vmlinux.h>\n' + program))
    seen = set()
    for command, text in commands:
        for finding in findings(tree, path, command, input=text):
            if finding not in seen:
                seen.add(finding)
                yield finding


def check_architectures(tree):
    """Every BPF program compiles for each architecture that has kernel types."""
    def compile_bpf(job):
        path, architecture = job
        # written, not only parsed: what the back end refuses counts too
        with tempfile.TemporaryDirectory() as scratch:
            return findings(tree, path, [*CLANG, '-target', 'bpf', '-mcpu=v3', '-O2', '-g', '-Wall', '-Wextra', '-Werror',
                                         f'-D__TARGET_ARCH_{ARCHITECTURES[architecture]}', f'-Ivmlinux/{architecture}',
                                         '-I.', '-c', path, '-o', os.path.join(scratch, 'x.o')])
    yield from in_parallel(compile_bpf, [(path, architecture) for path in tree.matching(r'.*\.bpf\.c$')
                                         for architecture in ARCHITECTURES])


def check_shell(tree):
    files = sorted({*tree.matching(r'.*\.sh$'), *tree.with_shebang('sh', 'bash')})
    if files:
        yield from findings(tree, files[0], ['shellcheck', '--format=gcc', '--external-sources', '--source-path=SCRIPTDIR',
                                             *files])


def check_python(tree):
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted({*tree.matching(r'.*\.py$'), *tree.with_shebang('python3')}):
            try:
                py_compile.compile(os.path.join(tree.root, path), cfile=os.path.join(scratch, 'x.pyc'), dfile=path,
                                   doraise=True)
            except py_compile.PyCompileError as error:
                yield Finding(path, getattr(error.exc_value, 'lineno', 1) or 1, str(error.exc_value))


def check_executable(tree):
    """What begins with '#!' can be run, and what can be run begins with it."""
    for path in tree.paths:
        shebang = tree.text(path).startswith('#!')
        executable = os.access(os.path.join(tree.root, path), os.X_OK)
        if shebang and not executable:
            yield Finding(path, 1, "begins with '#!' but is not executable: chmod +x")
        elif executable and not shebang:
            yield Finding(path, 1, "is executable but does not begin with '#!': chmod -x")


# What is made from which table, and where it lies; the tool knows it by its name.
DOCUMENTS = {
    'metrics': ('docs/metrics.md', 'user/export/metrics.c'),
    'configuration': ('docs/configuration.md', 'user/config/keys.c'),
    'ebb.8': ('docs/man/ebb.8', 'user/cli/manual.c'),
    'ebb.yaml.5': ('docs/man/ebb.yaml.5', 'user/cli/manual.c'),
}
# What only a machine where they are installed can tell.
NOT_HERE = re.compile(r'referenced manual not found|outdated mandoc\.db')


def check_documents(tree):
    """What is made from a table in the code equals the committed copy."""
    tool = os.path.join(BUILD, 'tools', 'docs')
    for name, (path, table) in DOCUMENTS.items():
        if table not in tree.paths:
            continue
        try:
            made = subprocess.run([tool, name], cwd=tree.root, capture_output=True, check=False)
        except FileNotFoundError:
            yield Finding(path, 1, f'{tool} is not built: run make lint, not lint.py')
            return
        if made.returncode != 0:
            yield Finding(path, 1, f'{tool}: {made.stderr.decode(errors="replace").strip()}')
        elif path not in tree.paths:
            yield Finding(path, 1, 'is missing: run make docs')
        elif made.stdout.decode('utf-8', 'surrogateescape') != tree.text(path):
            yield Finding(path, 1, 'differs from the table in the code: run make docs')


def check_manuals(tree):
    """mandoc has nothing to say about the manual pages."""
    for path in sorted(p for p in tree.paths if p.startswith('docs/man/')):
        status, said = run(tree, ['mandoc', '-T', 'lint', path])
        if status == 127:
            yield Finding(path, 1, said)
        for line in said.split('\n'):
            match = re.match(r'mandoc: [^:]+:(\d+):\d+: (.*)', line)
            if match and not NOT_HERE.search(line):
                yield Finding(path, int(match[1]), match[2])
