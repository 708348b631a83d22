"""Whose bucket a request is counted in."""

from typing import Any

import pytest

from runner import ConfigurationError
from runner.asgi import by_api_key, by_client_address, by_header, by_user

SECRET_KEY = "sk-live-0123456789"


def scope(*headers: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"type": "http", "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers], **more}


def test_a_header_names_the_bucket_by_its_first_value() -> None:
    assert by_header("X-User")(scope(("x-user", " ada "), ("x-user", "bob"))) == "ada"


@pytest.mark.parametrize("headers", [(), (("x-user", " "),)])
def test_without_the_header_the_address_counts(headers: tuple[tuple[str, str], ...]) -> None:
    assert by_header("X-User")(scope(*headers)) is None
    assert by_api_key("X-User")(scope(*headers)) is None


def test_any_bytes_can_be_a_value() -> None:
    assert by_header("X-User")(scope(("x-user", "\xff\xfe"))) == "\xff\xfe"
    assert by_api_key("X-User")(scope(("x-user", "\xff\xfe")))


def test_an_api_key_is_told_by_its_hash_alone() -> None:
    key = by_api_key()(scope(("x-api-key", SECRET_KEY)))

    assert key is not None
    assert len(key) == 32
    assert SECRET_KEY not in key
    assert key == by_api_key()(scope(("x-api-key", SECRET_KEY)))
    assert key != by_api_key()(scope(("x-api-key", f"{SECRET_KEY}0")))


def test_a_secret_makes_other_hashes() -> None:
    request = scope(("x-api-key", SECRET_KEY))

    assert by_api_key(secret=b"pepper")(request) != by_api_key()(request)


def test_a_secret_that_is_too_long_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="65 bytes"):
        by_api_key(secret=b"x" * 65)


@pytest.mark.parametrize("value", ["bearer token", "BEARER token", "Bearer   token"])
def test_another_spelling_of_the_scheme_is_the_same_api_key(value: str) -> None:
    key = by_api_key("Authorization")

    assert key(scope(("authorization", value))) == key(scope(("authorization", "Bearer token")))
    assert key(scope(("authorization", "Bearer TOKEN"))) != key(scope(("authorization", "Bearer token")))


def test_a_user_is_whatever_the_app_says() -> None:
    key = by_user(lambda scope: scope["state"].get("user_id"))

    assert key(scope(state={"user_id": 17})) == "17"
    assert key(scope(state={"user_id": 0})) == "0"
    assert key(scope(state={})) is None


def test_by_client_address_leaves_it_to_the_address() -> None:
    assert by_client_address(scope()) is None  # type: ignore[func-returns-value] # that it says nothing is the point
