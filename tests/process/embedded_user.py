"""A process that uses the embedded server of a folder: prints `owned` or `attached`, then keeps it until standard input ends."""

import sys
from pathlib import Path

from runner.connection.embedded import EmbeddedServer

if __name__ == "__main__":
    with EmbeddedServer.attach_or_start(Path(sys.argv[1])) as server:
        print("owned" if server.owned else "attached", flush=True)
        sys.stdin.read()
        print("owned" if server.owned else "attached", flush=True)
