"""The OpenAPI document is sound and says what the routes ask for; its page needs no network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Blueprint
from flask.testing import FlaskClient

from api.app import Lishang, create_app
from api.auth import scope_of
from api.settings import Settings
from api.wiring import Shell
from engine.ledger.database import Database

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    response = client.get("/openapi.json")
    assert response.content_type == "application/json"
    return dict(response.get_json())


def _walk(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & set(item):
            yield path, method, item[method]


def test_document_is_structurally_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(document["info"])
    assert document["paths"]
    schemes = document["components"]["securitySchemes"]
    assert schemes["key"]["type"] == "http"
    assert schemes["key"]["scheme"] == "bearer"
    for name in document["components"]["schemas"]:
        assert re.fullmatch(r"[\w.-]+", name)
    for path, method, operation in _operations(document):
        assert set(document["paths"][path]) <= METHODS
        named = set(re.findall(r"{(\w+)}", path))
        parameters = operation.get("parameters", [])
        declared = {p["name"] for p in parameters if p["in"] == "path"}
        assert named == declared, path
        assert all(p["required"] for p in parameters if p["in"] == "path")
        assert all("schema" in p for p in parameters)
        assert operation["responses"]
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d|default", status)
            assert response["description"]
        for requirement in operation.get("security", []):
            assert set(requirement) <= set(schemes)
        if "requestBody" in operation:
            assert method != "get"
            assert set(operation["requestBody"]["content"]) == {"application/json"}


def test_document_resolves_every_reference(document: dict[str, Any]) -> None:
    references = [node["$ref"] for node in _walk(document) if "$ref" in node]
    assert references
    for reference in references:
        target: Any = document
        assert reference.startswith("#/")
        for step in reference[2:].split("/"):
            target = target[step]


def test_document_has_unique_operation_ids(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in _operations(document)]
    assert len(ids) == len(set(ids))


def test_document_holds_no_null_where_an_object_belongs(document: dict[str, Any]) -> None:
    for node in _walk(document):
        assert not [k for k, v in node.items() if v is None and k not in {"default", "const"}]


def test_document_covers_every_route_with_its_scope_and_refusals(
    app: Lishang, document: dict[str, Any]
) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("docs."):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        scope = scope_of(app.view_functions[rule.endpoint])
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            operation = document["paths"][path][method.lower()]
            refusals = {"500", "503"}
            if scope is not None:
                assert operation["security"] == [{"key": []}]
                assert str(scope) in operation["description"]
                refusals |= {"401", "403"}
            else:
                assert "security" not in operation
            if "requestBody" in operation:
                refusals |= {"400", "413", "415", "422"}
            for status in refusals:
                content = operation["responses"][status]["content"]
                assert set(content) == {"application/problem+json"}, (path, status)
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert "application/json" not in response.get("content", {})


def test_document_says_how_large_a_body_may_be(document: dict[str, Any]) -> None:
    assert "64 KiB" in document["paths"]["/v1/echo"]["post"]["description"]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline_scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [v for k, v in attrs if k in {"src", "href"} and v]
        self.inline_scripts += tag == "script" and "src" not in given


def test_docs_page_loads_every_part_from_here(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.mimetype == "text/html"
    links = _Links()
    links.feed(page.get_data(as_text=True))
    assert len(links.found) == 4
    assert links.inline_scripts == 0
    for link in links.found:
        assert link.startswith("/docs/")
        part = client.get(link)
        assert part.status_code == 200
        assert part.get_data()
    # Whatever the bundle would like to load from elsewhere, the browser is told not to.
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    start = client.get("/docs/start.js").get_data(as_text=True)
    assert "validatorUrl: null" in start


def test_docs_page_gives_away_no_other_file(client: FlaskClient) -> None:
    for path in ("/docs/js/../../__init__.py", "/docs/js/%2e%2e%2f__init__.py", "/docs/py/x"):
        assert client.get(path).status_code == 404


def test_app_with_an_unmarked_view_does_not_start(
    monkeypatch: pytest.MonkeyPatch, sqlite_database: Database
) -> None:
    unmarked = Blueprint("unmarked", __name__)
    unmarked.add_url_rule("/unmarked", view_func=lambda: "open", endpoint="view")
    monkeypatch.setattr("api.app.docs", unmarked)
    with pytest.raises(TypeError, match=r"unmarked\.view"):
        create_app(Settings(database_url="sqlite:///x.db"), Shell(sqlite_database))
