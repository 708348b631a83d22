"""A provider that says with each answer what is left, and other clients of the same account. An app that calls it, and the provider's books.

python -m tests.outside.shared_door --seconds 120            # with `sync_limit`
python -m tests.outside.shared_door --seconds 120 --deaf     # without
python -m tests.outside.shared_door --form github            # as another provider says it, see account_forms
"""

import argparse
import asyncio
import json
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import httpx

from runner import Runner, TokenBucket, raise_rate_limited, sync_limit
from tests.eventually import PATIENCE_S
from tests.outside.account_forms import FORMS, Form
from tests.outside.metered_door import Work, backlog
from tests.topologies import until

RATE, BURST = 20.0, 60
OTHERS = (2.0, 14.0)
"""What other clients start a second, by turns of 20 s, each call at a time of its own."""
TURN_S = 20.0
WINDOW_S = 10.0
"""Of a provider whose tokens come back together."""
APP = "tests.outside.shared_door:jobs"
_FORM = FORMS[os.environ.get("DOOR_FORM", "none")]


@asynccontextmanager
async def connected(_: Runner[httpx.AsyncClient]) -> AsyncIterator[httpx.AsyncClient]:
    """A client that is told, and with DOOR_DEAF one that is not."""
    told = [] if os.environ.get("DOOR_DEAF") else [sync_limit(provider.name, counter=_FORM.counter)]
    hooks = {"response": [*told, raise_rate_limited(provider.name)]}
    async with httpx.AsyncClient(base_url=os.environ["DOOR_URL"], timeout=60, event_hooks=hooks) as http:
        yield http


jobs = Runner("shared-door", lifespan=connected)
provider = (
    TokenBucket("provider", capacity=int(RATE * WINDOW_S), refill=int(RATE * WINDOW_S), every=WINDOW_S)
    if _FORM.has_windows and not os.environ.get("DOOR_SMOOTH")
    else TokenBucket("provider", rate=f"{RATE:.0f}/s", burst=int(RATE) if _FORM.has_windows else BURST)
)


@jobs.task(limits=[provider], retries=0)
async def call(number: int) -> None:
    """One call."""
    await jobs.state.get("/call")


class Door:
    """The provider: a bucket, or windows, from which others take, too. It runs in a thread of its own."""

    def __init__(self, seed: int, form: Form) -> None:
        self._draw = random.Random(seed)
        self._form = form
        self._most = RATE * WINDOW_S if form.has_windows else float(BURST)
        self._tokens, self._at_s = self._most, time.monotonic()
        self.taken: list[float] = []
        self.refused: list[float] = []
        self.others: list[float] = []
        self.overflow: list[tuple[float, float]] = []
        """Tokens that nobody took while the bucket was full, with the instant."""
        self.port = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        others = self._loop.create_task(self._other_clients())
        self._ready.set()
        self._loop.run_forever()
        server.close()
        left = [others, *(task for task in asyncio.all_tasks(self._loop) if task is not others)]
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def _take(self, book: list[float]) -> bool:
        now_s = time.monotonic()
        if not self._form.has_windows:
            self._tokens, self._at_s = self._tokens + (now_s - self._at_s) * RATE, now_s
        elif now_s >= self._at_s + WINDOW_S:
            windows = int((now_s - self._at_s) / WINDOW_S)
            self._tokens, self._at_s = self._tokens + windows * self._most, self._at_s + windows * WINDOW_S
        if self._tokens > self._most:
            self.overflow.append((now_s, self._tokens - self._most))
            self._tokens = self._most
        if self._tokens < 1:
            return False
        self._tokens -= 1
        book.append(now_s)
        return True

    async def _other_clients(self) -> None:
        began_s = time.monotonic()
        due_s = began_s
        while True:
            rate = OTHERS[int((due_s - began_s) / TURN_S) % len(OTHERS)]
            due_s += self._draw.expovariate(rate)
            await asyncio.sleep(max(due_s - time.monotonic(), 0))
            self._take(self.others)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                is_taken = self._take(self.taken)
                if not is_taken:
                    self.refused.append(time.monotonic())
                status = "200 OK" if is_taken else "429 Too Many Requests"
                await asyncio.sleep(0.01)
                full_s = self._at_s + WINDOW_S - time.monotonic() if self._form.has_windows else (self._most - self._tokens) / RATE
                fields = {**self._form.write(int(self._tokens), max(full_s, 0.0)), "content-length": "2"}
                head = "".join(f"{name}: {text}\r\n" for name, text in fields.items())
                writer.write(f"HTTP/1.1 {status}\r\n{head}\r\nok".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Books(NamedTuple):
    """use: what we got of what others have left. refused_a_minute: of our calls."""

    seconds: float
    ours: int
    others: int
    refused: int
    refused_a_minute: float
    use: float


@contextmanager
def _opened(seed: int, form: Form) -> Iterator[Door]:
    door = Door(seed, form)
    door.start()
    try:
        yield door
    finally:
        door.stop()


def books(
    seconds: float,
    *,
    form: str = "none",
    deaf: bool = False,
    smooth: bool = False,
    workers: int = 2,
    seed: int = 1,
    settling_s: float = 10.0,
) -> Books:
    """The books of so many seconds, after a while in which the first burst passes, with a backlog that never ends."""
    with _opened(seed, FORMS[form]) as door:
        given = {
            "DOOR_URL": f"http://127.0.0.1:{door.port}",
            "DOOR_DEAF": "1" if deaf else "",
            "DOOR_FORM": form,
            "DOOR_SMOOTH": "1" if smooth else "",
        }
        with backlog(Work(APP, jobs.queue, "call", int((seconds + settling_s) * RATE * 1.5)), given, workers=workers):
            until(lambda: bool(door.taken), within_s=PATIENCE_S)
            from_s = door.taken[0] + settling_s
            until_s = from_s + seconds
            time.sleep(max(until_s - time.monotonic(), 0))
    ours, others, refused = (sum(from_s <= at < until_s for at in book) for book in (door.taken, door.others, door.refused))
    return Books(seconds, ours, others, refused, round(refused * 60 / seconds, 2), round(ours / (seconds * RATE - others), 3))


def main() -> None:
    """Print the books as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--form", choices=FORMS, default="none", help="how the provider says what is left")
    parser.add_argument("--smooth", action="store_true", help="declare a provider with windows as a smooth bucket with a small burst")
    parser.add_argument("--deaf", action="store_true", help="without sync_limit")
    options = parser.parse_args()
    found = books(options.seconds, form=options.form, smooth=options.smooth, deaf=options.deaf, workers=options.workers, seed=options.seed)
    print(json.dumps({"form": options.form, "smooth": options.smooth, "deaf": options.deaf, **found._asdict()}))


if __name__ == "__main__":
    main()
