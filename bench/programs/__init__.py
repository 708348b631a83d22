"""Programs that bench/program.py starts: each says `ready`, starts at a line of input, and stops when its input ends."""

import asyncio
import sys


async def standard_input() -> asyncio.StreamReader:
    """The orders of whoever started this process."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader
