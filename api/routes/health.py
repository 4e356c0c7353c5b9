"""Alive, ready and counted: what watches the service asks these, without a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal, cast

from flask import Response, current_app
from flask_openapi3.models.tag import Tag
from pydantic import Field

from api.auth import public
from api.health import Check, examine, status_of
from api.metrics import CONTENT_TYPE, current_metrics
from api.openapi import Resource
from api.problems import problem
from api.schemas.base import Answer

CHECKS = "lishang.checks"
"""Under which extension the application keeps its readiness checks."""

api = Resource("health", __name__, abp_tags=[Tag(name="Health", description="No key needed.")])


class Alive(Answer):
    """The process answers."""

    status: Literal["alive"] = "alive"


class CheckFinding(Answer):
    """What one check found."""

    name: str = Field(examples=["database"])
    required: bool = Field(description="Whether the service refuses to work without it")
    ok: bool
    message: str


class Readiness(Answer):
    """Whether the service can do its work."""

    status: Literal["ready", "degraded"] = Field(description="degraded: answers, but with less")
    checks: list[CheckFinding]


@api.get("/healthz", responses={200: Alive})
@public
def healthz() -> Alive:
    """Tell that the process answers."""
    return Alive()


@api.get("/readyz", responses={200: Readiness})
@public
def readyz() -> Response | Readiness:
    """Tell what the service needs and whether it is there; 503 while something required is not."""
    checks = cast(Sequence[Check], current_app.extensions[CHECKS])
    findings = examine(checks)
    status = status_of(findings)
    if status == "unready":
        missed = ", ".join(f.name for f in findings if f.required and not f.ok)
        listed = [asdict(finding) for finding in findings]
        return problem(503, "NOT_READY", f"not ready: {missed}", "see `checks`", checks=listed)
    return Readiness.model_validate(
        {"status": status, "checks": [asdict(finding) for finding in findings]}
    )


@api.get(
    "/metrics",
    responses={200: {"description": "Prometheus' text format", "content": {"text/plain": {}}}},
)
@public
def metrics() -> Response:
    """Tell what was counted, over all workers."""
    return Response(current_metrics().render(), content_type=CONTENT_TYPE)
