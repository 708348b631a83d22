"""What the type checkers of users see of the verbs of both clients: never run, see `tasks`."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, assert_type

from runner import (
    BatchForesight,
    BatchHandle,
    BatchNotOpen,
    BatchProgress,
    BlockingBatchHandle,
    BlockingBulks,
    BlockingClient,
    BlockingControl,
    BlockingHttpClient,
    BlockingPauses,
    BlockingRawResult,
    BlockingScheduleControl,
    BudgetPace,
    Bulks,
    Client,
    Control,
    DeadLetterGroup,
    DeadlineOutOfReach,
    Foresight,
    HistoryRow,
    HistoryStep,
    HttpBulks,
    HttpClient,
    HttpControl,
    HttpPauses,
    HttpScheduleControl,
    JobCounts,
    JobEvent,
    JobFilter,
    JobHandle,
    JobOptions,
    JobPage,
    JobRequest,
    JobStatus,
    LimitStatus,
    Pauses,
    PoolStatus,
    RawResult,
    ScheduleControl,
    Series,
    ServerFacts,
    Spans,
    Spending,
    SpentBy,
    SpentRow,
    State,
    TaskSpec,
    TaskStatus,
    WorkerStatus,
)


async def submitted(client: Client | HttpClient) -> None:
    assert_type(await client.submit("charge", {"order": "o-17"}, JobOptions(deadline=60, tags=["import"])), JobHandle[Any])
    assert_type(await client.foresee("charge", {"order": "o-17"}, JobOptions(deadline=60)), Foresight)
    assert_type(client.blocking.foresee("charge", {}).eta_s, float | None)
    assert_type(await client.foresee_many([JobRequest("charge", {})]), BatchForesight)
    assert_type(client.blocking.foresee_many([JobRequest("charge", {})]).end_eta_s, float | None)
    try:
        await client.submit("charge", {}, JobOptions(deadline=60))
    except DeadlineOutOfReach as late:
        assert_type(late.earliest_s, float)
    request = JobRequest("charge", {"order": "o-17"}, JobOptions(priority="high"))
    assert_type(await client.submit_many([request], return_conflicts=True), list[JobHandle[Any]])
    JobOptions(deadline="60")  # type: ignore[arg-type]
    JobOptions(timeout=60)  # type: ignore[arg-type]
    JobRequest("charge")  # type: ignore[call-arg]


async def asked(client: Client | HttpClient) -> None:
    assert_type(await client.status("o-17"), JobStatus)
    assert_type(await client.statuses(["o-17"], payloads=False), list[JobStatus | None])
    assert_type(await client.explain(await client.status("o-17")), list[str])
    assert_type(await client.wait("o-17", 60), JobStatus)
    assert_type(await client.cancel("o-17"), JobStatus)
    assert_type(await client.retry("o-17", ignore_parents=True), JobStatus)
    job = client.job("o-17", result=int)
    assert_type(job, JobHandle[int])
    assert_type(await job.result(), int)
    assert_type(job.changes(), AsyncGenerator[JobStatus, None])
    assert_type(await job.raw_result(), RawResult)
    assert_type(job.blocking.raw_result(), BlockingRawResult)
    assert_type(client.events("0"), AsyncGenerator[JobEvent, None])
    assert_type(await client.latest_event(), str)
    await client.check()
    await client.close()


async def listed(client: Client | HttpClient) -> None:
    page = await client.jobs(JobFilter(state="failed", task="billing.*"), cursor=None, most=100)
    assert_type(page, JobPage)
    assert_type(page.jobs, tuple[JobStatus, ...])
    assert_type(page.jobs[0].state, State)
    counts = await client.job_counts(JobFilter(tag="import"))
    assert_type(counts, JobCounts)
    assert_type(counts.succeeded, int | None)
    assert_type(await client.dead_letters(), list[DeadLetterGroup])
    assert_type(await client.tasks(), list[TaskStatus])
    assert_type((await client.remove_task("old")).spec, TaskSpec | None)
    assert_type(await client.limits(), list[LimitStatus])
    assert_type(await client.workers(), list[WorkerStatus])
    assert_type(await client.pools(), list[PoolStatus])
    assert_type(await client.server(), ServerFacts)
    JobFilter(stat="failed")  # type: ignore[call-arg]


async def remembered(client: Client | HttpClient) -> None:
    series = await client.history("charge", step="hour", since="24h")
    assert_type(series, list[Series])
    assert_type(await client.history(step=HistoryStep.minute), list[Series])
    assert_type(series[0].rows, tuple[HistoryRow, ...])
    assert_type(series[0].rows[0].waited, Spans)
    assert_type(await client.history_series(), list[str])
    assert_type(await client.spent("usd", by="task", since="7d"), Spending)
    assert_type((await client.spent("usd", by=SpentBy.day)).rows, tuple[SpentRow, ...])
    assert_type(await client.budget("usd"), BudgetPace | None)
    assert_type(await client.metrics(), tuple[bytes, str])


async def followed(client: Client | HttpClient) -> None:
    batch = client.open_batch("import-17")
    assert_type(batch, BatchHandle)
    assert_type(await batch.wait(60), BatchProgress)
    assert_type(batch.blocking, BlockingBatchHandle)
    assert_type((await batch.progress()).then, str | None)
    assert_type(await client.begin_batch("import-17", then=JobRequest("report", {}), size=17, on_failure="run"), BatchHandle)
    assert_type(await batch.seal(), BatchProgress)
    try:
        await client.submit("load", {}, JobOptions(batch="import-17"))
    except BatchNotOpen as error:
        assert_type(error.index, int)
    assert_type(await client.batches(most=10), list[BatchProgress])


def parts_of(direct: Client, over_http: HttpClient) -> None:
    assert_type(direct.control, Control)
    assert_type(over_http.control, HttpControl)
    assert_type(direct.pauses, Pauses)
    assert_type(over_http.pauses, HttpPauses)
    assert_type(direct.schedules, ScheduleControl)
    assert_type(over_http.schedules, HttpScheduleControl)
    assert_type(direct.bulk, Bulks)
    assert_type(over_http.bulk, HttpBulks)
    assert_type(direct.queue, str)
    assert_type(over_http.url, str)


def followed_in_plain_code(client: BlockingClient | BlockingHttpClient) -> None:
    batch = client.open_batch("import-17")
    assert_type(batch, BlockingBatchHandle)
    assert_type(batch.id, str)
    assert_type(batch.wait(60), BatchProgress)
    assert_type(batch.progress(), BatchProgress)
    assert_type(batch.cancel(), BatchProgress)
    assert_type(client.begin_batch(), BlockingBatchHandle)
    assert_type(batch.seal(), BatchProgress)
    assert_type(client.batches(most=10), list[BatchProgress])


def in_plain_code(direct: BlockingClient, over_http: BlockingHttpClient) -> None:
    assert_type(Client("shop").blocking, BlockingClient)
    assert_type(HttpClient("https://jobs.example.com", key="secret").blocking, BlockingHttpClient)
    assert_type(direct.jobs(JobFilter(tag="import")), JobPage)
    assert_type(over_http.jobs(JobFilter(tag="import")), JobPage)
    assert_type(direct.job_counts(), JobCounts)
    assert_type(direct.dead_letters(), list[DeadLetterGroup])
    assert_type(over_http.tasks(), list[TaskStatus])
    assert_type(direct.pools(), list[PoolStatus])
    assert_type(direct.history("charge"), list[Series])
    assert_type(direct.spent("usd"), Spending)
    assert_type(over_http.budget("usd"), BudgetPace | None)
    assert_type(direct.metrics(), tuple[bytes, str])
    assert_type(direct.control, BlockingControl)
    assert_type(direct.pauses, BlockingPauses)
    assert_type(direct.schedules, BlockingScheduleControl)
    assert_type(direct.bulk, BlockingBulks)


def read(row: HistoryRow, counts: JobCounts) -> None:
    assert_type(row.ran.percentile(0.99), float | None)
    assert_type(row.submitted, int)
    assert_type(counts.waiting_for, Mapping[str, int])
