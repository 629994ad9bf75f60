# SPDX-License-Identifier: Apache-2.0
"""What the lint rules share: the files of the tree, and C text without comments or strings."""

import os
import re
import subprocess
from typing import NamedTuple

# Generated, taken from elsewhere, or made to be wrong; their own rules do not apply.
FOREIGN = re.compile(r'^(vmlinux/[^/]+/vmlinux\.h|LICENSE|LICENSES/.*|tests/fuzz/corpus/.*)$')

C_TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


class Finding(NamedTuple):
    path: str
    line: int
    message: str

    def __str__(self):
        return f'{self.path}:{self.line}: {self.message}'


class Tree:
    """The files of one tree, by paths relative to its root."""

    def __init__(self, root):
        self.root = root
        self.paths = [path for path in self.list() if not FOREIGN.match(path)]
        self.texts = {}

    def list(self):
        listed = subprocess.run(['git', '-C', self.root, 'ls-files', '-z', '--cached', '--others',
                                 '--exclude-standard'], capture_output=True, text=True, check=False)
        if listed.returncode == 0:
            found = listed.stdout.split('\0')
        else:  # unpacked from a tar file
            found = (os.path.relpath(os.path.join(directory, name), self.root)
                     for directory, _, names in os.walk(self.root) for name in names)
        return sorted({path for path in found
                       if path and not path.startswith('build/') and os.path.isfile(os.path.join(self.root, path))
                       and not os.path.islink(os.path.join(self.root, path))})

    def text(self, path):
        if path not in self.texts:
            with open(os.path.join(self.root, path), 'rb') as file:
                self.texts[path] = file.read().decode('utf-8', 'surrogateescape')
        return self.texts[path]

    def matching(self, pattern):
        expression = re.compile(pattern)
        return [path for path in self.paths if expression.match(path)]

    def c_files(self):
        return self.matching(r'.*\.[ch]$')

    def with_shebang(self, *interpreters):
        for path in self.paths:
            first = self.text(path).partition('\n')[0]
            if first.startswith('#!') and re.split(r'[/ ]', first)[-1] in interpreters:
                yield path


def line_of(text, offset):
    return text.count('\n', 0, offset) + 1


def blank(text):
    """The same number of characters and lines, nothing else."""
    return re.sub(r'[^\n]', ' ', text)


def c_code(text):
    """C text with comments and what is in quotes blanked out; line numbers stay."""
    def replace(match):
        token = match[0]
        if token[0] in '"\'':
            return token[0] + blank(token[1:-1]) + token[-1]
        return blank(token)
    return C_TOKEN.sub(replace, text)


def c_comments(text):
    """(line, comment) of each comment."""
    for match in C_TOKEN.finditer(text):
        if match[0].startswith('/'):
            yield line_of(text, match.start()), match[0]
