"""Places: where a line of several needs stands, until it has had its turn there. What lua/include/places.lua does."""

from runner.simulation.buckets import FULL_US, Buckets
from runner.simulation.claims import EARLY, Claims
from runner.simulation.line import Line, Progress


class Places:
    """The orders of the buckets, for lines of several needs."""

    def __init__(self, buckets: Buckets, claims: Claims) -> None:
        self._buckets = buckets
        self._claims = claims

    def stand(self, line: Line, need: Progress) -> None:
        """Take a new place in the order of a bucket."""
        need.bucket.order.join(line.name)
        need.stands, need.leaves = True, None

    def take(self, line: Line) -> None:
        """Stand in the order of each bucket where the line has not had its turn.

        It has its turn at once where no other line waits, the tokens are there and no claim is in the way.
        """
        for need in line.needs:
            if need.had or need.stands or need.has_saved(self._buckets.now_us):
                continue
            bucket = need.bucket
            if need.leaves if need.leaves is not None else bucket.order:
                self.stand(line, need)
                continue
            wait_us = bucket.wait_us(need.cost, self._buckets.now_us)
            again_us = self._claims.delay_us(bucket, need.cost, line) if wait_us == 0 else None
            if wait_us == 0 and again_us is None:
                need.had = True
            else:
                self.stand(line, need)
                self._buckets.wake_in(bucket, wait_us if again_us is None else again_us)

    def leave(self, line: Line) -> None:
        """The step is over: out of the orders where the line took no new place."""
        for need in line.needs:
            if need.leaves is not None:
                need.bucket.order.remove(line.name)
                need.leaves = None

    def are_done(self, line: Line, but_one: Progress | None = None) -> bool:
        """Whether the line has had its turn everywhere, or everywhere but at this need."""
        return all(need is but_one or need.had or need.has_saved(self._buckets.now_us) for need in line.needs)

    def look_at_last(self, line: Line) -> None:
        """If only one turn is left and the line is first there, it may claim before that token is there: the others are kept in time."""
        left = [need for need in line.needs if need.stands and not need.had and need.saved == 0]
        if len(left) == 1 and left[0].bucket.order.first_line() == line.name.name:
            bucket = left[0].bucket
            if len(self._claims.book_of(bucket)) < EARLY or bucket.wait_us(left[0].cost, self._buckets.now_us) == 0:
                self._buckets.wake(bucket)

    def wait_for_room(self, line: Line) -> None:
        """All is there, but as many jobs as may be are released and not started."""
        if line.number:
            self._claims.look_at(line, self._buckets.now_us + FULL_US)
            return
        for need in line.needs:
            if self._buckets.is_full(need.bucket) and not need.stands:
                self.stand(line, need)
                self._buckets.wake_in(need.bucket, FULL_US)

    def may_claim_early(self, line: Line, need: Progress) -> bool:
        """Whether the first line here may claim before its token is there: it has had its turn everywhere else, and claims are few."""
        return len(self._claims.book_of(need.bucket)) < EARLY and self.are_done(line, need)

    def give_up(self, line: Line) -> None:
        """An emptied line leaves all orders and books."""
        self._claims.end(line)
        line.latest = line.needs[0]
        for need in line.needs:
            need.give_up(self._buckets.now_us)
            if need.stands or need.leaves is not None:
                need.bucket.order.remove(line.name)
                if need.stands:
                    self._buckets.wake_rest(need.bucket)
            need.had, need.stands, need.leaves, need.until_us = False, False, None, 0
