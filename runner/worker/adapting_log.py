"""What the leader logs of rates that adapt."""

import logging
from collections.abc import Iterable

from runner.limits import WHOLE

log = logging.getLogger("runner")


def log_adapted(changed: Iterable[tuple[str, int, int]]) -> None:
    """Log the limits whose rate was lowered, and those that have the declared rate again: each with its share now, and before."""
    for name, share, before in changed:
        if share < before:
            log.warning(
                "the provider of limit %s says wait again and again: its rate is lowered from %.3g of what is declared to %.3g",
                *(name, before / WHOLE, share / WHOLE),
            )
        else:
            log.info("limit %s has the rate again that is declared", name)
