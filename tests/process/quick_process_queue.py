"""The process queue of the examples, in seconds instead of tens of them."""

from examples.process_queue import build

app, jobs = build(every=1, work=1)
