"""What doctor finds about jobs: those whose provider has said wait so often that somebody should look."""

from redis.exceptions import NoPermissionError

from runner.connection import command, translated_errors
from runner.jobs import FINAL
from runner.names import first_of
from runner.store.finding import Finding, Level
from runner.store.queue import QueueStore
from runner.store.text import decoded

_MOST_NAMED = 5
_MOST_READ = 100
_REMEDY = "cancel it, or bound it with max_throttled or max_wait"


async def throttled_often(store: QueueStore) -> Finding:
    """Names the jobs that were throttled more than 100 times and have not ended; finish.lua notes them. Raises `StoreUnavailable`."""
    with translated_errors():
        try:
            noted = await command(
                store.redis, "ZREVRANGEBYSCORE", store.keys.throttled, "+inf", "-inf", "WITHSCORES", "LIMIT", 0, _MOST_READ
            )
            lines = []
            for name, times in zip(noted[::2], noted[1::2], strict=True):
                job = decoded(name)
                task, state = await command(store.redis, "HMGET", store.keys.job(job), "task", "state")
                if state is not None and decoded(state) not in FINAL:
                    lines.append(f"job {job} ({decoded(task or b'')}) {int(times)} times")
        except NoPermissionError:
            return Finding("throttled", Level.unknown, "could not check which jobs are throttled for ever: this user may not read them")
    if not lines:
        return Finding("throttled", Level.ok, "no job was told to wait more than 100 times by its provider")
    return Finding("throttled", Level.warning, f"the provider said wait to {first_of(lines, _MOST_NAMED)}: {_REMEDY}")
