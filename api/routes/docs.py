"""The OpenAPI document and a page to read it, served without asking anything of the network."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final, cast

from flask import Blueprint, Response, current_app, jsonify, send_from_directory
from flask_openapi3.openapi import OpenAPI

from api.auth import public

_OURS: Final = Path(__file__).resolve().parents[1] / "static"
_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'"
)

docs = Blueprint("docs", __name__)


@docs.get("/openapi.json")
@public
def document() -> Response:
    """Return the OpenAPI 3.1 document."""
    return jsonify(cast(OpenAPI, current_app).api_doc)


@docs.get("/docs")
@public
def page() -> Response:
    """Return the page that shows the document."""
    return _guarded(send_from_directory(_OURS, "docs.html"))


@docs.get("/docs/start.js")
@public
def start() -> Response:
    """Return the script that opens the document in the page."""
    return _guarded(send_from_directory(_OURS, "start.js"))


@docs.get("/docs/<any(css, js, images):folder>/<name>")
@public
def asset(folder: str, name: str) -> Response:
    """Return a part of the bundled Swagger UI."""
    bundled = Path(str(files("flask_openapi3_swagger"))) / "templates" / "swagger" / folder
    return _guarded(send_from_directory(bundled, name, max_age=86_400))


def _guarded(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    return response
