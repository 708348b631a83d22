"""The program behind `python -m runner` and the command `runner`."""

import sys

from runner.errors import MissingExtra
from runner.garbage import put_off

try:
    with put_off():
        from runner.cli import main
except MissingExtra as error:
    sys.stderr.write(f"runner: {error}\n")
    sys.exit(2)

if __name__ == "__main__":
    main()
