"""Keys as values: the form of a secret, what a record keeps, which restrictions can be had, and what they permit."""

import json
from dataclasses import replace
from ipaddress import ip_address

import pytest

from runner.access import PRESETS, ApiKey, Scope, Secret, digest_of, new_key_id, new_secret, parse_secret, scopes_of
from runner.errors import ConfigurationError

HOUR_US = 3_600_000_000
SECRET = Secret("abcdefgh", bytes(range(32)))
KEY = ApiKey("abcdefgh", "billing", (Scope.jobs_submit, Scope.jobs_read), ((digest_of(SECRET, None), 0),), preset="producer")


def test_a_secret_is_read_back_from_its_text() -> None:
    secret = new_secret(new_key_id())

    assert parse_secret(secret.text) == secret
    assert secret.text.startswith(f"mr1_{secret.id}_")
    assert len(secret.text) == 63
    assert new_secret(secret.id) != secret


def test_a_secret_does_not_show_itself() -> None:
    assert SECRET.text not in repr(SECRET)
    assert "000102" not in repr(SECRET)
    assert digest_of(SECRET, None) not in repr(KEY)


@pytest.mark.parametrize("at", range(4, 63, 7))
def test_a_mistyped_secret_is_none(at: int) -> None:
    text = SECRET.text
    other = "b" if text[at] == "a" else "a"

    assert parse_secret(text[:at] + other + text[at + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "mr1", SECRET.text[:-1], SECRET.text + "A", SECRET.text + "\n", " " + SECRET.text, "ä" * 63, "x" * 10_000]
)
def test_what_has_not_the_form_is_none(text: str) -> None:
    assert parse_secret(text) is None


def test_a_pepper_makes_another_digest() -> None:
    assert len({digest_of(SECRET, None), digest_of(SECRET, "salt"), digest_of(SECRET, "sea")}) == 3


def test_presets_give_what_they_say() -> None:
    assert scopes_of("admin") == set(Scope)
    assert Scope.limits_write not in scopes_of("operator")
    assert {scope.partition(":")[2] for scope in PRESETS["observer"]} == {"read"}
    assert scopes_of("producer", ["limits:read"]) == {Scope.jobs_submit, Scope.jobs_read, Scope.limits_read}


@pytest.mark.parametrize(
    ("preset", "more", "said"),
    [("admn", (), "did you mean 'admin'"), (None, ["jobs:raed"], "did you mean 'jobs:read'"), (None, (), "give a preset")],
)
def test_rights_that_are_not_known_are_refused(preset: str | None, more: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        scopes_of(preset, more)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "a\nb"}, "name"),
        ({"name": ""}, "name"),
        ({"tenant": "a/b"}, "tenant 'a/b'"),
        ({"tasks": ("a*b",)}, r"task 'a\*b'"),
        ({"tasks": ("",)}, "task ''"),
        ({"tasks": ("t",) * 51}, "51 tasks"),
        ({"rate": "often"}, "often"),
        ({"max_backlog": -1}, "max_backlog is -1"),
        ({"sources": ("10.0.0.1/8",)}, "host bits"),
        ({"sources": ("everywhere",)}, "everywhere"),
        ({"sources": ("10.0.0.1",) * 21}, "21 sources"),
    ],
)
def test_a_restriction_that_cannot_be_used_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        replace(KEY, **wrong).checked()  # type: ignore[arg-type] # as a table has them


def test_a_record_is_read_back() -> None:
    key = replace(
        KEY, tasks=("charge", "billing.*"), tenant="t7", rate="5/s", max_backlog=10, sources=("10.0.0.0/8",), created_us=1, shows_args=False
    )

    text = key.to_json()

    assert ApiKey.from_json(key.id, text) == key
    assert "abcdefgh" not in text


def test_a_record_of_a_newer_version_gives_no_more_than_is_known() -> None:
    record = json.loads(KEY.to_json()) | {"scopes": ["jobs:read", "jobs:teleport"], "moon": "full"}
    del record["shows_args"]

    key = ApiKey.from_json(KEY.id, json.dumps(record))

    assert key.scopes == (Scope.jobs_read,)
    assert not key.shows_args


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', '{"scopes": [], "digests": [1], "name": "x"}', "null"])
def test_a_damaged_record_raises(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        ApiKey.from_json("abcdefgh", text)


def test_only_a_digest_of_the_key_matches() -> None:
    assert KEY.matches(digest_of(SECRET, None), 0)
    assert not KEY.matches(digest_of(SECRET, "pepper"), 0)
    assert not replace(KEY, digests=()).matches(digest_of(SECRET, None), 0)


def test_the_former_secret_holds_for_the_grace() -> None:
    former, latter = digest_of(SECRET, None), digest_of(new_secret(KEY.id), None)
    key = KEY.rotated(latter, 10, HOUR_US)

    assert key.matches(former, 9 + HOUR_US)
    assert not key.matches(former, 10 + HOUR_US)
    assert key.matches(latter, 10 + HOUR_US)
    assert key.good_for_us(former, 10) == HOUR_US
    assert key.good_for_us(latter, 10) is None
    assert not KEY.rotated(latter, 10, 0).matches(former, 10)


def test_a_second_rotation_gives_a_former_secret_no_longer_time() -> None:
    first, second = (digest_of(new_secret(KEY.id), None) for _ in range(2))
    key = KEY.rotated(first, 0, HOUR_US).rotated(second, 1, 24 * HOUR_US)

    assert not key.matches(digest_of(SECRET, None), HOUR_US)
    assert key.matches(first, HOUR_US)


def test_a_key_ends_at_its_instant_and_when_it_is_revoked() -> None:
    key = replace(KEY, expires_us=HOUR_US)

    assert key.why_refused(HOUR_US - 1) is None
    assert key.why_refused(HOUR_US) == "expired"
    assert key.good_for_us(digest_of(SECRET, None), 1) == HOUR_US - 1
    assert replace(key, revoked_us=5).why_refused(6) == "revoked"


def test_what_is_shown_of_a_key_lets_nobody_in() -> None:
    assert digest_of(SECRET, None) not in json.dumps(KEY.document())
    assert replace(KEY, used_day=20_000).document()["last_used"] == "2024-10-04"


def test_tasks_are_names_and_beginnings_of_names() -> None:
    caller = replace(KEY, tasks=("charge", "billing.*")).principal()

    assert [caller.allows_task(name) for name in ("charge", "charges", "billing.close", "billing")] == [True, False, True, False]
    assert KEY.principal().allows_task("anything")


def test_sources_are_networks() -> None:
    caller = replace(KEY, sources=("10.0.0.0/8", "2001:db8::1")).principal()

    assert [caller.allows_address(ip_address(text)) for text in ("10.9.8.7", "11.0.0.1", "2001:db8::1", "2001:db8::2")] == [
        True,
        False,
        True,
        False,
    ]
    assert not caller.allows_address(None)
    assert KEY.principal().allows_address(None)
