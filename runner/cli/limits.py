"""The commands about limits: list, show, change, pause, resume, freeze, release and reset them in a running queue."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Annotated

import typer

from runner.cli.live import show_live
from runner.cli.output import columns, say, say_json
from runner.cli.queue_client import AnyClient, Target, about_queue
from runner.cli.spending_text import spending_lines
from runner.cli.times import TIME
from runner.clock import MICROSECONDS, wall_us
from runner.errors import Forbidden
from runner.jobs import BudgetPace, SpentBy, frozen, overridden, paused, span, was_reset
from runner.limits import BucketStatus, LimitStatus, SharedStatus
from runner.store import WaitingLine

app = typer.Typer(help="See limits, and change them in a running queue.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="Name of the limit.")]
Bucket = Annotated[str, typer.Argument(help='The bucket: the limit\'s name, or with a key like "tenant/t7".')]
Reason = Annotated[str, typer.Option(help="Why; shown with every job that waits.")]

_STATE = ("TOKENS", "WAITING", "NEXT TOKEN")
_HEAD_OF_A_LINE = 10


@app.command("list")
@about_queue
def list_limits(target: Target) -> None:
    """List every limit: its numbers, what overrides them, tokens, and jobs that wait."""
    limits = target.ask(lambda client: client.limits())
    if target.json:
        for limit in limits:
            say_json(limit.document())
        return
    if not limits:
        say("no limits: no worker of this queue has published any")
        return
    now_s = wall_us() / MICROSECONDS
    for line in columns([("LIMIT", "ALLOWS", *_STATE, "STATE", "NOTE"), *(row for limit in limits for row in rows_of(limit, now_s))]):
        say(line)


@app.command()
@about_queue
def show(
    target: Target,
    name: Name,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again each second, with the head of its line, until Ctrl-C.")] = False,
) -> None:
    """Show one limit and its buckets."""
    if not watch or target.json:
        limit, pace = target.ask(lambda client: _with_pace(client, name))
        if target.json:
            say_json(limit.document() | ({"budget": pace.document()} if pace else {}))
            return
        for line in details(limit, wall_us() / MICROSECONDS, pace):
            say(line)
        return

    async def ask(client: AnyClient, most: int | None) -> Sequence[str]:
        (limit, pace), line = await _with_pace(client, name), await client.waiting_line(name, most=_HEAD_OF_A_LINE)
        return [*details(limit, wall_us() / MICROSECONDS, pace), *head_of(line)][:most]

    show_live(target, ask, once=False)


@app.command()
@about_queue
def spent(
    target: Target,
    name: Name,
    by: Annotated[SpentBy, typer.Option(help="What each line is about; a tenant is a key.")] = SpentBy.task,
    since: Annotated[str, typer.Option(help="Only the last of it, like 7d: whole days of UTC, up to 62.")] = "30d",
) -> None:
    """Print what was spent of a budget, a quota with a unit, by task, by key or by day."""
    found = target.ask(lambda client: client.spent(name, by=by, since=since))
    if target.json:
        say_json(found.document())
        return
    for line in spending_lines(found):
        say(line)


@app.command("set")
@about_queue
def set_limit(
    target: Target,
    name: Name,
    rate: Annotated[str | None, typer.Option(help='Tokens per time, like "10/s".')] = None,
    burst: Annotated[int | None, typer.Option(help="Most tokens of a smooth bucket.")] = None,
    capacity: Annotated[int | None, typer.Option(help="Most tokens, slots or starts.")] = None,
    refill: Annotated[int | None, typer.Option(help="Tokens of each interval.")] = None,
    every: Annotated[float | None, typer.Option(**TIME, help='Time of an interval: seconds, or "1m".')] = None,
    per: Annotated[float | None, typer.Option(**TIME, help='Length of a sliding window: seconds, or "1m".')] = None,
    duration: Annotated[
        float | None,
        typer.Option(**TIME, help='Time after which the numbers of the code are back: seconds, or "1h". Else until restored.'),
    ] = None,
    reason: Reason = "",
) -> None:
    """Replace the numbers of a limit at once, for every worker. Jobs that wait get a new time."""
    numbers = {"rate": rate, "burst": burst, "capacity": capacity, "refill": refill, "every": every, "per": per}
    _act(target, lambda client: client.control.override(name, duration=duration, reason=reason, **numbers))


@app.command()
@about_queue
def restore(target: Target, name: Name) -> None:
    """Go back to the numbers in the code."""
    _act(target, lambda client: client.control.restore(name))


@app.command()
@about_queue
def pause(target: Target, name: Name, reason: Reason = "") -> None:
    """Let no more jobs start under a limit. Jobs that wait stay in line."""
    _act(target, lambda client: client.control.pause(name, reason))


@app.command()
@about_queue
def resume(target: Target, name: Name) -> None:
    """End the pause of a limit."""
    _act(target, lambda client: client.control.resume(name))


@app.command()
@about_queue
def freeze(
    target: Target,
    bucket: Bucket,
    duration: Annotated[
        str, typer.Argument(help='Seconds, or as the provider said it ("6m0s"); a shorter freeze never shortens a longer one.')
    ],
    reason: Reason = "",
) -> None:
    """Let nothing start at a bucket for some seconds, then one probe, then the normal rate."""
    _act(target, lambda client: client.control.freeze(bucket, duration, reason))


@app.command()
@about_queue
def reset(
    target: Target,
    bucket: Bucket,
    key: Annotated[str, typer.Argument(help="The key, if it is not part of the bucket.")] = "",
    reason: Reason = "",
) -> None:
    """Forgive what was spent: debts, windows and quotas begin anew. Slots stay with the jobs that run."""
    name = f"{bucket}/{key}" if key else bucket
    _act(target, lambda client: client.control.reset(name, reason))


@app.command()
@about_queue
def release(target: Target, bucket: Bucket) -> None:
    """End a freeze before its time."""
    _act(target, lambda client: client.control.release(bucket))


def _act(target: Target, change: Callable[[AnyClient], Awaitable[LimitStatus]]) -> None:
    limit = target.ask(change)
    if target.json:
        say_json(limit.document())
        return
    for line in details(limit, wall_us() / MICROSECONDS):
        say(line)


def rows_of(limit: LimitStatus, now_s: float) -> Iterator[tuple[str, ...]]:
    """A limit in the list: a row of its own, and one for each bucket if it has a key."""
    notes = _notes(limit, now_s)
    if limit.code.key is None and limit.buckets:
        (bucket,) = limit.buckets
        yield (limit.name, limit.policy.words, *_state(limit, bucket), limit.state.words, "; ".join([*notes, *_freeze(bucket, now_s)]))
        return
    yield (limit.name, limit.policy.words, "", _count(limit), "", limit.state.words, "; ".join(notes))
    for bucket in limit.buckets:
        yield (f"  {bucket.bucket}", "", *_state(limit, bucket), "", "; ".join(_freeze(bucket, now_s)))
    if limit.buckets_not_shown:
        yield (f"  and {limit.buckets_not_shown} more", "", "", "", "", "", "")


async def _with_pace(client: AnyClient, name: str) -> tuple[LimitStatus, BudgetPace | None]:
    """A limit, and of a budget when it ends, if the caller may read the history."""
    limit = await client.control.show(name)
    if limit.policy.unit is not None and limit.policy.key is None:
        with suppress(Forbidden):
            return limit, await client.budget(limit)
    return limit, None


def details(limit: LimitStatus, now_s: float, pace: BudgetPace | None = None) -> Iterator[str]:
    """A limit by itself: what is in force and why, then its buckets."""
    key = "" if limit.code.key is None else f", a bucket for each {limit.code.key}"
    yield f"{limit.name}: {limit.policy.kind.replace('_', ' ')}, {limit.policy.words}{key}; {limit.state.words}"
    yield from (f"  {note}" for note in _notes(limit, now_s))
    if pace is not None:
        yield f"  {pace}"
    if limit.waiting_buckets:
        yield f"  {_who_waits(limit)}"
    if limit.shared is not None:
        yield from _sharers(limit.shared)
    rows = [("BUCKET", *_STATE, "NOTE")]
    rows += [(bucket.bucket, *_state(limit, bucket), "; ".join(_freeze(bucket, now_s))) for bucket in limit.buckets]
    if len(rows) > 1:
        for line in columns(rows):
            yield f"  {line}"
        if limit.buckets_not_shown:
            yield f"  and {limit.buckets_not_shown} more buckets that jobs wait for"
    else:
        yield "  no job waits at any of its buckets"


def _sharers(shared: SharedStatus) -> Iterator[str]:
    """Who has what of a limit that several queues share."""
    yield f"  shared in scope {shared.scope}: {shared.tokens} tokens that no queue has, {shared.out} in their hands"
    rows = [("QUEUE", "IN HAND", "USED A MINUTE", "WANTED", "LAST HEARD")]
    rows += [(one.queue, str(one.in_hand), str(one.used_per_minute), str(one.wanted), f"{span(one.heard_s)} ago") for one in shared.queues]
    if len(rows) > 1:
        yield from (f"    {line}" for line in columns(rows))


def head_of(line: WaitingLine) -> Iterator[str]:
    """The first of those who wait at a bucket, in the order in which they are served."""
    if not line.jobs:
        return
    yield f"  next at {line.bucket}"
    rows = [("PLACE", "JOB", "TASK", "COST", "PRIORITY", "WAITED", "STARTS IN")]
    for job in line.jobs:
        waited = "" if job.waited_s is None else span(job.waited_s)
        starts = "unknown" if job.eta_s is None else span(job.eta_s)
        rows.append((str(job.place), job.id or "of others", job.task or "", str(job.cost), job.priority, waited, starts))
    yield from (f"  {text}" for text in columns(rows))


def _state(limit: LimitStatus, bucket: BucketStatus) -> tuple[str, str, str]:
    """The columns of `_STATE`."""
    coming = f"in {span(bucket.next_token_s)}" if bucket.next_token_s else "" if bucket.next_token_s == 0 else "unknown"
    tokens = limit.policy.left_words(bucket.tokens) if limit.code.shared is None else f"{bucket.tokens} in hand"
    return tokens, _count(bucket), coming


def _count(of: LimitStatus | BucketStatus) -> str:
    return f"about {of.waiting}" if of.waiting_is_estimate else str(of.waiting)


def _who_waits(limit: LimitStatus) -> str:
    jobs = f"{_count(limit)} {'job waits' if limit.waiting == 1 else 'jobs wait'}"
    if limit.code.key is None:
        return jobs
    return f"{jobs} at {limit.waiting_buckets} {'bucket' if limit.waiting_buckets == 1 else 'buckets'}"


def _notes(limit: LimitStatus, now_s: float) -> list[str]:
    """Notes on all buckets of a limit."""
    notes = [paused(limit.paused, now_s)] if limit.paused else []
    notes += [overridden(limit, limit.override, now_s)] if limit.override else []
    notes += [was_reset(limit.reset, now_s)] if limit.reset else []
    return notes + _freeze(limit, now_s)


def _freeze(what: LimitStatus | BucketStatus, now_s: float) -> list[str]:
    notes = [frozen(what.frozen_s, what.frozen_reason, now_s)] if what.frozen_s else []
    told = what.provider if isinstance(what, BucketStatus) else None
    return (
        notes
        if told is None
        else [*notes, f"provider says {told.left} left, we had {told.had}, {span(max(now_s - told.at.timestamp(), 0))} ago"]
    )
