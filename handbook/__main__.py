"""`python -m handbook reference | build | serve`: write what is made from the code, build the site, look at it."""

import argparse
import functools
import http.server
import sys

from handbook.build import SITE, BuildFailed, build
from handbook.made import write

PORT = 8090


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m handbook")
    parser.add_argument("command", choices=["reference", "build", "serve"])
    parser.add_argument("--port", type=int, default=PORT, help="of serve, on this machine only")
    words = parser.parse_args()
    if words.command == "reference":
        for path in write():
            print(path)
        return 0
    try:
        build()
    except BuildFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    print(SITE / "index.html")
    if words.command == "serve":
        serve(words.port)
    return 0


def serve(port: int) -> None:
    """Until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    sys.exit(main())
