"""`python -m api`: serve the app of api.main, with the options, the messages and the shutdown of `python -m runner api`."""

import sys

from api.main import build
from runner.cli import main

if __name__ == "__main__":
    main(["api", *sys.argv[1:]], build=build)
