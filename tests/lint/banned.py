# SPDX-License-Identifier: Apache-2.0
"""What does not go into the code, and why."""

import re

from source import C_TOKEN, Finding, c_code, c_comments, line_of

# name -> what to write instead. Everywhere.
FUNCTIONS = {
    'strcpy': 'it does not know the size of its target: use snprintf or memcpy',
    'strcat': 'it does not know the size of its target: use snprintf',
    'strncpy': 'it may leave its target without an end: use snprintf or memcpy',
    'strncat': 'its size is what is left, not what there is: use snprintf',
    'stpcpy': 'it does not know the size of its target: use snprintf or memcpy',
    'sprintf': 'it does not know the size of its target: use snprintf',
    'vsprintf': 'it does not know the size of its target: use vsnprintf',
    'gets': 'it does not know the size of its target: use fgets or getline',
    'strtok': 'it has hidden state: use strtok_r or strsep',
    'alloca': 'a stack has no way to say no: use an array of fixed size or malloc',
    'atoi': 'it cannot report an error: use the parsers in lib/units.h',
    'atol': 'it cannot report an error: use the parsers in lib/units.h',
    'atoll': 'it cannot report an error: use the parsers in lib/units.h',
    'atof': 'it cannot report an error: use the parsers in lib/units.h',
    'mktemp': 'it can be raced: use mkstemp',
    'tmpnam': 'it can be raced: use mkstemp',
}

# In the product only: a test or a helper may end itself.
PRODUCT = {
    'abort': 'the agent does not die of an error: return it',
    'exit': 'only main ends the program: return an error',
    '_exit': 'only main ends the program: return an error',
    'quick_exit': 'only main ends the program: return an error',
    'system': 'no shell is started',
    'popen': 'no shell is started',
}

# assert() states what a programmer must not do. In core and lib every argument comes from our
# own code, so a violation is a programmer's mistake. Everything else holds data of run time (maps,
# files, sockets, the command line), where the same check would be a way to kill the agent.
ASSERT_IN = re.compile(r'user/(core|lib)/')

MARKERS = re.compile(r'\b(' + '|'.join(('TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK')) + r')\b')
DISABLED = re.compile(r'^[ \t]*#[ \t]*if[ \t]+0\b', re.MULTILINE)
BROKEN_STRING = re.compile(r'(?P<end>..)"[ \t]*\n[ \t]*"')
MESSAGE_CALL = re.compile(r'\b(ebb_(err|err_r|warn|info|debug|log|why|health_set)|\w*printf)\(')
SLEEP_C = re.compile(r'\b(sleep|usleep|nanosleep|clock_nanosleep)[ \t]*\(')
# A process to end is no wait, and a reason beside it is one.
SLEEP_SHELL = re.compile(r'(?:^|[;&|(]|\b(?:do|then|else)\b)[ \t]*sleep\b(?!.*(&[ \t]*$|#[ \t]\w))', re.MULTILINE)


FALLIBLE = re.compile(r'^(?:int|ssize_t)\s+(ebb_\w+)\(', re.MULTILINE)
# They return what they are given, for 'return ebb_err_r(...)'.
ECHOES = {'ebb_why', 'ebb_err_r'}


def product(path):
    return path.startswith(('user/', 'tools/'))


def calls(code, names):
    for match in re.finditer(r'(?<![\w.>])(' + '|'.join(names) + r')[ \t]*\(', code):
        yield line_of(code, match.start()), match[1]


STATEMENT = re.compile(r"""
    (return|goto|break|continue)\b[^.]*;$ |           # a jump
    (if|for|while|switch)\ ?\(.*\)\ ?\{?$ |            # the head of a block
    \}?\ ?(else)?\ ?\{?$(?<=.) |                       # its edges
    (\(void\))?[\w.>-]+\(.*\);$ |                      # a call
    [\w*.>\[\]\ -]+\ [-+*/|&^]?=\ .*;$ |              # an assignment
    (static|const|struct|unsigned|int|char|bool|size_t|u?int\d+_t|__u\d+)\ [\w*\[\],\ ]+;$  # a declaration
    """, re.VERBOSE)


def looks_like_code(line):
    return bool(STATEMENT.match(line.strip()))


def commented_out(comment):
    """Lines of a comment that are code; an example in a block is indented behind its '*'."""
    body = comment[2:-2] if comment.startswith('/*') else comment[2:]
    for offset, line in enumerate(body.split('\n')):
        if re.match(r'[ \t]*\*(\t|  )', line):
            continue
        if looks_like_code(re.sub(r'^[ \t]*\*', '', line)):
            yield offset


def check_functions(tree):
    for path in tree.c_files():
        code = c_code(tree.text(path))
        for line, name in calls(code, FUNCTIONS):
            yield Finding(path, line, f'{name}(): {FUNCTIONS[name]}')
        if product(path) and path != 'user/main.c':
            for line, name in calls(code, PRODUCT):
                yield Finding(path, line, f'{name}(): {PRODUCT[name]}')
        if product(path) and not ASSERT_IN.match(path):
            for line, _ in calls(code, ('assert',)):
                yield Finding(path, line, 'assert() on data of run time: return an error (allowed in user/core and user/lib)')


def check_results(tree):
    """An int of ours is 0 or a negative errno: used, or cast away on purpose. (clang-tidy looks after those of libc.)"""
    names = {name for path in tree.matching(r'user/.*\.h$') for name in FALLIBLE.findall(c_code(tree.text(path)))}
    names -= ECHOES
    if not names:
        return
    call = re.compile(r'\b(' + '|'.join(sorted(names)) + r')\s*\(')
    for path in tree.matching(r'(user|tools)/.*\.[ch]$'):
        code = c_code(tree.text(path))
        for match in call.finditer(code):
            if begins_statement(code[:match.start()].rstrip()):
                yield Finding(path, line_of(code, match.start()),
                              f'the result of {match[1]}() is not used: check it, or cast it to void')


def begins_statement(before):
    """Does a statement begin behind this code?"""
    if before.endswith((';', '}')) or re.search(r'\b(else|do)$', before):
        return True
    if before.endswith('{'):  # a block, or a list of values
        return not re.search(r'[=,({]$', before[:-1].rstrip())
    if not before.endswith(')'):
        return False
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        depth += {')': 1, '(': -1}.get(before[at], 0)
        if depth == 0:  # a condition, else a cast
            return bool(re.search(r'\b(if|while|for|switch)\s*$', before[:at]))
    return False


def check_markers(tree):
    for path in tree.paths:
        text = tree.text(path)
        for match in MARKERS.finditer(text):
            yield Finding(path, line_of(text, match.start()), f'{match[1]}: finish it, or open an issue')


def check_dead_code(tree):
    for path in tree.c_files():
        text = tree.text(path)
        for line, comment in c_comments(text):
            if comment.startswith('//') and not (line == 1 and 'SPDX' in comment):
                yield Finding(path, line, 'a comment stands between /* and */ (but for the SPDX line)')
            for offset in commented_out(comment):
                yield Finding(path, line + offset, 'commented-out code: remove it, git remembers')
        for match in DISABLED.finditer(text):
            yield Finding(path, line_of(text, match.start()), '#if 0: remove it, git remembers')


def check_strings(tree):
    """Messages only: a paragraph of help that is wrapped anyway may be broken."""
    for path in tree.matching(r'(user|tools|bpf)/.*\.[ch]$'):
        text = without_comments(tree.text(path))
        code = c_code(text)
        for match in BROKEN_STRING.finditer(text):
            statement = max(code.rfind(mark, 0, match.start()) for mark in ';{}')
            if match['end'] != '\\n' and MESSAGE_CALL.search(code, statement + 1, match.start()):
                yield Finding(path, line_of(text, match.start()),
                              'a message is broken across lines: people grep for messages')


def without_comments(text):
    def replace(match):
        return re.sub(r'[^\n]', ' ', match[0]) if match[0].startswith('/') else match[0]
    return C_TOKEN.sub(replace, text)


def check_sleeps(tree):
    """A reason in a comment on the same line is accepted."""
    message = 'sleep: wait for a condition with a deadline, or turn a fake clock, or say beside it why not'
    for path in tree.matching(r'tests/unit/.*\.c$'):
        text = tree.text(path)
        lines, code = text.split('\n'), c_code(text)
        for match in SLEEP_C.finditer(code):
            line = line_of(code, match.start())
            if '/*' not in lines[line - 1]:
                yield Finding(path, line, message)
    for path in tree.matching(r'tests/(unit|bpf|e2e)/.*\.sh$'):
        text = re.sub(r'(?m)^[ \t]*#.*', '', tree.text(path))
        for match in SLEEP_SHELL.finditer(text):
            yield Finding(path, line_of(text, match.end()), message)
