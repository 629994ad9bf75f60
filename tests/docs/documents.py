# SPDX-License-Identifier: Apache-2.0
"""Markdown as the tests of the documents read it: blocks of code with what a comment says of them.

A comment that ends in the line before a block says what the tests do with it:

    <!-- not run: REASON -->       looked at, not run: it needs a cluster, a terminal, another machine
    <!-- file: /etc/ebb/ebb.yaml --> the block is written to this file
    <!-- shows: COMMAND -->        the block is what this command prints
    <!-- varies: REASON -->        it is run, and what it prints is not compared
    <!-- status: N -->             each of its commands ends with this status, not with 0

Two comments may stand anywhere, and are not seen by a reader of the page:

    <!-- setup                     commands of bash, with the functions of world.sh
    ...
    -->
    <!-- world: none -->           nothing of this document is run

A block of 'sh' is commands. In a block of 'console' what follows '$ ' is a command, and the
rest is what it prints; a line '...' stands for any number of lines. Of a command that is shown
without what it prints, only the status is looked at.
"""

import re
from dataclasses import dataclass, field

FENCE = re.compile(r'^(?P<indent> {0,3})```(?P<language>\w*)[ \t]*$')  # indented: in a list
COMMENT = re.compile(r'^ {0,3}<!--[ \t]*(?P<name>[a-z ]+?)(?::[ \t]*(?P<value>.*?))?[ \t]*-->[ \t]*$')
RUN_LANGUAGES = ('sh', 'console')


@dataclass
class Block:
    """Code of a document; language is '' for what is indented, 'setup' for a comment."""
    language: str
    line: int  # of its first line of code, from 1
    text: str
    notes: dict = field(default_factory=dict)

    def commands(self):
        """[(line, command, what it prints)]; of 'sh' and 'setup' one command, the whole block."""
        if self.language != 'console':
            return [(self.line, self.text, None)]
        found = []
        for number, line in enumerate(self.text.split('\n')[:-1], self.line):
            if line.startswith('$ '):
                found.append([number, line[2:], []])
            elif found and line.startswith('> ') and not found[-1][2]:
                found[-1][1] += '\n' + line[2:]
            elif found:
                found[-1][2].append(line)
            else:
                found.append([number, 'false # a block of console begins with a command', []])
        return [tuple(command) for command in found]


def blocks(text):
    """Every block of a document, in its order."""
    found, notes, lines = [], {}, text.split('\n')
    number = 0
    while number < len(lines):
        line = lines[number]
        fence = FENCE.match(line)
        comment = COMMENT.match(line)
        if fence or line.strip() == '<!-- setup':
            end = number + 1
            closing = '```' if fence else '-->'
            indent = fence['indent'] if fence else ''
            while end < len(lines) and lines[end].strip() != closing:
                end += 1
            found.append(Block(fence['language'] or 'text' if fence else 'setup', number + 2,
                               ''.join(code.removeprefix(indent) + '\n' for code in lines[number + 1:end]), notes))
            notes, number = {}, end
        elif comment:
            notes = {**notes, comment['name']: comment['value'] or ''}
        elif line.startswith('    ') and (number == 0 or not lines[number - 1].strip()):
            end = number
            while end < len(lines) and (lines[end].startswith('    ') or not lines[end].strip()):
                end += 1
            found.append(Block('', number + 1, ''.join(code[4:] + '\n' for code in lines[number:end]), notes))
            notes, number = {}, end - 1
        elif line.strip():
            notes = {}
        number += 1
    return found


def is_run(block):
    return (block.language in RUN_LANGUAGES and 'not run' not in block.notes) or block.language == 'setup' \
        or 'file' in block.notes or 'shows' in block.notes


def has_world(text):
    """Is anything of this document run?"""
    return any(is_run(block) for block in blocks(text))


NUMBER = re.compile(r'(?<![A-Za-z_])-?(?:\d[\d.,:]*(?:e[-+]?\d+)?[ ]?(?:[num]?s|min|[mhd]|[kMG]i?B|B|%)?)+(?![A-Za-z_])')
IDENTITY = re.compile(r'\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b|\b\d{9,}\b')


def masked(line):
    """A line without what differs from one run to the next: numbers, times, identities, blanks."""
    line = re.sub(r'\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*Z?', '#', line)
    line = NUMBER.sub('#', IDENTITY.sub('#', line))
    # a window is empty, and its cell a dash, until the next tick
    line = re.sub(r'^(\s*window\s).*', r'\1#', re.sub(r'# of #|(?<=\s)-(?=\s|$)', '#', line))
    line = re.sub(r'#(?:[ \t]*#)+', '#', re.sub(r'[ \t]+', ' ', line))
    return line.strip()


def matches(wanted, got):
    """Are these lines, masked, those that a document shows? '...' is any number of them."""
    if not wanted:
        return not got
    if wanted[0].strip() == '...':
        return any(matches(wanted[1:], got[skipped:]) for skipped in range(len(got) + 1))
    return bool(got) and masked(wanted[0]) == masked(got[0]) and matches(wanted[1:], got[1:])
