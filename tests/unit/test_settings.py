"""Settings: read from the environment, overridden by arguments, and refused by name."""

import math
import re
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from runner.errors import ConfigurationError
from runner.ranges import RANGES
from runner.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(f"RUNNER_{field.upper()}", raising=False)


def test_the_defaults_fit_together() -> None:
    settings = load_settings()

    assert settings == Settings()
    assert settings.redis_url is None
    assert settings.renew_s < settings.lease_s / 2


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_CONCURRENCY", "7")
    monkeypatch.setenv("RUNNER_REDIS_URL", "redis://there")
    monkeypatch.setenv("runner_window", "9")

    settings = load_settings()

    assert (settings.concurrency, settings.redis_url, settings.window) == (7, "redis://there", 9)


def test_an_argument_overrides_the_environment_unless_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_CONCURRENCY", "7")

    assert load_settings(concurrency=8).concurrency == 8
    assert load_settings(concurrency=None).concurrency == 7


@pytest.mark.parametrize("field", [name for name, info in Settings.model_fields.items() if info.metadata])
@pytest.mark.parametrize("value", ["", "many", "-1", "nan", "inf", "1e999"])
def test_a_number_that_cannot_be_is_refused_and_its_field_named(monkeypatch: pytest.MonkeyPatch, field: str, value: str) -> None:
    monkeypatch.setenv(f"RUNNER_{field.upper()}", value)

    with pytest.raises(ConfigurationError) as refused:
        load_settings()

    assert str(refused.value).startswith(f"{field}: ")
    assert f"(got {value!r})" in str(refused.value)
    assert str(refused.value).endswith(" - set by argument or by RUNNER_<NAME>")


@pytest.mark.parametrize(
    ("field", "value"),
    [("concurrency", 0), ("concurrency", 100_001), ("window", 0), ("window", 10_001), ("max_crashes", 0), ("lease_s", 0)],
)
def test_a_number_out_of_its_range_is_refused(field: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{field}: must be {re.escape(RANGES[field].words)} \(got {value}\)"):
        load_settings(**{field: value})


NUMBERS = sorted(Settings.model_fields.keys() & RANGES.keys())


@pytest.mark.parametrize("field", NUMBERS)
def test_the_range_of_a_setting_is_that_of_the_table(field: str) -> None:
    bounds = RANGES[field]
    beyond = (bounds.least - 1, bounds.most + 1)

    for end in (bounds.least, bounds.most):
        related = {"lease_s": max(3_600.0, end), "renew_s": 0.1} if field == "renew_s" else {"renew_s": 0.1} if field == "lease_s" else {}
        if (field, end) != ("renew_s", bounds.most):  # that is half of no lease
            load_settings(**{**related, field: int(end) if bounds.is_whole else end})
    for value in (*beyond, math.nan, math.inf, True, "3", timedelta(seconds=3)):
        with pytest.raises(ConfigurationError, match=rf"^{field}: must be {re.escape(bounds.words)} \(got {re.escape(repr(value))}\)"):
            load_settings(**{field: value})


def test_every_number_of_the_settings_has_a_range() -> None:
    assert set(NUMBERS) == {name for name, info in Settings.model_fields.items() if info.annotation in (int, float, int | None)}


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"concurrency: .*; window: "):
        load_settings(concurrency=0, window=0)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^concurency: Settings has no field 'concurency'; did you mean 'concurrency'\?"):
        load_settings(concurency=3)


def test_a_renewal_that_one_loss_makes_too_late_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="renew_s=5 must be under half of lease_s=10, or one lost renewal costs the lease"):
        load_settings(lease_s=10, renew_s=5)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().concurrency = 3  # type: ignore[misc] # that is what is tested


def test_a_time_to_live_is_never_none_at_all_for_redis() -> None:
    settings = load_settings(result_ttl_s=0.001, failed_ttl_s=1.5)

    assert (settings.result_ttl_ms, settings.failed_ttl_ms) == (1, 1500)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("RUNNER_CONCURENCY", "RUNNER_CONCURRENCY"), ("RUNNER_REDISURL", "RUNNER_REDIS_URL"), ("runner_lease", "RUNNER_LEASE_S")],
)
def test_a_variable_that_is_almost_a_setting_is_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, meant: str
) -> None:
    for common in ("RUNNER_OS", "RUNNER_ARCH", "RUNNER_NAME", "RUNNER_TEMP", "RUNNER_TOOL_CACHE", "RUNNER_DEBUG", "RUNNER_WORKSPACE"):
        monkeypatch.setenv(common, "GitHub sets them")
    monkeypatch.setenv(name, "1")

    load_settings()
    load_settings()

    said = [record.getMessage() for record in caplog.records]
    assert said == [f"the environment variable {name} is ignored: there is no such setting; did you mean {meant}?"]


def test_no_text_of_settings_shows_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_REDIS_URL", "redis://me:s3cr3t@one")
    settings = load_settings()
    assert settings.redis_url == "redis://me:s3cr3t@one"
    assert "s3cr3t" not in f"{settings!r} {settings} {settings.redis_url!r}"
    assert "redis://me:***@one" in repr(settings)
    for faults in ({"renew_s": 9.0}, {"lease_s": -1.0}, {"nothing": 1}):
        with pytest.raises(ConfigurationError) as refused:
            load_settings(**faults)
        assert "s3cr3t" not in "".join(traceback.format_exception(refused.value))
        with pytest.raises(ValidationError) as invalid:
            Settings(**faults)
        assert "s3cr3t" not in str(invalid.value)


def test_a_setting_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "url").write_text("redis://me:s3cr3t@one\n")
    monkeypatch.delenv("RUNNER_REDIS_URL", raising=False)
    monkeypatch.setenv("RUNNER_REDIS_URL_FILE", str(tmp_path / "url"))
    (tmp_path / "lease").write_text("20")
    monkeypatch.setenv("RUNNER_LEASE_S_FILE", str(tmp_path / "lease"))
    assert (load_settings().redis_url, load_settings().lease_s) == ("redis://me:s3cr3t@one", 20.0)
    assert load_settings(redis_url="redis://two").redis_url == "redis://two"
    assert caplog.text == ""

    monkeypatch.setenv("RUNNER_REDIS_URL", "redis://two")
    with pytest.raises(ConfigurationError, match="RUNNER_REDIS_URL and RUNNER_REDIS_URL_FILE are both set"):
        load_settings()
    monkeypatch.delenv("RUNNER_REDIS_URL")
    monkeypatch.setenv("RUNNER_REDIS_URL_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match=r"RUNNER_REDIS_URL_FILE: .*none' cannot be read"):
        load_settings()


@pytest.mark.parametrize("header", ["", "X API", "X-Key\n", "Schlüssel", "-"])
def test_a_header_that_no_request_can_have_is_refused(header: str) -> None:
    with pytest.raises(ConfigurationError, match="api_key_header"):
        load_settings(api_key_header=header)


def test_a_pepper_is_not_shown() -> None:
    settings = load_settings(key_pepper="salt")

    assert settings.pepper == "salt"
    assert "salt" not in repr(settings)


def test_a_user_header_needs_proxies_to_believe() -> None:
    with pytest.raises(ConfigurationError, match="trusted_proxies"):
        load_settings(trust_user_header="X-User")
    with pytest.raises(ConfigurationError, match="trust_user_preset"):
        load_settings(trust_user_preset="root")
