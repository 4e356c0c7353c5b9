"""The OpenAPI face of the service: blueprints that document themselves and read strictly."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ParametersTuple
from pydantic import BaseModel

from api.auth import is_marked, scope_of
from api.limits import limit_of, limited_body
from api.parsing import read_body, read_header, read_path, read_query
from api.problems import CONTENT_TYPE, Problem

BEARER: Final = "key"
"""The name of the security scheme."""

SECURITY_SCHEMES: Final = {
    BEARER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "lsk_…",
        "description": "A service's key, made by `lishang keys create`.",
    }
}

_READ: Final = {"path", "query", "header", "body"}
_EVERYWHERE: Final = {"500": "Something failed here", "503": "Not able to answer at present"}
_WITH_KEY: Final = {"401": "No valid key", "403": "The key lacks the scope"}
_WITH_INPUT: Final = {
    "404": "The input names something that is not here",
    "409": "The input contradicts what is recorded",
    "422": "The input is not as described",
}
_WITH_BODY: Final = {
    "400": "The body is not JSON",
    "413": "The body is too large",
    "415": "The body is not declared as JSON",
}

View = Callable[..., Any]


class Resource(APIBlueprint):
    """A blueprint whose views take strict models and may return an `Answer` or `(Answer, status)`.

    A view names what it reads by its parameters `path`, `query`, `header` and `body`, each
    annotated with a model, and says by `requires` or `public` who may call it. Both decorators and
    `body_limit` stand below the route's own.
    """

    def _collect_openapi_info(self, rule: str, func: View, **told: Any) -> ParametersTuple:
        if not is_marked(func):
            raise TypeError(f"{func.__name__} must say who may call it: @requires or @public")
        scope = scope_of(func)
        reads = _READ & set(func.__annotations__)
        expected = dict(_EVERYWHERE)
        if scope is not None:
            told["security"] = [{BEARER: []}]
            expected |= _WITH_KEY
            told["description"] = _described(func, told.get("description"), f"Scope: `{scope}`.")
        if reads:
            expected |= _WITH_INPUT
        if "body" in reads:
            expected |= _WITH_BODY
            limit = f"The body may have {limit_of(func) // 1024} KiB."
            told["description"] = _described(func, told.get("description"), limit)
        given = {str(int(status)): model for status, model in (told.get("responses") or {}).items()}
        told["responses"] = {s: _problem(text) for s, text in expected.items()} | given
        return super()._collect_openapi_info(rule, func, **told)

    @staticmethod
    def create_view_func(
        func: View,
        header: type[BaseModel] | None,
        cookie: type[BaseModel] | None,
        path: type[BaseModel] | None,
        query: type[BaseModel] | None,
        form: type[BaseModel] | None,
        body: type[BaseModel] | None,
        raw: type[BaseModel] | None,
        view_class: object = None,
        view_kwargs: object = None,
        responses: object = None,
        validate_response: bool | None = None,
    ) -> View:
        """Return the view as Flask calls it.

        The library would read leniently (`false` for a number, an empty body for a wrong content
        type), so it is left nothing to read.
        """
        if cookie or form or raw:
            raise TypeError(f"{func.__name__}: only path, query, header and body are read")

        @wraps(func)
        def view(**values: object) -> object:
            read: dict[str, BaseModel] = {}
            if path is not None:
                read["path"] = read_path(path, values)
            if query is not None:
                read["query"] = read_query(query)
            if header is not None:
                read["header"] = read_header(header)
            if body is not None:
                read["body"] = read_body(body)
            else:
                # Read and not looked at: a body left in the connection would break it.
                limited_body()
            return _dumped(func(**read))

        return view


def _dumped(result: object) -> object:
    answer, status = result if isinstance(result, tuple) else (result, 200)
    if not isinstance(answer, BaseModel):
        return result
    return Response(answer.model_dump_json(), status=status, content_type="application/json")


def _described(view: View, description: object, addition: str) -> str:
    written = str(description or "\n".join((view.__doc__ or "").strip().splitlines()[1:]).strip())
    return f"{written}\n\n{addition}".strip()


def _problem(description: str) -> dict[str, object]:
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {"description": description, "content": {CONTENT_TYPE: {"schema": schema}}}
