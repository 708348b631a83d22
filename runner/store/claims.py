"""Claims: what a worker does with jobs: it claims them, brings back what its attempts came to, and gives back what it does not run."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from runner.clock import microseconds, milliseconds
from runner.connection import command, longest_s, translated_errors
from runner.errors import ConfigurationError
from runner.jobs import Amendment, Ending, Outcome, StartedJob
from runner.store import replies, scripts
from runner.store.claimed import Claimed, HeldEntry, check_lease, claimed, held_entries
from runner.store.keys import GROUP
from runner.store.pauses import Pauses
from runner.store.portions import MOST_LET_GO, MOST_PER_CALL, MOST_READ, fitting, portions, weights_of
from runner.store.published import digest_of
from runner.store.queue import run_length_encoded
from runner.store.text import decoded


class Look(IntEnum):
    """Whether a claim looks at the wakes, to start waiting jobs whose tokens have landed."""

    no = 0
    yes = 1
    if_idle = 2
    """If the blocking read before the claim returned nothing."""


class ClaimRequest(NamedTuple):
    """What a worker asks for with a claim: `free` slots to fill.

    First with the `held` entries, which Redis has delivered to this worker already; then, with `read_more`, with what is on the
    streams: `owed` jobs of priority normal and low come before the order of priorities. `alone` says that the worker runs nothing:
    only then does the claim start a job that has lost all but the last of `max_crashes` workers. `unserved`: tasks that the worker has met
    and does not have, each on a line between two line ends ("" if there are none); their jobs are not started, and take no tokens.
    `in_processes`: tasks whose jobs this worker runs in child processes, in the same form: one that lies elsewhere goes to the streams of such
    jobs. A claim `for_children` starts what lies there, and has as many slots as children are free; all others start the rest.
    """

    free: int
    held: Sequence[HeldEntry] = ()
    owed: tuple[int, int] = (0, 0)
    look: Look = Look.yes
    read_more: bool = False
    alone: bool = False
    unserved: str = ""
    in_processes: str = ""
    for_children: bool = False


class Declined(NamedTuple):
    """An entry that a worker holds and does not start.

    error: JSON; the job is a dead letter, as nobody can start it. Without one another worker is to run it, or this one later: `is_busy`.
    """

    held: HeldEntry
    error: bytes = b""
    is_busy: bool = False


class Claims(Pauses):
    """The role of a worker under its lease."""

    tells_times: bool = False
    """Whether `finish` answers when attempts started and from when on they waited: for who counts that."""

    async def enlist(self, worker: str, details: str, serves: Sequence[str] = ()) -> None:
        """Make a worker known: it holds a lease from now on. `details` is JSON for people.

        serves: "t:<task>", "v:<task>:<its version>" and "l:<limit>" for all that its app declares; all workers of one version say the same, and of pools what
        they read: "p:<pool>", and "p:" if the default one is not among them.
        """
        lease_us, digest = microseconds(self.settings.lease_s), ""
        if serves:
            digest = digest_of(sorted(serves))
            for part in portions(sorted(serves)):
                await self._run("serve", part, digest=digest, lease_us=lease_us)
        told: dict[str, scripts.Argument] = {"details": details, "serves": digest, "stuck": 0, "defects": 0, "vitals": ""}
        (status, *_) = await self._run(
            "heartbeat", force=False, is_large=False, worker=worker, lease_us=lease_us, enlist=1, cancelled_from=-1, **told
        )
        if status == b"pools":
            raise ConfigurationError(
                f"this worker reads pools {self.settings.pools}, and queue {self.keys.queue!r} has as many as it can have already:"
                " see them with python -m runner pools; one that is empty and unread goes after a day"
            )

    async def renew(self, worker: str, lease_s: float) -> list[str]:
        """Hold the lease for another `lease_s`; the ids of running jobs that were cancelled. For tests: a worker's heartbeat has a thread of its own.

        Raises `LeaseLost`.
        """
        lease_us = microseconds(lease_s)
        told: dict[str, scripts.Argument] = {"details": "", "serves": "", "stuck": 0, "defects": 0, "vitals": ""}
        status, _, *cancelled = await self._run(
            "heartbeat", force=False, is_large=False, worker=worker, lease_us=lease_us, enlist=0, cancelled_from=0, **told
        )
        check_lease(worker, status)
        return [decoded(job_id) for job_id in cancelled]

    async def claim(self, worker: str, request: ClaimRequest) -> Claimed:
        """Start jobs with their tokens taken, as many as there are slots for. Raises `LeaseLost`."""
        first = self.process_streams_from if request.for_children else 0
        held: list[scripts.Argument] = [part for number, entry, job_id in request.held for part in (number - first, entry, job_id)]
        answer = await self._run("claim", held, force=False, is_large=False, **self._claim_arguments(worker, request))
        return claimed(worker, answer, first)

    async def wait_and_claim(
        self, worker: str, request: ClaimRequest, seen: Sequence[bytes], *, block_s: float
    ) -> tuple[list[HeldEntry], Claimed]:
        """Wait up to `block_s` for ready jobs and start them in one round trip: the entries that the read returned, and what was started.

        The request is sent before the read has replied, so it holds no entries and starts no suspect. It passes `seen`, for each stream
        the latest entry that this worker has seen, and claims everything pending after it.
        """
        # COUNT counts for each stream, so the read asks each for its part of the free slots.
        streams = self._streams[: self.process_streams_from]
        count = min(max(request.free // len(streams), 1), MOST_READ)
        read: list[scripts.Argument] = ["XREADGROUP", "GROUP", GROUP, worker, "COUNT", count, "BLOCK", milliseconds(block_s)]
        read += ["STREAMS", *streams, *[">"] * len(streams)]
        arguments = self._claim_arguments(worker, request, seen=b" ".join(seen[: len(streams)]))
        entries, answer = await self._read_and_run(read, "claim", **arguments)
        held = held_entries(entries, self._number_of)
        if answer is None:
            look = Look.yes if request.look is Look.yes or not held else Look.no
            return held, await self.claim(worker, request._replace(held=held, look=look, read_more=len(held) > 1))
        return held, claimed(worker, answer)

    async def wait_for_process_jobs(self, seen: Sequence[bytes], *, block_s: float) -> list[HeldEntry]:
        """Wait up to `block_s` until a job comes that is to run in a child process: entries after those `seen`, of each stream the last one.

        They are looked at and stay for all workers: none holds them, and another one may start them first.
        """
        streams = self._streams[self.process_streams_from :]
        after = seen[self.process_streams_from :]
        with translated_errors():
            words = ("XREAD", "COUNT", MOST_PER_CALL, "BLOCK", milliseconds(block_s), "STREAMS")
            return held_entries(await command(self._blocking, *words, *streams, *after), self._number_of)

    def _claim_arguments(self, worker: str, request: ClaimRequest, seen: bytes = b"") -> dict[str, scripts.Argument]:
        """The request as claim.lua takes it, apart from the held entries."""
        free, _, (normal_owed, low_owed), look, read_more, alone, unserved, in_processes, for_children = request
        return {
            "worker": worker,
            "free": free,
            "read_more": int(read_more),
            "look": look.value,
            "seen": seen,
            "normal_owed": normal_owed,
            "low_owed": low_owed,
            "alone": int(alone),
            "unserved": unserved,
            "in_processes": in_processes,
            "pools": self._pools_by_slots[for_children],
        }

    async def finish(self, worker: str, outcomes: Sequence[Outcome]) -> replies.FinishAnswers:
        """Record what attempts came to, as many as `fitting_outcomes` says."""
        words = run_length_encoded(outcomes, Outcome.shared, Outcome.own)
        return replies.finish_answers(await self._run("finish", words, worker=worker, tells_times=int(self.tells_times)), len(outcomes))

    async def progress(self, worker: str, reports: Sequence[tuple[str, int, bytes]]) -> None:
        """Write down what handlers say of their progress: job, attempt and `Reported.encoded` of each. Of attempts that have ended it is dropped."""
        for part in portions(reports):
            await self._run("progress", [word for report in part for word in report], worker=worker)

    async def take_ends(self, tasks: Sequence[str], *, announce: bool) -> list[str]:
        """Take the ids of jobs of these tasks that ended otherwise than by an attempt: some of them, and each once, whoever asks.

        announce: say too, for a day, that hooks of these tasks want to know. Without it nobody notes the ends.
        """
        taken: list[str] = []
        for part in portions(tasks):
            ids = await self._run("take_ends", part, budget=MOST_PER_CALL, announce=int(announce))
            taken += [decoded(job_id) for job_id in ids]
        return taken

    def longest_s(self, outcome: Outcome) -> float:
        """Seconds after which sending one outcome has succeeded or failed, however slow the way to Redis is."""
        return longest_s(len(outcome.payload), self.settings.command_timeout_s)

    async def decline(self, worker: str, entries: Sequence[Declined]) -> replies.FinishAnswers:
        """Give back entries that this worker holds and does not start, whatever their records and their ids are like."""
        answers = replies.FinishAnswers(())
        for part in portions(entries, MOST_LET_GO):
            words: list[scripts.Argument] = []
            for (stream, entry, job_id), error, is_busy in part:
                ending = Ending.refused if error else Ending.busy if is_busy else Ending.unknown
                words += [1, stream, ending, 0, self.settings.failed_ttl_ms, "", "", 0, 0, entry, job_id, "", error]
            here = replies.finish_answers(await self._run("finish", words, worker=worker, tells_times=0), len(part))
            answers.refusals.update({len(answers) + place: why for place, why in here.refusals.items()})
            answers += here
        return answers

    async def held(self, worker: str) -> list[HeldEntry]:
        """All entries that Redis has delivered to this worker and that have not been dealt with, by stream and age."""
        found: list[HeldEntry] = []
        for stream in self._streams:
            after = b"0-0"
            while after:
                with translated_errors():
                    reply = await command(
                        self.redis, "XREADGROUP", "GROUP", GROUP, worker, "COUNT", MOST_PER_CALL, "STREAMS", stream, after
                    )
                page = held_entries(reply, self._number_of)
                after = page[-1][1] if page else b""
                found += page
        return found

    async def reconcile(self, worker: str, in_hand: Iterable[StartedJob], kept: Sequence[HeldEntry] = (), *, leave: bool = False) -> int:
        """Give back all that Redis thinks this worker holds except what it has in hand, or has `kept` to start later; how many that were.

        `leave` signs off.
        """
        places = [(job.stream, job.entry) for job in in_hand] + [(stream, entry) for stream, entry, _ in kept]
        held = sorted((stream, _entry_id(entry), entry) for stream, entry in places)
        given_back = at = from_stream = 0
        after = b""
        while True:
            told: list[scripts.Argument] = [part for place, _, entry in held[at : at + MOST_PER_CALL] for part in (place, entry)]
            more = int(len(held) > at + MOST_PER_CALL)
            here, *reached = await self._run(
                "reconcile", told, worker=worker, leave=int(leave), from_stream=from_stream, after=after, more=more
            )
            given_back += int(here)
            if not reached:
                return given_back
            from_stream, after = reached
            at = bisect_right(held, (from_stream, _entry_id(after), after))


def fitting_outcomes(outcomes: Sequence[Outcome]) -> int:
    """How many of these outcomes, from the first on, one call records."""
    return fitting((len(outcome.payload) for outcome in outcomes), weights_of((_changed_buckets(outcome), "") for outcome in outcomes))


def _changed_buckets(outcome: Outcome) -> str:
    """The limits of an outcome after which its job waits again, or gives tokens back."""
    limits = outcome.job.limits
    if outcome.ending is Ending.amended:
        return ";".join(filter(None, (limits, Amendment.read(outcome.payload).limits)))
    if outcome.settled:
        return ";".join(filter(None, (limits, outcome.settled)))  # of a limit whose cost was 0 the bucket is in the latter alone
    return limits if outcome.ending in (Ending.throttled, Ending.returned, Ending.unknown) or "!" in limits else ""


def _entry_id(entry: bytes) -> tuple[int, int]:
    """An entry's id as numbers, which sort in the order of the stream: milliseconds and a count."""
    milliseconds, _, number = entry.partition(b"-")
    return int(milliseconds), int(number)
