"""The app that is measured, for `--app bench.programs.app:app`."""

from bench.workload import QUEUE, build
from runner import load_settings

app = build(QUEUE, load_settings())
