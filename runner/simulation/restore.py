"""restored: the lines and buckets of a snapshot, to be played on."""

from runner.simulation.buckets import ServedBucket
from runner.simulation.claims import FAR, look_of
from runner.simulation.line import Line
from runner.simulation.lines import Lines
from runner.simulation.order import Order
from runner.simulation.snapshot import BucketSnapshot, LineSnapshot, Snapshot
from runner.simulation.work import Job, LineName, Work

_NO_WINDOW = 1 << 52
"""All that is released starts at once."""


def restored(snapshot: Snapshot, most_jobs: int) -> Lines:
    """Lines that go on from a snapshot, each with `most_jobs` of its jobs at most. A job's tenant is the name of its line."""
    limits = {limit.name: limit for limit in (*snapshot.limits, *(row.limit for row in snapshot.buckets))}
    lines = Lines(limits.values(), _NO_WINDOW, snapshot.now_us, snapshot.least_share)
    for row in snapshot.buckets:
        lines.buckets.add(_bucket(row, snapshot))
    lines.claims.given = max((line.number for line in snapshot.lines), default=0)
    for line_row in snapshot.lines:
        _add_line(lines, line_row, most_jobs)
    for row in snapshot.buckets:
        if row.wake_us is not None:
            lines.buckets.wakes.set(row.name, row.wake_us)
    return lines


WAITING = "waiting now"


def resumed(snapshot: Snapshot, run_us: int, most_jobs: int) -> Lines:
    """The same, of jobs that run so long. The tenant of one is the share that its line is of, with the words that it was there before."""
    lines = restored(snapshot, most_jobs)
    for line in lines.known.values():
        share = line.name.name.partition("@")[2].partition("#")[0].partition("*")[0]
        tenant = f"{share} ({WAITING})" if share else f"({WAITING})"
        jobs = [job._replace(work=job.work._replace(tenant=tenant, submitted_us=snapshot.now_us, duration_us=run_us)) for job in line.jobs]
        line.jobs.clear()
        line.jobs.extend(jobs)
    return lines


def _bucket(row: BucketSnapshot, snapshot: Snapshot) -> ServedBucket:
    """What is released takes its tokens now. Lines that the snapshot does not have are left out of its order."""
    known = {line.name for line in snapshot.lines}
    bucket = row.limit.bucket_of(row.stored, snapshot.now_us) if row.stored else row.limit.full_bucket(snapshot.now_us)
    if row.reserved:
        bucket.take(row.reserved, snapshot.now_us, "released")
    order = Order(snapshot.least_share)
    order.turns, order.clocks, order.insertions = row.turns, list(row.clocks), row.insertions
    for name, score in row.waiting:
        if name in known:
            order.put_by_score(LineName.of(name), score)
    served = ServedBucket(row.name, row.limit, bucket, order)
    served.closed_until_us, served.aside, served.until_us = row.closed_until_us, row.aside, row.until_us
    return served


def _add_line(lines: Lines, row: LineSnapshot, most_jobs: int) -> None:
    line = Line(row.name, [lines.buckets[need.bucket] for need in row.heads[0]])
    works = [Work(row.name, 0, 0, needs, row.name) for needs in row.heads]
    for number in range(min(row.jobs, most_jobs)):
        line.jobs.append(Job(f"{row.name}#{number}", works[min(number, len(works) - 1)]))
    line.note_costs()
    line.number, line.due_us, line.missed, line.latest = row.number, row.due_us, row.missed, line.needs[row.latest]
    for need, known in zip(line.needs, row.needs, strict=False):
        need.had, need.saved, need.until_us = known.had, known.saved, known.until_us
        if row.number and known.in_book:
            lines.claims.write(line, need, row.number + (FAR if known.is_far else 0))
    for need in line.needs if len(line.needs) > 1 else ():
        need.stands = line.name in need.bucket.order
    lines.known[row.name] = line
    if row.look_us is not None:
        lines.buckets.wakes.set(look_of(line), row.look_us)
