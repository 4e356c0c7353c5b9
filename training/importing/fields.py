"""What an import file of each kind may hold: its fields, how they are read, their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from engine.domain.errors import InvalidInput
from engine.domain.gifts import GiftState, Mechanics, Relation, Scene, Tier
from engine.domain.occasions import OCCASIONS
from engine.domain.people import Purpose


class Read(Enum):
    """How the text of a cell becomes a value."""

    ID = auto()
    TEXT = auto()
    WORD = auto()
    CHOICE = auto()
    CHOICES = auto()
    TIME = auto()
    DATE = auto()
    ZONE = auto()
    REGION = auto()
    TRUTH = auto()
    WHOLE = auto()
    WEIGHT = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `default` stands for an absent column or an empty cell, None for none."""

    name: str
    read: Read
    required: bool = False
    default: str | int | float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file and the table of the same name that it fills.

    Parameters
    ----------
    key
        The field that identifies a row of an event table and may be left to the file's hash and
        line; None where other fields identify the row.
    people, items, offers
        The fields that name one.
    distinct
        Two fields that may not name the same person.
    ordered
        Pairs of times of which the second may not come before the first.
    recorded_from
        The field that `recorded_at` is taken from when it is not given; 0 without one.
    describes
        Whether a later file may change what is recorded (people, items, offers) rather than add.
    """

    name: str
    fields: tuple[Field, ...]
    key: str | None = None
    people: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    distinct: tuple[str, str] | None = None
    ordered: tuple[tuple[str, str], ...] = ()
    recorded_from: str | None = None
    describes: str | None = None

    def field(self, name: str) -> Field | None:
        """Return the field called `name`, if there is one."""
        return next((field for field in self.fields if field.name == name), None)


OUTCOMES = tuple(
    state.value for state in GiftState if state not in (GiftState.HELD, GiftState.CANCELLED)
)
"""The states that an imported gift may be in: it was sent."""

_RECORDED = Field("recorded_at", Read.TIME)
_EVENT = Field("event", Read.ID)


def _id(name: str) -> Field:
    return Field(name, Read.ID, required=True)


def _choices(kind: type[Relation | Scene | Mechanics | Tier | Purpose]) -> tuple[str, ...]:
    return tuple(member.value for member in kind)


_KINDS = (
    FileKind(
        "people",
        (
            _id("person"),
            Field("birth_date", Read.DATE),
            Field("zone", Read.ZONE),
            Field("region", Read.REGION),
            Field("joined_at", Read.TIME),
            Field("gift_fen_limit", Read.WHOLE),
            Field("consents", Read.CHOICES, choices=_choices(Purpose)),
            _RECORDED,
        ),
        recorded_from="joined_at",
        describes="person",
    ),
    FileKind(
        "items",
        (
            _id("item"),
            Field("name", Read.TEXT),
            Field("price_fen", Read.WHOLE, required=True),
            Field("tier", Read.CHOICE, default=Tier.GOODS.value, choices=_choices(Tier)),
            Field("category", Read.TEXT, default="other"),
            Field("kind", Read.TEXT, default="goods"),
            Field(
                "mechanics",
                Read.CHOICE,
                default=Mechanics.DIRECT.value,
                choices=_choices(Mechanics),
            ),
            Field(
                "relations",
                Read.CHOICES,
                default=Relation.FRIEND.value,
                choices=_choices(Relation),
            ),
            Field("scenes", Read.CHOICES, default=Scene.CHAT.value, choices=_choices(Scene)),
            Field("brand", Read.TEXT),
            Field("creator", Read.ID),
            Field("stock", Read.WHOLE),
            Field("sale_from", Read.TIME),
            Field("sale_until", Read.TIME),
            Field("odds_disclosed", Read.TRUTH),
            Field("ip_owner", Read.TEXT),
            _RECORDED,
        ),
        ordered=(("sale_from", "sale_until"),),
        describes="item",
    ),
    FileKind(
        "friendships",
        (
            _id("person"),
            _id("friend"),
            Field("since", Read.TIME, default=0),
            Field("until", Read.TIME),
            _RECORDED,
        ),
        people=("person", "friend"),
        distinct=("person", "friend"),
        ordered=(("since", "until"),),
        recorded_from="since",
    ),
    FileKind(
        "gifts",
        (
            Field("gift", Read.ID),
            _id("sender"),
            _id("recipient"),
            _id("item"),
            Field("occurred_at", Read.TIME, required=True),
            Field("outcome", Read.CHOICE, choices=OUTCOMES),
            Field("outcome_at", Read.TIME),
            Field("price_fen", Read.WHOLE),
            Field(
                "relation",
                Read.CHOICE,
                default=Relation.FRIEND.value,
                choices=_choices(Relation),
            ),
            Field("scene", Read.CHOICE, default=Scene.CHAT.value, choices=_choices(Scene)),
            Field("occasion", Read.CHOICE, default="none", choices=OCCASIONS),
            _RECORDED,
        ),
        key="gift",
        people=("sender", "recipient"),
        items=("item",),
        distinct=("sender", "recipient"),
        ordered=(("occurred_at", "outcome_at"), ("occurred_at", "recorded_at")),
        recorded_from="occurred_at",
    ),
    FileKind(
        "interactions",
        (
            _EVENT,
            _id("sender"),
            _id("recipient"),
            Field("kind", Read.WORD, default="message"),
            Field("weight", Read.WEIGHT, default=1.0),
            Field("occurred_at", Read.TIME, required=True),
            _RECORDED,
        ),
        key="event",
        people=("sender", "recipient"),
        distinct=("sender", "recipient"),
        ordered=(("occurred_at", "recorded_at"),),
        recorded_from="occurred_at",
    ),
    FileKind(
        "item_events",
        (
            _EVENT,
            _id("person"),
            _id("item"),
            Field("kind", Read.CHOICE, default="liked", choices=("bought", "liked", "wished")),
            Field("weight", Read.WEIGHT, default=1.0),
            Field("occurred_at", Read.TIME, default=0),
            _RECORDED,
        ),
        key="event",
        people=("person",),
        items=("item",),
        ordered=(("occurred_at", "recorded_at"),),
        recorded_from="occurred_at",
    ),
    FileKind(
        "offers",
        (
            _id("offer"),
            Field("brand", Read.TEXT, required=True),
            Field("category", Read.TEXT, default="other"),
            Field("item", Read.ID),
            Field("value_fen", Read.WHOLE, required=True),
            Field("price_fen", Read.WHOLE, default=0),
            Field("starts_at", Read.TIME, required=True),
            Field("ends_at", Read.TIME, required=True),
            _RECORDED,
        ),
        items=("item",),
        ordered=(("starts_at", "ends_at"),),
        recorded_from="starts_at",
        describes="offer",
    ),
    FileKind(
        "offer_events",
        (
            _EVENT,
            _id("offer"),
            _id("person"),
            Field(
                "kind",
                Read.CHOICE,
                required=True,
                choices=("shown", "clicked", "redeemed", "held_out"),
            ),
            Field("occurred_at", Read.TIME, required=True),
            _RECORDED,
        ),
        key="event",
        people=("person",),
        offers=("offer",),
        ordered=(("occurred_at", "recorded_at"),),
        recorded_from="occurred_at",
    ),
)

FILE_KINDS: Mapping[str, FileKind] = {kind.name: kind for kind in _KINDS}
"""Every kind of file by its name, in the order in which they are imported."""


def mapping_of(kind: FileKind, mapping: Mapping[str, str]) -> dict[str, tuple[str, bool]]:
    """Return the columns that a mapping names for the fields of `kind`.

    Parameters
    ----------
    mapping
        Field (`item`, or `gifts.item` for one kind of file only) to column.

    Returns
    -------
    dict
        Field to column and whether this very file kind was named; the kind's own entry wins.

    Raises
    ------
    InvalidInput
        If no kind of file has such a field.
    """
    chosen: dict[str, tuple[str, bool]] = {}
    for name, column in mapping.items():
        prefix, _, field = name.rpartition(".")
        prefix = prefix.replace("-", "_")
        kinds = [FILE_KINDS[prefix]] if prefix in FILE_KINDS else [] if prefix else [*_KINDS]
        if not any(candidate.field(field) for candidate in kinds):
            raise InvalidInput(
                f"no file has a field {name!r}",
                "map fields to columns, as in occurred_at=timestamp or gifts.item=sku",
            )
        named = prefix == kind.name
        if kind.field(field) and (named or (not prefix and field not in chosen)):
            chosen[field] = (column, named)
    return chosen
