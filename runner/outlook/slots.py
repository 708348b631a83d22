"""Slots: when a ready job finds a free slot, while all are taken. An estimate by the mean of many runs."""


def slot_wait_us(ready: int, running: int, slots: int, run_us: int | None) -> int | None:
    """µs until a job that becomes ready now has a slot, after all that are ready. None: no worker has one, or nothing is known of the runs."""
    ahead = ready + running - slots
    if slots <= 0:
        return None
    if ahead < 0:
        return 0
    return None if run_us is None else (ahead + 1) * run_us // slots
