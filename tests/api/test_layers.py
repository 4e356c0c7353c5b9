"""The layers around a view: their order, and that the outer ones see what the inner ones refuse."""

from __future__ import annotations

from flask import Flask, Request, Response

from api.layers import Memory, layers_of


def _app() -> tuple[Flask, list[str]]:
    app, told = Flask("layered"), []

    def layer(name: str, refuses: bool = False) -> None:
        def before(request: Request, memory: Memory) -> None:
            told.append(f"{name} before {request.path}")
            memory.setdefault("names", []).append(name)
            if refuses and request.args:
                raise PermissionError(name)

        def after(_request: Request, memory: Memory, response: Response) -> None:
            told.append(f"{name} after {response.status_code} {','.join(memory.names)}")

        layers_of(app).add(before, after)

    layer("outer")
    layer("inner", refuses=True)
    app.register_error_handler(PermissionError, lambda _error: ("refused", 403))
    app.add_url_rule("/view", view_func=lambda: told.append("view") or "seen")
    return app, told


def test_layers_stand_around_the_view_in_the_order_they_were_added() -> None:
    app, told = _app()
    assert app.test_client().get("/view").status_code == 200
    assert told == [
        "outer before /view",
        "inner before /view",
        "view",
        "inner after 200 outer,inner",
        "outer after 200 outer,inner",
    ]


def test_what_an_inner_layer_refuses_passes_the_outer_ones_and_no_view() -> None:
    app, told = _app()
    assert app.test_client().get("/view?refuse=1").status_code == 403
    assert told[2:] == ["inner after 403 outer,inner", "outer after 403 outer,inner"]


def test_two_applications_have_layers_of_their_own() -> None:
    (one, told_one), (other, told_other) = _app(), _app()
    one.test_client().get("/view")
    assert told_one
    assert not told_other
    assert layers_of(one) is not layers_of(other)
