"""Keyring: whose secret it is, asked of Redis once for all requests of some seconds. It lets nobody in whom Redis has not vouched for."""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import aclosing
from typing import NamedTuple

from runner.access import Principal, Secret, digest_of, parse_secret
from runner.client.batcher import Batcher
from runner.clock import MICROSECONDS, monotonic_s
from runner.errors import RunnerError, StoreUnavailable
from runner.settings import Settings
from runner.store import MOST_PER_CALL, Access

log = logging.getLogger("runner")

FRESH_S = 5.0
"""How long an answer holds without asking again: the longest that a revoked key is accepted, if its announcement is lost."""
HELD_S = 60.0
"""How long it holds while Redis is away, if it was that the key is accepted."""
_RETRY_S = 1.0
_MOST_ACCEPTED = 10_000
_MOST_REFUSED = 1_000
"""Whoever sends made-up keys by the thousand pushes out the answers to others of their kind, and none to a real one."""


class _Answer(NamedTuple):
    """What Redis said of a secret: who sends it, or None; and for how long."""

    principal: Principal | None
    key_id: str
    fresh_until_s: float
    held_until_s: float


class Keyring:
    """The answers of one session, by a hash of what was sent, so that no secret stays in memory."""

    def __init__(self, store: Access, settings: Settings) -> None:
        self._store = store
        self._pepper = settings.pepper
        self._accepted: OrderedDict[bytes, _Answer] = OrderedDict()
        self._refused: OrderedDict[bytes, _Answer] = OrderedDict()
        self._questions: Batcher[Secret, _Answer] = Batcher(self._ask, fitting=lambda secrets: min(len(secrets), MOST_PER_CALL))
        self._has_keys = False
        self._open_until_s = self._asks_at_s = float("-inf")
        self._listening: asyncio.Task[None] | None = None

    async def exist(self) -> bool:
        """Whether the queue has keys, revoked ones included: then they are needed, for as long as this process lives. Raises `StoreUnavailable`."""
        if self._has_keys:
            return True
        now_s = monotonic_s()
        if now_s < self._asks_at_s:
            return False
        try:
            self._has_keys = await self._store.has_keys()
        except StoreUnavailable:
            if now_s >= self._open_until_s:
                raise
            self._asks_at_s = now_s + _RETRY_S
        else:
            self._asks_at_s, self._open_until_s = now_s + FRESH_S, now_s + HELD_S
        return self._has_keys

    async def principal(self, credentials: bytes) -> Principal | None:
        """Who sends this; None if it is no secret of a key that is accepted. Raises `StoreUnavailable` if that cannot be known."""
        mark = hashlib.sha256(credentials).digest()
        now_s = monotonic_s()
        known = self._accepted.get(mark) or self._refused.get(mark)
        if known is not None and now_s < known.fresh_until_s:
            return known.principal
        secret = parse_secret(credentials.decode("latin-1"))
        if secret is None:
            return None
        try:
            answer = await self._questions.ask(secret)
        except StoreUnavailable:
            if known is None or known.principal is None or now_s >= known.held_until_s:
                raise
            # Not each request waits for a time-out of Redis.
            self._accepted[mark] = known._replace(fresh_until_s=min(now_s + _RETRY_S, known.held_until_s))
            return known.principal
        self._remember(mark, answer)
        return answer.principal

    async def close(self) -> None:
        """Stop listening, and wait for the call under way."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self._questions.close()

    async def _ask(self, secrets: Sequence[Secret]) -> list[_Answer]:
        began_s = monotonic_s()
        digests = [digest_of(secret, self._pepper) for secret in secrets]
        found = await self._store.keys_of([secret.id for secret in secrets], used=digests)
        self._has_keys = self._has_keys or found.has_keys
        keys = {key.id: key for key in found.keys}
        answers = []
        for secret, digest in zip(secrets, digests, strict=True):
            key = keys.get(secret.id)
            principal, held_s = None, HELD_S
            if key is not None and key.matches(digest, found.now_us) and key.why_refused(found.now_us) is None:
                principal = key.principal()
                good_for_us = key.good_for_us(digest, found.now_us)
                held_s = HELD_S if good_for_us is None else min(good_for_us / MICROSECONDS, HELD_S)
            answers.append(_Answer(principal, secret.id, began_s + min(held_s, FRESH_S), began_s + held_s))
        return answers

    def _remember(self, mark: bytes, answer: _Answer) -> None:
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen(), name="changed keys")
        kept, others, most = self._accepted, self._refused, _MOST_ACCEPTED
        if answer.principal is None:
            kept, others, most = self._refused, self._accepted, _MOST_REFUSED
        others.pop(mark, None)
        kept[mark] = answer
        kept.move_to_end(mark)
        if len(kept) > most:
            kept.popitem(last=False)

    async def _listen(self) -> None:
        while True:
            try:
                async with aclosing(self._store.changed_keys()) as changes:
                    async for key_id in changes:
                        self._forget(key_id)
            except RunnerError as error:
                log.info("changes of keys are followed within %g s until Redis is back: %s", FRESH_S, error)
            await asyncio.sleep(_RETRY_S)

    def _forget(self, key_id: str | None) -> None:
        """What was said of a key does not hold any more; with None an announcement may have been missed, and all is asked again."""
        for answers in (self._accepted, self._refused):
            for mark, answer in list(answers.items()):
                if key_id is None:
                    answers[mark] = answer._replace(fresh_until_s=float("-inf"))
                elif answer.key_id == key_id:
                    del answers[mark]
