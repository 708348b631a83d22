"""Settings: every tunable, in one frozen value. The only reader of the environment (`RUNNER_*`)."""

from typing import Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runner.clock import milliseconds
from runner.errors import ConfigurationError


class Settings(BaseSettings):
    """Everything that can be tuned; each field is read from `RUNNER_<FIELD>` unless given. Durations are seconds.

    `redis_url` None means the embedded server of the current folder.
    """

    model_config = SettingsConfigDict(env_prefix="RUNNER_", frozen=True, extra="forbid", allow_inf_nan=False)

    redis_url: str | None = None
    app: str | None = None
    queue: str | None = None

    concurrency: int = Field(default=100, ge=1, le=100_000, description="slots of one worker")
    window: int = Field(default=64, ge=1, le=10_000, description="released jobs of one bucket not yet started")
    least_share: float = Field(default=0.05, ge=0, le=0.3, description="part of the starts that normal and low each get at least")
    lease_s: float = Field(default=10.0, gt=0, description="a worker silent this long has lost its jobs")
    renew_s: float = Field(default=3.0, gt=0, description="pause between two renewals of lease and leadership")
    block_s: float = Field(default=2.0, gt=0, description="longest blocking read; the fallback when there is no leader")
    reclaim_s: float = Field(default=2.0, gt=0, description="pause between two looks for lapsed workers")
    drain_s: float = Field(default=30.0, ge=0, description="time running jobs get to finish after SIGTERM")
    max_crashes: int = Field(default=3, ge=1, description="lost workers after which a job is a dead letter")
    result_ttl_s: float = Field(default=86_400.0, gt=0, description="how long a finished job is kept")
    failed_ttl_s: float = Field(default=604_800.0, gt=0, description="how long a dead letter is kept")
    freeze_s: float = Field(default=5.0, gt=0, description="freeze of a bucket whose provider said wait without saying how long")
    longest_freeze_s: float = Field(default=3_600.0, gt=0, description="longest freeze a provider's answer can cause")
    max_backlog: int = Field(default=0, ge=0, description="unended jobs of the queue above which a submission is refused; 0 is no cap")
    history_length: int = Field(default=10_000, ge=0, description="outcomes kept in the history stream, about")
    command_timeout_s: float = Field(default=1.5, gt=0, description="longest wait for one reply of Redis")
    stall_s: float = Field(default=1.0, gt=0, description="event-loop stall that is logged with its stack")
    record_starts: bool = Field(default=False, description="log each start in Redis, for tests and measurements")
    failpoints: str | None = Field(default=None, description="places where the process fails on purpose, for tests of the runner itself")

    @model_validator(mode="after")
    def _check_relations(self) -> Self:
        if self.renew_s >= self.lease_s / 2:
            raise ValueError(
                f"renew_s={self.renew_s:g} must be under half of lease_s={self.lease_s:g}, or one lost renewal costs the lease"
            )
        return self

    @property
    def result_ttl_ms(self) -> int:
        """`result_ttl_s` as Redis takes it."""
        return milliseconds(self.result_ttl_s)

    @property
    def failed_ttl_ms(self) -> int:
        """`failed_ttl_s` as Redis takes it."""
        return milliseconds(self.failed_ttl_s)


def load_settings(**given: object) -> Settings:
    """Settings from the environment, overridden by what is given and not None. Raises `ConfigurationError` naming the field."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']} (got {e['input']!r})" if e["loc"] else e["msg"]
            for e in error.errors()
        ]
        raise ConfigurationError("; ".join(lines) + " - set by argument or by RUNNER_<NAME>") from error
