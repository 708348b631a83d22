"""FreezeLog: one WARNING for each freeze that a provider's word begins, however many jobs it was said to."""

import json
import logging
from collections import Counter

from runner.clock import MICROSECONDS
from runner.foreign import on_one_line
from runner.jobs import Outcome
from runner.store import Throttled

log = logging.getLogger("runner")


class FreezeLog:
    """What one worker logs of its throttled jobs. Redis says which of them found the bucket frozen already."""

    def __init__(self) -> None:
        self._untold: Counter[str] = Counter()

    def note(self, outcome: Outcome, freeze: Throttled) -> None:
        """Log the word that began a freeze with what was not told before; a later one of the same freeze only at DEBUG."""
        job, bucket, message = outcome.job, freeze.bucket, on_one_line(json.loads(outcome.payload)["message"])
        if freeze.was_frozen:
            self._untold[bucket] += 1
            log.debug("job %s (%s): %s; %s is frozen already", job.id, on_one_line(job.task), message, bucket)
            return
        more = self._untold.pop(bucket, 0)
        log.warning(
            "job %s (%s): %s; nothing starts at %s for %.3g s; how often this job was throttled: %d%s",
            job.id,
            on_one_line(job.task),
            message,
            bucket,
            freeze.wait_us / MICROSECONDS,
            freeze.times,
            f"; {more} other jobs were told so during the freeze before" if more else "",
        )
