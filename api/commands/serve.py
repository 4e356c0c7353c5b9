"""`lishang serve`: answer HTTP requests."""

from __future__ import annotations

import click

from api.commands.context import Context
from api.serving import serve as run
from engine.domain.errors import LedgerUnavailable


@click.command()
@click.option("--host", help="The address to listen on (LISHANG_HOST, 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port (PORT, 8080); 0: any.")
@click.option(
    "--workers", type=click.IntRange(1, 256), default=2, show_default=True, help="Processes."
)
@click.pass_obj
def serve(context: Context, host: str | None, port: int | None, workers: int) -> None:
    """Answer HTTP requests until SIGTERM or Ctrl-C, then finish those under way.

    An empty database gets its schema. If the database cannot be used the service starts all the
    same and refuses (503) until it can.
    """
    given = {"host": host, "port": port}
    settings = context.settings.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    try:
        context.database()
    except LedgerUnavailable as error:
        click.echo(f"warning: {error.message}; {error.hint}", err=True)
    finally:
        context.close()
    run(settings, workers, announce=lambda address: click.echo(f"Lishang starts at {address}"))
