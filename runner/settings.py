"""Settings: every tunable, in one frozen value. The only reader of the environment (`RUNNER_*`)."""

import logging
import os
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from runner.clock import milliseconds
from runner.errors import ConfigurationError
from runner.masking import SecretUrl, masked
from runner.names import DEFAULT_POOL, near_name, pool_names, unknown_name
from runner.ranges import RANGES

log = logging.getLogger("runner")

_PREFIX = "RUNNER_"
_FILE = "_FILE"


def _ranged(name: str, default: float | None, description: str) -> Any:
    bounds = RANGES[name]
    whole = int if bounds.is_whole else float
    return Field(default=default, ge=whole(bounds.least), le=whole(bounds.most), description=description)


class Settings(BaseSettings):
    """Everything that can be tuned; each field is read from `RUNNER_<FIELD>`, or from the file that `RUNNER_<FIELD>_FILE` names, unless given.

    Durations are seconds. `redis_url` None means the embedded server of the current folder.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    redis_url: Annotated[str, AfterValidator(SecretUrl)] | None = None
    shared_url: Annotated[str, AfterValidator(SecretUrl)] | None = Field(
        default=None, description="the server that has the limits which several queues share; that of the queue if not set"
    )
    app: str | None = None
    queue: str | None = None
    api_url: str | None = Field(default=None, description="the HTTP service that `HttpClient` and commands with `--url` ask")
    api_key: SecretStr | None = Field(default=None, description="the key that they send to it")
    allowed_hosts: str | None = Field(
        default=None, description="names of the API besides `localhost` and addresses, with commas between them; `*` is any name"
    )

    revision: int = _ranged("revision", 0, "build number of the app: of two that declare differently the higher one wins")
    concurrency: int = _ranged("concurrency", 100, "slots of one worker")
    pools: str = Field(default=DEFAULT_POOL, description="pools whose jobs a worker runs, up to 8, with commas between them")
    window: int = _ranged("window", 64, "released jobs of one bucket not yet started")
    least_share: float = _ranged("least_share", 0.05, "part of the starts that normal and low each get at least")
    lease_s: float = _ranged("lease_s", 10.0, "a worker silent this long has lost its jobs")
    renew_s: float = _ranged("renew_s", 3.0, "pause between two renewals of lease and leadership")
    block_s: float = _ranged("block_s", 2.0, "longest blocking read; the fallback when there is no leader")
    reclaim_s: float = _ranged("reclaim_s", 2.0, "pause between two looks for lapsed workers")
    drain_s: float = _ranged("drain_s", 30.0, "time running jobs get to finish after SIGTERM")
    start_timeout_s: float = _ranged(
        "start_timeout_s", 60.0, "time that the lifespan of an app has to start; a worker ends with exit code 6 after it"
    )
    max_crashes: int = _ranged("max_crashes", 3, "lost workers after which a job is a dead letter")
    result_ttl_s: float = _ranged("result_ttl_s", 86_400.0, "how long a finished job is kept")
    failed_ttl_s: float = _ranged("failed_ttl_s", 604_800.0, "how long a dead letter is kept")
    catalog_ttl_s: float = _ranged(
        "catalog_ttl_s", 604_800.0, "how long a task that no worker serves, and a limit that nobody declares, stay known"
    )
    freeze_s: float = _ranged(
        "freeze_s", 1.0, "first freeze of a bucket whose provider said wait without saying how long; the next may be longer"
    )
    longest_freeze_s: float = _ranged("longest_freeze_s", 3_600.0, "longest freeze a provider's answer can cause")
    max_backlog: int = _ranged("max_backlog", 0, "unended jobs of the queue above which a submission is refused; 0 is no cap")
    max_args_bytes: int = _ranged("max_args_bytes", 1_048_576, "largest arguments of a job, as JSON")
    max_result_bytes: int = _ranged("max_result_bytes", 16_000_000, "largest result of a job, as JSON")
    http_max_result_bytes: int = _ranged(
        "http_max_result_bytes",
        1_000_000,
        "largest result, as JSON, that the HTTP API shows with its job; `?result=raw` sends a larger one",
    )
    history_length: int = _ranged("history_length", 10_000, "outcomes kept in the history stream, about")
    command_timeout_s: float = _ranged(
        "command_timeout_s", 1.5, "longest silence of Redis in a call: without a byte that moves it is given up"
    )
    stall_s: float = _ranged("stall_s", 1.0, "event-loop stall that is logged with its stack")
    trusted_proxies: str | None = Field(
        default=None,
        description="addresses and networks, with commas between them, of proxies whose X-Forwarded-For the API believes; `unix` is a unix socket",
    )
    trust_user_header: str | None = Field(
        default=None, description="a header in which a trusted proxy names the user it has authenticated, like X-Auth-Request-Email"
    )
    trust_user_preset: Literal["producer", "observer", "operator", "admin"] = Field(
        default="observer", description="the rights of such users: producer, observer, operator or admin"
    )
    api_key_header: str | None = Field(
        default=None,
        description="a header beside `Authorization` that may hold the key of a request, like X-API-Key",
    )
    key_pepper: SecretStr | None = Field(
        default=None, description="a text that Redis does not have: keys are digested with it, so that who writes to Redis makes none"
    )
    record_starts: bool = Field(default=False, description="log each start and each take in Redis, for tests and measurements")
    record_history: bool = Field(
        default=True, description="count what happens by minute, task and limit, for the history, metrics and exact counts"
    )
    metrics_port: int | None = _ranged(
        "metrics_port",
        None,
        "port on which `worker` answers Prometheus at `/metrics`; 0 is a free one. Process n of `--processes` has the n-th from it on",
    )
    metrics_host: str = Field(default="127.0.0.1", description="address of that port")
    health_port: int | None = _ranged("health_port", None, "port on which `worker` answers `/healthz` and `/readyz`; 0 is a free one")
    health_host: str = Field(default="127.0.0.1", description="address of that port")
    failpoints: str | None = Field(default=None, description="places where the process fails on purpose, for tests of the runner itself")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a folder of secrets, where ours are named one by one
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where values come from, the first one that has it: what is given, the environment, files that it names."""
        return init_settings, env_settings, _Files(settings_cls)

    @field_validator(*RANGES, mode="before", check_fields=False)
    @classmethod
    def _refuse_what_is_no_number(cls, value: object) -> object:
        """Pydantic would take them for numbers."""
        if isinstance(value, (bool, timedelta, bytes)):
            raise ValueError("Input should be a number")  # noqa: TRY004 - pydantic collects ValueErrors
        return value

    @field_validator("pools")
    @classmethod
    def _refuse_what_is_no_pool(cls, value: str) -> str:
        return ",".join(pool_names(value))

    @model_validator(mode="after")
    def _check_relations(self) -> Self:
        if self.renew_s >= self.lease_s / 2:
            raise ValueError(
                f"renew_s={self.renew_s:g} must be under half of lease_s={self.lease_s:g}, or one lost renewal costs the lease"
            )
        for name in ("api_key_header", "trust_user_header"):
            header = getattr(self, name)
            if header is not None and not (header.isascii() and header.replace("-", "").isalnum()):
                raise ValueError(f"{name}={header!r} is no name of a header: give one like X-API-Key")
        if self.trust_user_header is not None and self.trusted_proxies is None:
            raise ValueError(f"trust_user_header={self.trust_user_header!r} is believed from trusted_proxies only: name them")
        return self

    @property
    def pool_names(self) -> tuple[str, ...]:
        """`pools` by name."""
        return tuple(self.pools.split(","))

    @property
    def result_ttl_ms(self) -> int:
        """`result_ttl_s` as Redis takes it."""
        return milliseconds(self.result_ttl_s)

    @property
    def pepper(self) -> str | None:
        """`key_pepper` as it is."""
        return None if self.key_pepper is None else self.key_pepper.get_secret_value()

    @property
    def failed_ttl_ms(self) -> int:
        """`failed_ttl_s` as Redis takes it."""
        return milliseconds(self.failed_ttl_s)


class _Files(PydanticBaseSettingsSource):
    """Fields whose values are in files, as containers are given secrets. Raises `ConfigurationError`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - pydantic's signature
        return _from_file(f"{_PREFIX}{field_name.upper()}"), field_name, False

    def __call__(self) -> dict[str, Any]:
        named = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in named.items() if value is not None}


def _from_file(variable: str) -> str | None:
    path = os.environ.get(variable + _FILE)
    if not path:
        return None
    if variable in os.environ:
        raise ConfigurationError(f"{variable} and {variable}{_FILE} are both set: keep one of them")
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{variable}{_FILE}: {path!r} cannot be read: {error}") from None


def load_settings(**given: object) -> Settings:
    """Settings from the environment, overridden by what is given and not None. Raises `ConfigurationError` naming the field.

    A number in a text is one in the environment only.
    """
    _warn_of_near_misses(tuple(os.environ))
    values = {name: value for name, value in given.items() if value is not None}
    faults = [_fault(name, value, "") for name, value in values.items() if name in RANGES and isinstance(value, str)]
    try:
        settings = Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        faults += [_fault(".".join(map(str, e["loc"])), e["input"], e["msg"]) for e in error.errors()]
        raise ConfigurationError(_text(faults)) from None
    if faults:
        raise ConfigurationError(_text(faults))
    return settings


def chosen_settings(settings: object, redis_url: object = None) -> Settings:
    """The settings that a program has given, or else those of the environment. Raises `ConfigurationError`."""
    if settings is None:
        return load_settings(redis_url=redis_url)
    if not isinstance(settings, Settings):  # its value is not shown: there may be a password in it
        raise ConfigurationError(f"settings is {type(settings).__name__}: give a Settings, like load_settings(concurrency=20)")
    if redis_url is not None:
        raise ConfigurationError("redis_url and settings are both given: give the URL to the settings, load_settings(redis_url=...)")
    return settings


@cache
def _warn_of_near_misses(environment: tuple[str, ...]) -> None:
    """A variable whose name is almost that of a setting is nobody's: it would be ignored without a word. Logged once."""
    settings = {f"{_PREFIX}{field.upper()}{end}" for field in Settings.model_fields for end in ("", _FILE)}
    for name in environment:
        if name.upper().startswith(_PREFIX) and name.upper() not in settings:
            near = near_name(name.upper(), settings)
            if near is not None:
                log.warning("the environment variable %s is ignored: there is no such setting; did you mean %s?", name, near)


def _fault(name: str, value: object, message: str) -> str:
    if not name:
        return message
    if name not in Settings.model_fields:
        return unknown_name(f"{name}: Settings", "field", name, Settings.model_fields)
    wanted = f"must be {RANGES[name].words}" if name in RANGES else message
    return f"{name}: {wanted} (got {masked(name, value)!r})"


def _text(faults: Sequence[str]) -> str:
    return "; ".join(faults) + " - set by argument or by RUNNER_<NAME>"
