"""Settings: read from the environment, overridden by arguments, and refused by name."""

import pytest
from pydantic import ValidationError

from runner.errors import ConfigurationError
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
    with pytest.raises(ConfigurationError, match=rf"^{field}: .* \(got {value}\)"):
        load_settings(**{field: value})


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"concurrency: .*; window: "):
        load_settings(concurrency=0, window=0)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^concurency: Extra inputs are not permitted"):
        load_settings(concurency=3)


def test_a_renewal_that_one_loss_makes_too_late_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="renew_s=5 must be under half of lease_s=10, or one lost renewal costs the lease"):
        load_settings(lease_s=10, renew_s=5)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().concurrency = 3  # type: ignore[misc] # that is what is tested


def test_a_time_to_live_is_never_none_at_all_for_redis() -> None:
    settings = load_settings(result_ttl_s=0.000_1, failed_ttl_s=1.5)

    assert (settings.result_ttl_ms, settings.failed_ttl_ms) == (1, 1500)
