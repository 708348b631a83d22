"""RUNNER_SHARED_URL: what is no server is refused before anything is submitted, by the name of the setting."""

import pytest

from runner.connection import redis_url
from runner.errors import ConfigurationError
from runner.settings import Settings

HERE = "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize("url", ["foo", "http://limits:6379", "/zz", "redis://me:s3cr3t@limits:port"])
def test_a_server_of_shared_limits_that_is_none_is_refused_where_a_client_begins(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^RUNNER_SHARED_URL, or shared_url of the settings: Redis URL .* cannot be used: "
    ) as refused:
        redis_url(Settings(redis_url=HERE, shared_url=url))
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("url", [None, "redis://limits:6379/1", "rediss+cluster://limits:7000", "unix:///run/limits.sock"])
def test_any_server_can_have_the_shared_limits(url: str | None) -> None:
    assert redis_url(Settings(redis_url=HERE, shared_url=url)) == HERE
