"""Savings: what a line sets aside of a bucket that gives many tokens at once, for its next jobs, until the burst ends.

What lua/include/savings.lua does.
"""

from runner.limits import FAR_US, Burst
from runner.simulation.buckets import Buckets
from runner.simulation.claims import NEARLY_US, Claims, look_of
from runner.simulation.line import Line, Progress
from runner.simulation.places import Places


class Savings:
    """The bursts, for lines of several needs."""

    def __init__(self, buckets: Buckets, claims: Claims, places: Places) -> None:
        self._buckets = buckets
        self._claims = claims
        self._places = places

    def save(self, line: Line, need: Progress) -> bool:
        """Set the tokens of one more job aside, and stand there again if more are worth it. Returns whether it did."""
        now_us, bucket = self._buckets.now_us, need.bucket
        jobs = self._jobs_saved_for(need)
        burst = self._burst(need)
        if burst is None:
            return False
        until_us = bucket.until_us if bucket.aside_at(now_us) else burst.ends_us
        if until_us <= now_us:
            return False
        most = self._worth_saving(line, need, until_us - now_us)
        if jobs >= most or bucket.wait_us(need.cost, now_us) != 0:
            return False
        if bucket.until_us != until_us:
            bucket.aside, bucket.until_us, need.saved = 0, until_us, 0
            self._buckets.wake_in(bucket, until_us - now_us)
        bucket.aside += need.cost
        need.saved += need.cost
        need.until_us = until_us
        if jobs + 1 < most:
            self._places.stand(line, need)
        return True

    def come_again(self, line: Line, need: Progress, *, is_early: bool) -> None:
        """A turn without tokens set aside, where many come at once: the line has another one for its part of the next burst."""
        burst, now_us = self._burst(need), self._buckets.now_us
        if burst is None or burst.refills_us is None:
            return
        if is_early:
            self._places.stand(line, need)
            return
        need.give_up(now_us)
        need.until_us = max(burst.refills_us - NEARLY_US, now_us + NEARLY_US)
        line.looked_at = True
        self._buckets.wakes.set_earlier(look_of(line), need.until_us)

    def stand_again(self, line: Line) -> None:
        """Stand where the next burst is about to come."""
        for need in line.needs:
            if need.saved == 0 and 0 < need.until_us <= self._buckets.now_us:
                need.until_us = 0
                if not need.stands:
                    self._places.stand(line, need)
                    self._buckets.wake_in(need.bucket, need.bucket.wait_us(need.cost, self._buckets.now_us))

    def look_ahead(self, line: Line) -> None:
        """Without a claim the next look is for the bursts alone."""
        now_us = self._buckets.now_us
        at_us = min((need.until_us for need in line.needs if need.saved == 0 and need.until_us > now_us), default=FAR_US)
        if at_us < FAR_US and not line.looked_at:
            self._claims.look_at(line, at_us)

    def _burst(self, need: Progress) -> Burst | None:
        bucket, now_us = need.bucket, self._buckets.now_us
        return bucket.bucket.burst(need.cost, now_us, bucket.reserved + bucket.aside_at(now_us))

    def _jobs_saved_for(self, need: Progress) -> int:
        return need.saved // need.cost if need.has_saved(self._buckets.now_us) else 0

    def _worth_saving(self, line: Line, need: Progress, left_us: int) -> int:
        """For how many jobs its other needs can give theirs before this burst is lost."""
        now_us = self._buckets.now_us
        most = min(need.bucket.limit.capacity // need.cost, len(line.jobs))
        for other in line.needs:
            if other is need:
                continue
            saved = self._jobs_saved_for(other)
            wait_us = 0 if saved else other.bucket.when_us(other.cost, now_us) - now_us
            if wait_us >= left_us:
                return 0
            most = min(most, max(saved, 1 + int((left_us - wait_us) / other.bucket.bucket.each_us(other.cost, now_us))))
        return most
