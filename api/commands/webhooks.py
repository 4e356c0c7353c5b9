"""`lishang webhooks`: add, list and end the receivers of events."""

from __future__ import annotations

import click

from api.commands.context import Context
from api.commands.tables import show_table
from engine.domain.clock import now, to_datetime
from engine.domain.errors import InvalidInput
from engine.domain.gift_events import GiftEventKind
from engine.domain.webhooks import Webhook
from engine.ledger.webhooks import Webhooks


@click.group()
def webhooks() -> None:
    """Say where events are delivered to."""


@webhooks.command()
@click.argument("url")
@click.option("--kinds", default="", help="What is delivered, separated by commas; else all.")
@click.option("--from-start", is_flag=True, help="Begin with the oldest event that is kept.")
@click.option("--insecure", is_flag=True, help="Accept http:// for another host than this one.")
@click.pass_obj
def add(context: Context, url: str, kinds: str, from_start: bool, insecure: bool) -> None:
    """Deliver events to URL from now on; print the secret that signs them, shown this once."""
    found = Webhooks(context.database())
    webhook, secret = found.add(url, _kinds(kinds), now(), from_start, insecure)
    click.echo(f"webhook {webhook}; the secret is not shown again:", err=True)
    click.echo(secret)


@webhooks.command("list")
@click.pass_obj
def list_webhooks(context: Context) -> None:
    """List every webhook with how far it was told and why it was told no further."""
    found = Webhooks(context.database())
    show_table(
        ("webhook", "url", "kinds", "told up to", "waiting", "failing since", "fault"),
        [_row(webhook, found.waiting(webhook)) for webhook in found.all()],
    )


@webhooks.command()
@click.argument("webhook")
@click.pass_obj
def remove(context: Context, webhook: str) -> None:
    """End delivering to WEBHOOK; its secret signs nothing any more."""
    Webhooks(context.database()).remove(webhook)
    click.echo(f"webhook {webhook} has ended")


def _row(webhook: Webhook, waiting: int) -> tuple[str, ...]:
    failing = webhook.failing_since
    return (
        webhook.webhook,
        webhook.url,
        ", ".join(sorted(webhook.kinds)) or "all",
        str(webhook.position),
        str(waiting),
        "–" if failing is None else f"{to_datetime(failing):%Y-%m-%d %H:%MZ}",
        "–" if webhook.fault is None else f"{webhook.fault} ({webhook.attempts} attempts)",
    )


def _kinds(text: str) -> frozenset[GiftEventKind]:
    named = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(named) - set(GiftEventKind))
    if unknown:
        raise InvalidInput(
            f"unknown kinds: {', '.join(unknown)}", f"choose from: {', '.join(GiftEventKind)}"
        )
    return frozenset(GiftEventKind(name) for name in named)
