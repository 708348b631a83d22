"""The worst that acts upon many jobs can meet."""

from bench.script_time.stopwatch import Act
from bench.script_time.workshop import Workshop, worst_case
from runner.jobs import BulkAction, JobFilter, question_of
from tests.store.builders import job


async def _confirmed(at: Workshop, action: BulkAction, filter: JobFilter) -> str:
    """One that acts from its next page on."""
    one = f"b{at.number()}"
    await at.store.begin_bulk(one, action, question_of(filter), {})
    counted = 0
    while (await at.store.bulk(one)).more:
        pass
    stored = await at.store.read_bulk(one)
    counted = 0 if stored is None else stored.status.counted
    await at.store.confirm_bulk(one, counted)
    return one


@worst_case("bulk", "counts")
async def _(at: Workshop) -> Act:
    """None of those that are looked at is one of them."""
    await at.submit([job(f"s{n}", delay=60) for n in range(at.size // 10)])
    chosen = question_of(JobFilter(state="scheduled", task="another"))

    async def act() -> object:
        await at.store.begin_bulk(one := f"b{at.number()}", BulkAction.cancel, chosen, {})
        looked = (await at.store.bulk(one)).looked
        await at.store.stop_bulk(one)
        return looked

    return act


@worst_case("bulk", "cancels_in_line")
async def _(at: Workshop) -> Act:
    """Beside many lines at the bucket of the jobs."""
    await at.lines(at.size // 5, "x")
    await at.line("x", at.size // 10)
    one = await _confirmed(at, BulkAction.cancel, JobFilter(state="waiting", bucket="x"))

    async def act() -> object:
        return (await at.store.bulk(one)).looked

    return act


@worst_case("bulk", "purges")
async def _(at: Workshop) -> Act:
    await at.submit([job(f"s{n}", delay=60) for n in range(at.size // 10)])
    one = await _confirmed(at, BulkAction.purge, JobFilter(state="scheduled"))

    async def act() -> object:
        return (await at.store.bulk(one)).looked

    return act


@worst_case("bulk_begin", "beside_nine")
async def _(at: Workshop) -> Act:
    for _ in range(9):
        await at.store.begin_bulk(f"b{at.number()}", BulkAction.cancel, question_of(JobFilter()), {})

    async def act() -> object:
        answer = await at.store.begin_bulk(one := f"b{at.number()}", BulkAction.cancel, question_of(JobFilter()), {})
        await at.store.stop_bulk(one)
        return answer

    return act


@worst_case("bulk_confirm", "one")
async def _(at: Workshop) -> Act:
    async def act() -> object:
        one = await _confirmed(at, BulkAction.cancel, JobFilter(task="nobody"))
        await at.store.stop_bulk(one)
        return "confirmed"

    return act


@worst_case("bulk_stop", "one")
async def _(at: Workshop) -> Act:
    async def act() -> object:
        await at.store.begin_bulk(one := f"b{at.number()}", BulkAction.cancel, question_of(JobFilter()), {})
        return await at.store.stop_bulk(one)

    return act
