"""What the type checkers of users see of keys, the audit, settings, workers and errors: never run, see `tasks`."""

import logging
from typing import assert_type

from runner import (
    Actor,
    ApiKey,
    ApiKeys,
    AuditLine,
    BlockingApiKeys,
    BlockingRunner,
    BlockingTask,
    BulkAction,
    CallersClient,
    Client,
    ClientClosed,
    ConfigurationError,
    CountChanged,
    Finding,
    HttpClient,
    JobFailed,
    JobLogFilter,
    Level,
    MemoryOfKind,
    MemoryStats,
    NewKey,
    Principal,
    Runner,
    ScheduleSpec,
    ScheduleStatus,
    Scope,
    Settings,
    StoreUnavailable,
    SubmissionRefused,
    TaskOptions,
    TooManyBulks,
    UnknownBulk,
    UnknownJob,
    Worker,
    WorkerState,
    acting,
    load_queue,
    load_settings,
)


async def keys_of(client: Client) -> None:
    keys = client.keys
    assert_type(keys, ApiKeys)
    made = await keys.create("billing", preset="producer", tasks=["billing.*"], rate="100/min", expires="30d")
    assert_type(made, NewKey)
    assert_type(made.secret, str)
    assert_type(await keys.list(), list[ApiKey])
    assert_type((await keys.list())[0].scopes, tuple[Scope, ...])
    assert_type(await keys.rotate(made.key.id, grace="1h"), NewKey)
    assert_type(await keys.revoke(made.key.id, "left"), ApiKey)
    assert_type(client.blocking.keys, BlockingApiKeys)


async def audited(client: Client | HttpClient) -> None:
    assert_type(await client.audit(since="1h", target="o-17", most=10), list[AuditLine])
    with acting(Actor("ann", door="admin")):
        await client.control.pause("stripe")


async def as_a_caller(client: Client) -> None:
    caller = CallersClient(client, Principal("t7", frozenset({Scope.jobs_submit}), tenant="t7"))
    await caller.check()


async def examined(client: Client) -> None:
    findings = await client.examine()
    assert_type(findings, list[Finding])
    assert_type(findings[0].level, Level)
    await client.refuse_unfit_server()
    memory = await client.memory(whole=True)
    assert_type(memory, MemoryStats)
    assert_type(memory.kinds, tuple[MemoryOfKind, ...])
    assert_type(client.settings, Settings)
    assert_type(load_settings(concurrency=10), Settings)
    assert_type(load_settings().concurrency, int)


async def at_work(status: ScheduleStatus) -> None:
    jobs = load_queue("shop.tasks:jobs")
    assert_type(jobs.revision, int)
    assert callable(jobs.lifespan)
    worker = Worker(jobs)
    assert_type(worker.state, WorkerState)
    assert_type(worker.state.running, int)
    assert_type(status.spec, ScheduleSpec | None)
    options: TaskOptions = {"retries": 3, "deadline": 60}
    jobs.task(**options)
    logging.getLogger().addFilter(JobLogFilter())
    await jobs.close()


def plainly() -> None:
    jobs = Runner("typing-operations")

    @jobs.task
    async def charge(order: str) -> int:
        return len(order)

    assert_type(jobs.blocking, BlockingRunner)
    plain: BlockingTask[[str], int] = charge.blocking
    assert_type(plain.submit("o-17").result(), int)


async def caught(client: Client) -> None:
    try:
        await (await client.submit("charge", {})).result()
    except (SubmissionRefused, StoreUnavailable, UnknownJob, ClientClosed, ConfigurationError, UnknownBulk, TooManyBulks) as error:
        assert_type(str(error), str)
    except CountChanged as changed:
        assert_type(changed.counted, int)
    except JobFailed as failed:
        assert_type(str(failed), str)
    assert_type(BulkAction("cancel"), BulkAction)
