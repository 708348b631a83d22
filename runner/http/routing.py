"""How a request finds its function: groups of routes, and routes that answer errors themselves and call their function directly."""

from collections.abc import Callable, Coroutine, Iterator
from enum import Enum
from typing import Any, get_args, get_origin

from fastapi import APIRouter, Request
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from runner.errors import DamagedQueue
from runner.http.authorization import admit, right_of
from runner.http.dependencies import is_our_app, service_of
from runner.http.escaped_slashes import escaped_slashes_read, has_escaped_slash, routed_path
from runner.http.large_bodies import ended
from runner.http.problems import ANSWERED, Problem, answer, responses
from runner.http.validation_errors import Fault, shortened, summary, unknown_parameter

MOST_PARAMETERS = 200
"""Of one query. To read the 30,000 that fit into the head of a request keeps everybody waiting, and to say what is wrong with each still longer."""
_LONGEST_NAME = 60


def group(tag: str, prefix: str = "", *, route_class: type[APIRoute] | None = None, **options: Any) -> APIRouter:
    """Routes under a prefix, each known by the name of its function."""
    tags: list[str | Enum] = [tag]
    return APIRouter(
        prefix=prefix, tags=tags, route_class=route_class or ProblemRoute, generate_unique_id_function=lambda route: route.name, **options
    )


class ProblemRoute(APIRoute):
    """A route that answers errors with problem documents, whatever the app around it does with exceptions, and says which right it needs.

    A parameter of the query that it does not have is refused, except in an app that includes it and may read others.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.right = right_of(path, options.get("dependencies"))
        more = ["validation"]
        more += [] if self.right is None else ["unauthenticated", "forbidden", "too-many-requests", "damaged-queue", "store-unavailable"]
        more += ["invalid-path"] if "{" in path else []
        described = dict(options.get("responses") or {})
        for status, problems in responses(*more).items():
            described[status] = _joined(described.get(status), problems)
        options["responses"] = described
        super().__init__(path, endpoint, **options)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As every route, and a slash that is escaped in the path separates nothing: it is part of what the path names, as in t7%2Fo-17."""
        if not has_escaped_slash(scope):
            return super().matches(scope)
        match, child = super().matches({**scope, "path": routed_path(scope)})
        if match is not Match.NONE:
            child["path_params"] = {name: escaped_slashes_read(value) for name, value in child["path_params"].items()}
        return match, child

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                query = request.scope["query_string"]
                if query and (query.count(b"&") >= MOST_PARAMETERS or is_our_app(request)):
                    await self._check_query(request)
                return await handle(request)
            except ANSWERED as error:
                return answer(request, await _explained(request, error))
            finally:
                ended(request.scope)

        return handle_or_explain

    async def _check_query(self, request: Request) -> None:
        fault = self._query_fault(request)
        if fault is None:
            return
        if self.right is not None and is_our_app(request):
            await admit(request, self.right)
        raise Problem("validation", summary([fault]), faults=[fault])

    def _query_fault(self, request: Request) -> Fault | None:
        """What is wrong with the query: too many parameters, else the first one that this route does not have, or that is given twice and may not be."""
        if request.scope["query_string"].count(b"&") >= MOST_PARAMETERS:
            return Fault(detail=f"has more than {MOST_PARAMETERS} parameters: send fewer", parameter="query")
        known = dict(_parameters(self.dependant))
        seen = set[str]()
        for name, _ in request.query_params.multi_items():
            if name not in known:
                return Fault(detail=unknown_parameter(name, known), parameter=shortened(name, _LONGEST_NAME))
            if name in seen and not known[name]:
                return Fault(detail="is given twice: give it once", parameter=name)
            seen.add(name)
        return None


class DirectRoute(ProblemRoute):
    """A route whose function makes the response itself, and is called at once when FastAPI has nothing to check: without a query.

    FastAPI describes the route, and handles the requests that do not bypass it. A bypass saves two thirds of the work of a
    status, and half of that of a submission. A router that an app includes never bypasses FastAPI, so its dependencies run.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._checked, self.app = self.app, self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"]:
            await self._checked(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            if self.right is not None:
                await admit(request, self.right)
            response = await self.endpoint(request=request, **scope["path_params"])
        except ANSWERED as error:
            response = answer(request, await _explained(request, error))
        finally:
            ended(scope)
        await response(scope, receive, send)


async def _explained(request: Request, error: Exception) -> Exception:
    """The error that is answered: of a damaged queue one that names the key."""
    if not isinstance(error, DamagedQueue):
        return error
    service = service_of(request)
    return await service.damage.problem(service.client)


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """The names of the parameters of the query, and whether each may be given several times."""
    for field in dependant.query_params:
        yield field.alias, _is_list(field.field_info.annotation)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _is_list(annotation: Any) -> bool:
    """Also one of several types, or with something said of it."""
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _joined(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    """The description of an answer that has problems of both."""
    if one is None:
        return other
    kinds = [kind for described in (one, other) for kind in described["description"].removeprefix("Problem: ").split(", ")]
    return {**one, "description": f"Problem: {', '.join(dict.fromkeys(kinds))}"}
