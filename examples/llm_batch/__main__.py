"""The batch from a terminal, with a provider and a worker in this process: `python -m examples.llm_batch --help`."""

import argparse
import asyncio
import json
import logging
import os
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from examples.llm_batch import tasks
from examples.llm_batch.batch import Answers, AnswersTaken, Prompt, answered, answers_in, asked_again
from examples.llm_batch.provider import Provider
from examples.llm_batch.tasks import jobs
from examples.local_server import serving
from runner import JobFailed, RunnerError

LINE_EVERY_S = 2.0
PACE_LINES = 15
"""The pace is that of so many lines: half a minute."""
QUESTION = "Is this review good, fair or poor? Say one word."


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.llm_batch")
    parser.add_argument(
        "prompts", nargs="?", type=Path, help='a file with a line {"id": ..., "prompt": ...} for each; else some are made up'
    )
    parser.add_argument("--count", type=int, default=10_000, help="how many are made up (10000)")
    parser.add_argument("--out", type=Path, default=Path("answers.jsonl"), help="the file for the answers (answers.jsonl)")
    parser.add_argument("--name", default="reviews", help="of the batch: under another one all prompts are asked anew")
    parser.add_argument("--again", action="store_true", help="ask the prompts once more that have failed for good")
    return parser.parse_args()


def prompts_of(given: argparse.Namespace) -> list[Prompt]:
    if given.prompts is None:
        return [Prompt(f"{n:05}", f"{QUESTION} {'It came late, and works. ' * (n % 20)}#{n}") for n in range(given.count)]
    return [Prompt(row["id"], row["prompt"]) for row in map(json.loads, given.prompts.read_text().splitlines())]


@asynccontextmanager
async def some_provider() -> AsyncGenerator[Provider | None]:
    """The one that LLM_URL names, or one on loopback where halfway through somebody else uses up the tokens of the organisation."""
    if "LLM_URL" in os.environ:
        yield None
        return
    provider = Provider(tasks.requests_a_minute, tasks.tokens_a_minute, others_at=3_000)
    async with serving(provider) as url:
        os.environ["LLM_URL"] = f"{url}/v1"
        print(f"a provider on loopback, LLM_URL={url}/v1")
        yield provider


class Progress:
    """Says every two seconds how far the batch is."""

    def __init__(self, answers: Answers, total: int) -> None:
        self._answers, self._total = answers, total
        self._began_s = time.monotonic()
        self._next_s = 0.0
        self._lines = deque[tuple[float, int]](maxlen=PACE_LINES)
        """When there were how many answers."""

    def show(self, *, at_once: bool = False) -> None:
        passed_s = time.monotonic() - self._began_s
        if passed_s < self._next_s and not at_once:
            return
        self._next_s = passed_s + LINE_EVERY_S
        count, used = len(self._answers.ids), self._answers.used
        line = f"{passed_s:5.1f} s  {count:>6,} of {self._total:,}  {used.total:>9,} tokens  {self._answers.eur:.4f} EUR"
        print(line + self._pace(passed_s, count), flush=True)

    def _pace(self, now_s: float, count: int) -> str:
        """Answers a second of late, and how long the others take at that. Nothing is known at the first line."""
        self._lines.append((now_s, count))
        then_s, before = self._lines[0]
        if count == before:
            return ""
        rate, left = (count - before) / (now_s - then_s), self._total - count
        return f"  {rate:3.0f}/s" + (f"  {left / rate:4.0f} s left" if left else "")


async def run(given: argparse.Namespace, prompts: list[Prompt], answers: Answers) -> int:
    """Returns how many prompts have got no answer."""
    if answers.ids:
        print(f"{len(answers.ids):,} answers are in {given.out} already")
    failures = list[JobFailed]()
    async with some_provider() as provider, jobs.running(worker=True):
        if given.again:
            print(f"{await asked_again(given.name):,} prompts that had failed are asked once more")
        progress = Progress(answers, len(prompts))
        async with aclosing(answered(given.name, prompts, answers)) as outcomes:
            async for failure in outcomes:
                if failure is not None:
                    failures.append(failure)
                progress.show()
        progress.show(at_once=True)
        for failure in failures[:10]:
            print(failure, file=sys.stderr)
        rows = [row for series in await jobs.client.history("t:complete", since="1h") for row in series.rows]
        print(
            f"attempts tried again {sum(row.retried for row in rows)}, told to wait {sum(row.throttled for row in rows)}, in the last hour"
        )
        if provider is not None:
            print("the provider's bill:", ", ".join(f"{name} {count:,}" for name, count in (await provider.bill()).items()))
    return len(failures)


def main() -> int:
    given = arguments()
    logging.basicConfig(filename=given.out.with_suffix(".log"), format="%(asctime)s %(message)s")
    try:
        with answers_in(given.out) as answers:
            failed = asyncio.run(run(given, prompts_of(given), answers))
    except KeyboardInterrupt:
        print(f"\nstopped: the answers so far are in {given.out}; the same command goes on from there", file=sys.stderr)
        return 130
    except (AnswersTaken, OSError, RunnerError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{given.out} has them all"
        if not failed
        else f"{failed} prompts have got no answer: the same command with --again asks them once more"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
