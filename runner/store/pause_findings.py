"""What doctor finds about pauses: what is paused, and who claims all the same."""

from runner.errors import NotPermitted
from runner.jobs import PauseStatus
from runner.names import first_of
from runner.plain_text import escaped
from runner.store.finding import Finding, Level
from runner.store.job_store import JobStore

_MOST_NAMED = 5


async def examine_pauses(store: JobStore) -> Finding:
    """Names what is paused. Raises `StoreUnavailable`."""
    try:
        pauses = await store.list_pauses()
        unaware = await store.unaware_workers() if pauses else []
    except NotPermitted:
        return Finding("pauses", Level.unknown, "could not check what is paused: this user may not read it")
    if not pauses:
        return Finding("pauses", Level.ok, "nothing is paused")
    text = f"nothing starts of {first_of(list(map(_words, pauses)), _MOST_NAMED)}: `pauses` tells all, `resume` lets one go on"
    if unaware:
        text += f"; but what {first_of(unaware, _MOST_NAMED)} claims starts, as its version does not know of pauses: stop it"
    return Finding("pauses", Level.warning, text)


def _words(pause: PauseStatus) -> str:
    return f"{pause.target} (by {escaped(pause.by)}: {escaped(pause.reason) or 'no reason given'})"
