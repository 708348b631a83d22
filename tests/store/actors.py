"""Who acts upon the queue of a World: producers, workers and their crashes, operators, and time."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from runner.connection.client import command
from runner.jobs import Pausable, PauseStatus
from runner.jobs.job import Acceptance, Ending, OtherJob, Outcome, Priority
from runner.limits import Need, SlidingWindow, encode_needs
from runner.store.claims import ClaimRequest
from tests.store.builders import KEPT_MS, PLAIN_ENDINGS, job, read, unique
from tests.store.inside import spent_marks, states
from tests.store.world import LIMITS, SHARES, TASKS, WORKERS, S, Ticket, World, needs

QUEUE, TASK, _, KEY = Pausable


class Producers(World):
    @rule(
        choice=needs(),
        count=st.integers(1, 5),
        priority=st.sampled_from(Priority),
        share=st.sampled_from(SHARES),
        task=st.sampled_from(TASKS),
    )
    def submit(self, choice: list[Need], count: int, priority: Priority, share: str, task: str) -> None:
        names = [f"j{len(self.needs) + number}" for number in range(count)]
        if share == "new":
            share = f"{9_999 - len(self.needs)}"
        weight = 3 if share == "t" else 1
        batch = [job(name, needs=choice, priority=priority, share=share, weight=weight, task=task) for name in names]
        self.needs.update(dict.fromkeys(names, choice))
        self.tasks.update(dict.fromkeys(names, task))
        self.run(self.store.submit(batch))
        assert set(self.run(self.store.submit(batch))) == {"existing"}

    @rule(
        choice=needs(),
        mark=st.sampled_from("mn"),
        mode=st.sampled_from(["end", "start"]),
        duplicate=st.sampled_from(["return", "refuse", "replace", "replace"]),
        delay=st.sampled_from([0, 0, 1.5]),
    )
    def submit_unique(self, choice: list[Need], mark: str, mode: str, duplicate: str, delay: float) -> None:
        name = f"j{len(self.needs)}"
        one = unique(name, mark, "start" if duplicate == "replace" else mode, duplicate, needs=choice, delay=delay)
        (answer,) = self.run(self.store.submit([one]))
        if isinstance(answer, OtherJob):
            assert answer.id in self.marked
            assert self.run(self.store.submit([one])) == [answer]
            if answer.state is Acceptance.replaced:
                self.needs[answer.id] = choice
                self.replaced.update(name for name in [answer.id] if self.run(states(self.store, [name])) == ["queued"])
        else:
            self.needs[name], self.marked[name] = choice, mark
            assert self.run(self.store.submit([one])) == ["existing"]

    @rule(choice=needs(), max_wait=st.sampled_from([0, 0.5, 3.0]), deadline=st.sampled_from([0, 2.0, 9.0]))
    def submit_impatient(self, choice: list[Need], max_wait: float, deadline: float) -> None:
        name = f"j{len(self.needs)}"
        self.needs[name] = choice
        self.run(self.store.submit([job(name, needs=choice, max_wait=max_wait, deadline=deadline)]))

    @precondition(lambda self: self.needs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.needs)))
        answers = [self.run(self.store.cancel(name)) for _ in range(2)]
        assert answers[0] == answers[1]

    @precondition(lambda self: self.needs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        self.run(self.store.retry(data.draw(st.sampled_from(sorted(self.needs)))))

    @precondition(lambda self: self.marked)
    @rule(page=st.integers(1, 3))
    def repair(self, page: int) -> None:
        """It finds nothing to put right, but for marks that were given up as their jobs started."""
        spent = self.run(spent_marks(self.store))
        for _ in range(page):
            assert self.run(self.store.repair()) == (spent, False)
            spent = 0


class Takers(World):
    @rule(
        choice=needs(),
        wait=st.sampled_from([0.0, 0.0, 0.7, 4.0, 60.0]),
        lapse=st.sampled_from([1.0, 20.0]),
    )
    def take(self, choice: list[Need], wait: float, lapse: float) -> None:
        name, ticket = f"take:{len(self.asked)}", Ticket(choice, round(lapse * S))
        self.asked.append(name)
        limits, line = encode_needs(choice, "", 1, Priority.normal)
        taking = self.store.take(name, limits, line, lapse_us=ticket.lapse_us, wait_us=round(wait * S))
        state = self.run(taking).state
        if state == "taken":
            self.note_ticket(name, ticket)
        elif state == "waiting":
            self.tickets[name] = ticket
        assert state in {"taken", "waiting" if wait else "refused"}

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def leave_line(self, data: st.DataObject) -> None:
        """A taker goes away."""
        name = data.draw(st.sampled_from(sorted(self.tickets)))
        assert self.run(self.store.cancel(name)) == "cancelled"
        del self.tickets[name]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), give_back=st.booleans())
    def hold(self, data: st.DataObject, give_back: bool) -> None:
        """A sign of life, or the end of what was done with a slot."""
        name = data.draw(st.sampled_from(sorted(self.held)))
        limits, _ = encode_needs(self.held[name].needs)
        slots = self.books.slots_of(name)
        held = self.run(self.store.hold(name, limits, 0 if give_back else self.held[name].lapse_us))
        if give_back:
            del self.held[name]
        else:
            assert held == sum(one.holds for one in slots)
        for one in slots:
            one.runs = one.runs and not give_back
            one.lapses_us = self.clock.now_us + self.held[name].lapse_us if not give_back else one.lapses_us


class Workers(World):
    @rule(worker=st.sampled_from(WORKERS), free=st.integers(1, 6), held=st.booleans(), lost=st.sampled_from([False] * 5 + [True]))
    def claim(self, worker: str, free: int, held: bool, lost: bool) -> None:
        if worker in self.lost:
            self.reconcile()
        self.run(self.store.enlist(worker, "{}"))
        entries = self.run(read(self.store, worker, 1, 0.001)) if held else []
        claimed = self.run(self.store.claim(worker, ClaimRequest(free, entries, read_more=True, alone=True)))
        assert len(claimed.jobs) <= free
        if lost or (entries and claimed.paused_after is not None):
            self.lost.add(worker)  # what it had read stays with it until it reconciles
            self.unseen[worker] += [(self.clock.now_us, one) for one in claimed.jobs]
        else:
            self.note_started(worker, claimed.jobs)

    @precondition(lambda self: self.lost)
    @rule()
    def reconcile(self) -> None:
        for worker in sorted(self.lost):
            self.run(self.store.reconcile(worker, list(self.in_hand[worker].values())))
            assert self.run(self.store.reconcile(worker, list(self.in_hand[worker].values()))) == 0
            self.unseen.pop(worker, None)
        self.lost.clear()

    @precondition(lambda self: any(self.in_hand.values()))
    @rule(
        data=st.data(),
        ending=st.sampled_from([*[Ending.succeeded] * 3, *PLAIN_ENDINGS]),
        used=st.none() | st.integers(0, 3),
        serve=st.booleans(),
    )
    def finish(self, data: st.DataObject, ending: Ending, used: int | None, serve: bool) -> None:
        if self.calm and ending is Ending.throttled:
            ending = Ending.returned
        if serve and not self.lost:
            self.serve_all_that_can_be()
        worker = data.draw(st.sampled_from([worker for worker in WORKERS if self.in_hand[worker]]))
        one = self.in_hand[worker].pop(data.draw(st.sampled_from(sorted(self.in_hand[worker]))))
        settled = {} if used is None else {need.bucket: used for need in self.needs[one.id] if need.bucket not in {"c", "x"}}
        bucket = data.draw(st.sampled_from(self.needs[one.id])).bucket
        text = ";".join(f"{name}={tokens}" for name, tokens in settled.items())
        if ending is Ending.unknown and self.run(self._is_cancelled(one.id)):
            settled = {need.bucket: 0 for need in self.needs[one.id]}  # its attempt never began: all that it took goes back
        outcomes = [Outcome(one, ending, b"{}", 700_000, KEPT_MS, text, bucket if ending is Ending.throttled else "")]
        self.note_ended(one, settled)
        answers = self.run(self.store.finish(worker, outcomes))
        assert set(answers) <= {"accepted"}
        for freeze in answers.throttled:
            assert freeze.wait_us >= 1_000_000
            self.books.freeze(bucket, self.clock.now_us + freeze.wait_us)
        self.last_outcomes = worker, outcomes
        if serve and not self.lost:
            self.serve_all_that_can_be()

    async def _is_cancelled(self, name: str) -> bool:
        (status,) = await self.store.get([name])
        return status is not None and status.cancel_requested

    @precondition(lambda self: self.last_outcomes is not None)
    @rule()
    def repeat(self) -> None:
        assert self.last_outcomes is not None
        before = self.numbers()
        assert set(self.run(self.store.finish(*self.last_outcomes))) <= {"repeated", "stale"}
        assert self.numbers() == before

    @rule(worker=st.sampled_from(WORKERS))
    def crash(self, worker: str) -> None:
        late = list(self.in_hand.pop(worker, {}).values())
        self.lost.discard(worker)
        self.unseen[""] += self.unseen.pop(worker, [])
        self._renew(but=worker)
        self.run(command(self.store.redis, "ZADD", self.store.keys.workers, 1, worker))
        self.run(self.store.reclaim())
        for one in late:
            self.note_ended(one)
        before = self.numbers()
        words = [Outcome(one, Ending.succeeded, b"1", 0, KEPT_MS, f"{self.needs[one.id][0].bucket}=0") for one in late]
        assert set(self.run(self.store.finish(worker, words))) <= {"stale", "repeated"}
        assert self.numbers() == before

    def _renew(self, but: str = "") -> None:
        """Workers that live renew their leases, whatever the time does."""
        for worker in WORKERS:
            if worker != but and (self.in_hand[worker] or worker in self.lost):
                self.run(self.store.enlist(worker, "{}"))

    @precondition(lambda self: not self.lost)
    @rule()
    def serve(self) -> None:
        self.serve_all_that_can_be()

    def serve_all_that_can_be(self) -> None:
        """With slots for everybody, nobody waits for one limit alone that has room for the dearest of them."""
        still = 0
        while still < 2:
            self.run(self.store.enlist("w", "{}"))
            started = self.run(self.store.claim("w", ClaimRequest(50, read_more=True, alone=True))).jobs
            self.note_started("w", started)
            still = 0 if started or self.run(self.store.refill())[0] else still + 1
        if self.paused_now() or self.run(command(self.store.redis, "EXISTS", self.store.keys.parked)):
            return  # who is paused waits in line, or has still to go back there
        if self.run(command(self.store.redis, "EXISTS", self.store.keys.records)):
            return  # a line of several limits may have tokens kept for it that it lacks elsewhere
        waiting = [
            name for name, state in zip(self.needs, self.run(states(self.store, list(self.needs))), strict=True) if state == "waiting"
        ]
        for bucket in {"c", "w"} - self.books.was_frozen - self.books.paused:
            policy = self.books.in_force[bucket]
            since_us = self.clock.now_us - policy.window_us if isinstance(policy, SlidingWindow) else 0
            taken = [one for one in self.books.of(bucket).taken if (one.runs if bucket == "c" else one.at_us >= since_us)]
            spent = sum(one.cost if one.used is None or bucket == "c" else one.used for one in taken)
            unseen = [one.id for at_us, one in self.unseen[""] if bucket != "c" and at_us >= since_us]
            spent += sum(need.cost for name in unseen for need in self.needs[name] if need.bucket == bucket)
            alone = {name: self.needs[name][0].cost for name in waiting if {need.bucket for need in self.needs[name]} == {bucket}}
            dearest = min(max(alone.values(), default=0), policy.capacity)
            assert not alone or policy.capacity - spent < dearest, f"{alone} wait for {policy} with {spent} spent"


class Operators(World):
    @precondition(lambda self: not self.calm)
    @rule(name=st.sampled_from(sorted(LIMITS)), choice=st.integers(0, 3), seconds=st.sampled_from([0, 0, 2]))
    def override(self, name: str, choice: int, seconds: int) -> None:
        policy = LIMITS[name][choice % len(LIMITS[name])]
        self.run(self.store.override(name, policy.to_json(), seconds * S, "test"))
        self.books.override(name, policy, self.clock.now_us + seconds * S if seconds else None)

    @precondition(lambda self: not self.calm)
    @rule(name=st.sampled_from(sorted(LIMITS)))
    def restore(self, name: str) -> None:
        self.run(self.store.override(name, "", 0, ""))
        self.books.restore(name)

    @precondition(lambda self: not self.calm)
    @rule(name=st.sampled_from(sorted(LIMITS)), on=st.booleans())
    def pause(self, name: str, on: bool) -> None:
        self.run(self.store.pause(name, on=on, reason=""))
        (self.books.paused.add if on else self.books.paused.discard)(name)

    @precondition(lambda self: not self.calm)
    @rule(
        part=st.sampled_from([(QUEUE, ""), (TASK, "work"), (TASK, "other"), (KEY, "k/m"), (KEY, "k/n")]),
        seconds=st.sampled_from([0, 1, 4]),
    )
    def pause_part(self, part: tuple[Pausable, str], seconds: int) -> None:
        assert isinstance(self.run(self.store.set_pause(*part, "test", seconds * S)), PauseStatus)
        self.pauses[part] = self.clock.now_us + seconds * S if seconds else 0

    @precondition(lambda self: self.pauses)
    @rule(data=st.data())
    def resume_part(self, data: st.DataObject) -> None:
        part = data.draw(st.sampled_from(sorted(self.pauses)))
        was_paused = part in self.paused_now()
        for expected in (was_paused, False):
            assert (self.run(self.store.end_pause(*part)) is not None) == expected
        del self.pauses[part]

    @rule()
    def unpause(self) -> None:
        self.run(self.store.unpause())

    @precondition(lambda self: not self.calm)
    @rule(bucket=st.sampled_from(["b", "w", "c", "q", "x", "k", "k/m"]), seconds=st.sampled_from([0, 1, 3]))
    def freeze(self, bucket: str, seconds: int) -> None:
        left_us = self.run(self.store.freeze(bucket, seconds * S, "test"))
        if seconds:
            self.books.freeze(bucket, self.clock.now_us + seconds * S)
            assert left_us == self.books.frozen_until_us[bucket] - self.clock.now_us
        else:
            self.books.release(bucket)


class Time(World):
    @rule(move_us=st.integers(1, 3 * S))
    def advance(self, move_us: int) -> None:
        self._move(move_us)

    @rule()
    def advance_to_the_next_wake(self) -> None:
        _, next_us = self.run(self.store.refill())
        self._move(max(next_us, 0))

    def _move(self, move_us: int) -> None:
        self.move_clock(move_us)
        self.run(self.store.promote())
        self.run(self.store.expire())
        self.run(self.store.refill())
