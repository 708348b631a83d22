"""`python -m tests.again ARGUMENTS`: pytest, and what failed once more, one after the other, with nothing beside it.

For machines that others share. The tests that ran again are listed, with what they said when they failed above: a test that fails
and then passes alone has a cause, too.
"""

import subprocess
import sys

import pytest


class Failed:
    """A plugin that remembers the tests that failed."""

    def __init__(self) -> None:
        self.tests: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self.tests:
            self.tests.append(report.nodeid)


def main(arguments: list[str]) -> int:
    failed = Failed()
    status = pytest.main(arguments, plugins=[failed])
    if status != pytest.ExitCode.TESTS_FAILED or not failed.tests:
        return status
    print("\nfailed, and run again:", *failed.tests, sep="\n    ", flush=True)
    return subprocess.run([sys.executable, "-m", "pytest", *failed.tests], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
