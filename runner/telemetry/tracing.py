"""Whether spans are recorded in this process, without importing what records them: who has set up an SDK of OpenTelemetry has loaded its API."""

import sys
from functools import cache
from importlib import import_module
from typing import Any

from runner.jobs import TRACEPARENT, TRACESTATE, metadata_in


def recorder_here() -> Any:
    """The `SpanRecorder` of this process; None while no SDK is set up, which costs a look into a dictionary, or a call where FastAPI is loaded."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    provider = api.get_tracer_provider()
    return None if isinstance(provider, (api.ProxyTracerProvider, api.NoOpTracerProvider)) else _recorder(provider)


def carrier_of(metadata: bytes | str) -> dict[str, str]:
    """What a job's metadata says of the span that submitted it, for a propagator."""
    found = metadata_in(metadata)
    return {name: found[name] for name in (TRACEPARENT, TRACESTATE) if isinstance(found.get(name), str)}


@cache
def _recorder(provider: object) -> Any:
    """Kept for each: a test sets up another one."""
    return import_module("runner.telemetry.span_recorder").SpanRecorder(provider)
