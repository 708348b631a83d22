"""The HTTP service of a queue: submit, ask, wait and cancel over HTTP. It uses only the public names of `runner`."""
