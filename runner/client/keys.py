"""ApiKeys: makes, lists, rotates and revokes the keys of a queue's HTTP service. Whoever can reach Redis may; no service does it for others."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from runner.access import ApiKey, Principal, digest_of, new_key_id, new_secret, parse_secret, scopes_of
from runner.client.blocking import Blocking, through
from runner.client.keyring import Keyring
from runner.client.reasons import checked_reason
from runner.client.said_times import seconds_said
from runner.clock import microseconds
from runner.errors import ConfigurationError, Unauthenticated, UnknownKey
from runner.ranges import checked
from runner.settings import Settings
from runner.store import Access, portions

_TRIES = 5
_LINES_A_CALL = 100


class NewKey(NamedTuple):
    """A key, and the secret that its holder sends: shown now, and never again."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"NewKey({self.key!r}, ...)"


class ApiKeys:
    """The keys of a queue. Services follow each change at once if they hear of it, and within 5 seconds in any case."""

    def __init__(self, store_here: Callable[[], Access], keyring_here: Callable[[], Keyring], settings: Settings) -> None:
        self._store_here = store_here
        self._keyring_here = keyring_here
        self._settings = settings

    async def exist(self) -> bool:
        """Whether the queue has keys, also revoked ones: then its service asks for them. Raises `StoreUnavailable`."""
        return await self._keyring_here().exist()

    async def authenticate(self, credentials: bytes | None) -> Principal | None:
        """Who sends this secret, as Redis said within the last 5 seconds, or within 60 while it is away; None if the queue has no keys.

        Raises `Unauthenticated`, `StoreUnavailable`.
        """
        keyring = self._keyring_here()
        if not await keyring.exist():
            return None
        if credentials is None:
            raise Unauthenticated("a key is needed: send it in the header Authorization: Bearer mr1_...", was_sent=False)
        principal = await keyring.principal(credentials)
        if principal is None:
            raise Unauthenticated("this is no key that is accepted: unknown, mistyped, expired or revoked; `keys check` says which")
        return principal

    async def note_refusals(self, lines: Sequence[tuple[str, str, str]]) -> None:
        """For a service: write into the audit what it refused: action, target, and what was said. Raises `StoreUnavailable`."""
        for part in portions(lines, _LINES_A_CALL):
            await self._store_here().note_refusals(part)

    async def create(
        self,
        name: str,
        *,
        preset: str | None = None,
        scopes: Sequence[str] = (),
        tasks: Sequence[str] = (),
        tenant: str | None = None,
        rate: str | None = None,
        max_backlog: int | None = None,
        sources: Sequence[str] = (),
        shows_args: bool | None = None,
        expires: object = None,
    ) -> NewKey:
        """Make a key with the scopes of a preset (producer, observer, operator, admin), or named ones, or both.

        The restrictions are those of `Principal`; an observer sees no arguments and results unless `shows_args`. expires: seconds, or
        "90d"; without it the key holds until it is revoked. Raises `ConfigurationError` for anything that cannot be used.
        """
        expires_us = None if expires is None else _span_us("the time until the key expires", "expires", expires)
        key = ApiKey(
            id=new_key_id(),
            name=name,
            scopes=tuple(sorted(scopes_of(preset, scopes, tenant=tenant))),
            digests=(),
            preset=None if scopes else preset,
            tasks=tuple(tasks),
            tenant=tenant,
            rate=rate,
            max_backlog=max_backlog,
            sources=tuple(sources),
            shows_args=preset != "observer" if shows_args is None else shows_args,
        ).checked()
        secret = new_secret(key.id)
        now_us = (await self._store_here().keys_of([key.id])).now_us
        digests = ((digest_of(secret, self._settings.pepper), 0),)
        key = replace(key, digests=digests, created_us=now_us, expires_us=None if expires_us is None else now_us + expires_us)
        await self._store_here().change_key(None, key, "key created", f"{key.preset or ' '.join(key.scopes)}")
        return NewKey(key, secret.text)

    async def list(self) -> list[ApiKey]:
        """Every key, also those that are revoked or expired, in the order in which they were made."""
        store = self._store_here()
        found = [key for part in portions(await store.key_ids()) for key in (await store.keys_of(part)).keys]
        return sorted(found, key=lambda key: (key.created_us, key.id))

    async def rotate(self, key_id: str, *, grace: object = 0) -> NewKey:
        """Give a key another secret. Those before hold for the grace, in seconds or as "24h". Raises `UnknownKey`, `ConfigurationError`."""
        grace_us = _span_us("the grace", "grace", grace)
        secret = new_secret(key_id)
        digest = digest_of(secret, self._settings.pepper)

        def rotated(key: ApiKey, now_us: int) -> ApiKey:
            if (why := key.why_refused(now_us)) is not None:
                raise ConfigurationError(f"key {key_id} is {why}: create another one")
            return key.rotated(digest, now_us, grace_us)

        return NewKey(await self._change(key_id, rotated, "key rotated", f"grace {grace_us // 1_000_000} s"), secret.text)

    async def revoke(self, key_id: str, reason: str = "") -> ApiKey:
        """Refuse a key from now on, for good. Revoking twice is the same answer. Raises `UnknownKey`."""
        said = checked_reason(reason)

        def revoked(key: ApiKey, now_us: int) -> ApiKey:
            return key if key.revoked_us is not None else replace(key, revoked_us=now_us, reason=said)

        return await self._change(key_id, revoked, "key revoked", said)

    async def check(self, secret: str) -> ApiKey:
        """The key of a secret, if it is accepted now. Raises `Unauthenticated` with the reason."""
        parsed = parse_secret(secret.strip())
        if parsed is None:
            raise Unauthenticated("this is no key of a service, or it was mistyped: one is mr1_ and 59 characters")
        now_us, _, keys, damaged = await self._store_here().keys_of([parsed.id])
        if damaged:
            raise Unauthenticated(f"the record of key {parsed.id} was damaged: create another one")
        if not keys or not keys[0].matches(digest_of(parsed, self._settings.pepper), now_us):
            raise Unauthenticated(f"key {parsed.id} is unknown on this queue, or this is not its secret")
        if (why := keys[0].why_refused(now_us)) is not None:
            raise Unauthenticated(f"key {parsed.id} is {why}")
        return keys[0]

    async def _change(self, key_id: str, changed: Callable[[ApiKey, int], ApiKey], action: str, change: str) -> ApiKey:
        """Read a key, change it, and again if somebody else was faster."""
        for _ in range(_TRIES):
            now_us, _, keys, damaged = await self._store_here().keys_of([key_id])
            if damaged:
                raise ConfigurationError(f"the record of key {key_id} was damaged by hand, and lets nobody in: create another one")
            if not keys:
                raise UnknownKey(f"unknown key {key_id!r}: `keys list` shows those that there are")
            key = changed(keys[0], now_us)
            if key is keys[0] or await self._store_here().change_key(keys[0], key, action, change):
                return key
        raise ConfigurationError(f"key {key_id} is being changed by somebody else again and again: try again")


class BlockingApiKeys(Blocking):
    """`ApiKeys` for code without an event loop."""

    __slots__ = ()

    create = through(ApiKeys.create)
    list = through(ApiKeys.list)
    rotate = through(ApiKeys.rotate)
    revoke = through(ApiKeys.revoke)
    check = through(ApiKeys.check)


def _span_us(what: str, name: str, said: object) -> int:
    return microseconds(checked(name, seconds_said(what, said)))
