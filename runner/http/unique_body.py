"""Which jobs are alike, as a submission over HTTP says it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from runner.http.bodies import Body
from runner.http.forms import DELAY_S, MAX_WAIT_S


class UniqueBody(Body):
    """Which jobs are alike, so that one at most is there at a time. With `delay` the job is debounced."""

    key: Annotated[str | None, Field(description="a template of arguments, like {order_id}; default: all arguments")] = None
    until: Annotated[
        Literal["end", "start"] | Annotated[float, Field(**MAX_WAIT_S)] | None,
        Field(description="the end of the job (the default), its start, or so many seconds from its submission on"),
    ] = None
    duplicate: Annotated[
        Literal["return", "refuse", "replace"] | None,
        Field(description="answer with the job that is there (the default), refuse, or replace its arguments as long as it waits"),
    ] = None
    delay: Annotated[
        Annotated[float, Field(**DELAY_S)] | None,
        Field(description="seconds without another submission before the job may start, with the newest arguments"),
    ] = None
    max_delay: Annotated[
        Annotated[float, Field(**DELAY_S)] | None, Field(description="seconds after the first submission at which it may start in any case")
    ] = None


def asked_of(unique: bool | UniqueBody | None) -> bool | dict[str, Any] | None:
    """As the client takes it."""
    return unique.model_dump(exclude_none=True) if isinstance(unique, UniqueBody) else unique
