"""The application: every part put together for one process that answers requests."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import orjson
from flask import Response
from flask.json.provider import JSONProvider
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from api import auth, limits, logging, metrics, problems, wiring
from api.health import database_check
from api.openapi import SECURITY_SCHEMES, Resource
from api.problems import Problem
from api.routes import (
    evaluate,
    events,
    feed,
    gift_moves,
    gifts,
    health,
    offers,
    policy,
    recommendations,
    reviews,
    ties,
)
from api.routes.docs import docs
from api.settings import Settings
from engine.domain.clock import now
from engine.ledger.keys import ApiKeys

RESOURCES: Final[tuple[Resource, ...]] = (
    gifts.api,
    gift_moves.api,
    reviews.api,
    feed.api,
    ties.api,
    recommendations.api,
    offers.api,
    events.api,
    evaluate.api,
    policy.api,
    health.api,
)
"""In the order in which the document lists them."""


class Lishang(OpenAPI):
    """The Flask application; JSON through orjson."""

    class _Json(JSONProvider):
        def dumps(self, obj: Any, **_kwargs: Any) -> str:
            return orjson.dumps(obj).decode()

        def loads(self, s: str | bytes, **_kwargs: Any) -> Any:
            return orjson.loads(s)

        def response(self, *args: Any, **kwargs: Any) -> Response:
            body = orjson.dumps(self._prepare_response_obj(args, kwargs))
            return Response(body, mimetype="application/json")

    json_provider_class = _Json

    def finish(self) -> None:
        """Finish what was taken on, once the application answers no more."""
        service: wiring.Service = self.extensions[wiring.EXTENSION]
        service.finish()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func`: nothing here is a coroutine, and looking costs at every call."""
        return func


def create_app(settings: Settings | None = None, service: wiring.Service | None = None) -> Lishang:
    """Return an application ready to answer.

    Parameters
    ----------
    settings
        The installation's settings; read from the environment if not given.
    service
        The wired parts; wired from the settings if not given.

    Raises
    ------
    InvalidInput
        If a setting cannot be used.
    """
    settings = settings or Settings.from_env(os.environ)
    service = service or wiring.build(settings)
    logging.configure(settings.log_level)
    app = Lishang(
        "api",
        info=Info(
            title="Lishang",
            version="1",
            description="May it be sent, what to give, which offer suits whom. "
            "Every refusal is problem details (RFC 9457) with a stable `code` and a `hint`.",
        ),
        security_schemes=dict(SECURITY_SCHEMES),
        # The library adds its own description of one status to every operation that lacks it;
        # ours describe 500 themselves, so that it has nothing to add.
        validation_error_status=500,
        validation_error_model=Problem,
        doc_ui=False,
        static_folder=None,
    )
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.extensions[wiring.EXTENSION] = service
    app.extensions[health.CHECKS] = [database_check(service.database), *service.checks()]
    # What is installed first runs first before a request and last after it.
    problems.install(app)
    logging.install(app)
    counted = metrics.metrics_from_env()
    metrics.install(app, counted)
    limits.install(app)
    auth.install(app, auth.KeyCache(ApiKeys(service.database), now))
    for resource in RESOURCES:
        app.register_api(resource)
    app.register_blueprint(docs)
    _require_marks(app.view_functions)
    service.start(counted)
    return app


def _require_marks(views: dict[str, Callable[..., Any]]) -> None:
    open_to_whom = sorted(name for name, view in views.items() if not auth.is_marked(view))
    if open_to_whom:
        raise TypeError(f"these views do not say who may call them: {', '.join(open_to_whom)}")
