# SPDX-License-Identifier: Apache-2.0
"""unittest that speaks TAP, so that tests/lib/run.py counts its results.

    import tap

    class Something(unittest.TestCase):
        def test_behaviour(self): ...

    if __name__ == '__main__':
        tap.main()
"""

import sys
import unittest


class TapResult(unittest.TestResult):
    """One line for each test, at once; the reason of a failure below it, behind '# '."""

    def __init__(self):
        super().__init__()
        self.number = 0
        self.reasons = []

    def line(self, word, test, directive=''):
        self.number += 1
        print(f'{word} {self.number} - {test.id().split(".", 1)[-1]}{directive}')
        for reason in self.reasons:
            for text in reason.splitlines():
                print(f'# {text}')
        sys.stdout.flush()

    def startTest(self, test):
        super().startTest(test)
        self.reasons = []

    def stopTest(self, test):
        if self.reasons:
            self.line('not ok', test)
        super().stopTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line('ok', test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.reasons.append(self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        if isinstance(test, unittest.TestCase):
            self.reasons.append(self.errors[-1][1])
        else:  # setUpClass, setUpModule: no test of its own
            self.reasons = [self.errors[-1][1]]
            self.line('not ok', test)
            self.reasons = []

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.reasons.append(f'{subtest}\n{self._exc_info_to_string(err, test)}')

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line('ok', test, f' # SKIP {reason}')


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__'])
    result = TapResult()
    suite.run(result)
    print(f'1..{result.number}')
    sys.exit(0 if result.wasSuccessful() else 1)
