# SPDX-License-Identifier: Apache-2.0
"""What documents name is there: files, headings, commands and their options, messages, alerts."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'docs'))

from documents import blocks  # noqa: E402
from source import Finding, line_of  # noqa: E402

LINK = re.compile(r'(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s#]*)(?:#(?P<anchor>[^)\s]*))?\)|!\[[^\]\n]*\]\((?P<image>[^)\s]+)\)')
FENCED = re.compile(r'^ {0,3}```.*?^ {0,3}```[ \t]*$', re.MULTILINE | re.DOTALL)
HEADING = re.compile(r'^#{1,6} +(.*?) *#*$', re.MULTILINE)
# Paths of this repository; where there is a placeholder it is none.
PATH = re.compile(r'`(?P<path>(?:bpf|user|tests|docs|deploy|helm|dashboards|tools|vmlinux|\.ci)/[\w./+-]+)`')
PLACEHOLDER = re.compile(r'[A-Z]{3,}|\.\.\.')


def prose(text):
    """The text with as many empty lines in place of code."""
    return FENCED.sub(lambda match: '\n' * match[0].count('\n'), text)


def anchors(text):
    """The names that a browser of repositories gives to headings."""
    found, seen = set(), {}
    for heading in HEADING.findall(prose(text)):
        plain = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading).lower()
        name = re.sub(r'[^\w\- ]', '', plain).replace(' ', '-')
        found.add(f'{name}-{seen[name]}' if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return found


def check_links(tree):
    """Links and pictures lead to a file, and to a heading in it."""
    for path in tree.matching(r'.*\.md$'):
        text = prose(tree.text(path))
        for match in LINK.finditer(text):
            target = match['target'] or match['image'] or ''
            if re.match(r'[a-z]+:', target):
                continue
            there = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
            line = line_of(text, match.start())
            if not os.path.exists(os.path.join(tree.root, there)):
                yield Finding(path, line, f"link to '{target}', which does not exist")
            elif match['anchor'] and there.endswith('.md') and match['anchor'] not in anchors(tree.text(there)):
                yield Finding(path, line, f"link to '{target}#{match['anchor']}': there is no such heading")


def check_paths(tree):
    """A path of this repository that a document names is there."""
    for path in tree.matching(r'.*\.md$'):
        if path == 'docs/changelog.md':  # of what was, too
            continue
        text = prose(tree.text(path))
        for match in PATH.finditer(text):
            name = match['path']
            if not PLACEHOLDER.search(name) and not os.path.exists(os.path.join(tree.root, name)) \
                    and not os.path.exists(os.path.join(tree.root, name + '.c')):
                yield Finding(path, line_of(text, match.start()), f"'{name}' does not exist")


MANUAL = 'docs/man/ebb.8'


def commands_of(manual):
    """{'limit set': {'--pin', ...}} from the manual page, which is made from the table of commands."""
    found = {}
    for section in re.split(r'^\.Ss ', manual, flags=re.MULTILINE)[1:]:
        name = section.split('\n', 1)[0]
        if name.startswith('ebb '):
            options = re.findall(r'^\.It Fl (?:\w , +Fl )?\\-([\w\\-]+)', section, re.MULTILINE)
            short = re.findall(r'^\.It Fl (\w) ,', section, re.MULTILINE)
            found[name[4:]] = {'--' + option.replace('\\-', '-') for option in options} \
                | {'-' + letter for letter in short} | {'--help', '-h'}
    return found


def lines_of_shell(block):
    """(line, text) of what may be a command; of what is printed, nothing."""
    if block.language == 'console':
        for number, command, _ in block.commands():
            yield number, command
    elif block.language in ('sh', 'setup', ''):
        for number, line in enumerate(block.text.split('\n'), block.line):
            yield number, line


def wrong_use(line, commands):
    """What is wrong with this line's use of ebb, or None."""
    match = re.match(r'(?:sudo )?ebb (?P<words>[^|;&#>]*)', line)
    if not match:
        return None
    words = match['words'].split()
    if not words or words[0] in ('--help', '--version') or '--help' in words or not re.match(r'[a-z]+$', words[0]):
        return None
    name = ' '.join(words[:2]) if ' '.join(words[:2]) in commands else words[0]
    if name not in commands:
        return f"there is no command 'ebb {name}'"
    for word in words:
        option = word.split('=')[0]
        if re.match(r'--?[a-z]', option) and option not in commands[name]:
            return f"'ebb {name}' has no option '{option}'"
    return None


def check_commands(tree):
    """Commands that documents show are commands of ebb, with options that they have; what is not run says why."""
    if MANUAL not in tree.paths:
        return
    commands = commands_of(tree.text(MANUAL))
    for path in tree.matching(r'.*\.md$'):
        for block in blocks(tree.text(path)):
            if 'not run' in block.notes and len(block.notes['not run']) < 8:
                yield Finding(path, block.line, "why is it not run? '<!-- not run: REASON -->'")
            if block.language in ('sh', 'console'):
                script = '\n'.join(text for _, text in lines_of_shell(block))
                done = subprocess.run(['bash', '-n'], input=script, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    yield Finding(path, block.line, f'bash does not understand it: {done.stderr.strip()}')
            for line, text in lines_of_shell(block):
                wrong = wrong_use(text, commands)
                if wrong:
                    yield Finding(path, line, f'{wrong}: {MANUAL}')


TROUBLES = 'docs/troubleshooting.md'


def literals(tree):
    """Every string of the code, where adjacent ones are one."""
    for path in tree.matching(r'(user|bpf)/.*\.[ch]$'):
        for run in re.findall(r'(?:"(?:\\.|[^"\\\n])*"\s*(?:PRI\w+\s*)?)+', tree.text(path)):
            yield ''.join(re.findall(r'"((?:\\.|[^"\\\n])*)"', run))


def check_messages(tree):
    """A message that is explained is one of the code: '...' stands for what differs."""
    if TROUBLES not in tree.paths:
        return
    text = tree.text(TROUBLES)
    known = [re.sub(r'%(?:[-0-9.*]*(?:l|ll|z)?[a-zA-Z])|%" ?PRI\w+ ?"', '...', literal) for literal in literals(tree)]
    for match in re.finditer(r'^### `(.*)`$', prose(text), re.MULTILINE):
        parts = [part for part in match[1].split('...') if len(part.strip()) > 2]
        if not any(all(part in literal for part in parts) for literal in known):
            yield Finding(TROUBLES, line_of(text, match.start()), f"no message of the code is '{match[1]}'")


def check_runbooks(tree):
    """Each alert has a runbook, and each runbook an alert."""
    rules = tree.matching(r'deploy/prometheus/.*\.ya?ml$')
    alerts = {}
    for path in rules:
        text = tree.text(path)
        for match in re.finditer(r'^\s*(?:- )?"?alert"?:\s*"?(\w+)"?', text, re.MULTILINE):
            alerts.setdefault(match[1], (path, line_of(text, match.start())))
    books = {os.path.basename(path)[:-3]: path for path in tree.matching(r'docs/runbooks/Ebb\w+\.md$')}
    if not alerts:
        return
    for name, (path, line) in alerts.items():
        if name not in books:
            yield Finding(path, line, f'no docs/runbooks/{name}.md: what is to be done about it?')
    for name, path in books.items():
        if name not in alerts:
            yield Finding(path, 1, f"there is no alert '{name}'")
