"""The facts of `offer_show`: may this offer be shown to this person, now?"""

from __future__ import annotations

from engine.policy.catalogue import FactCatalogue
from engine.policy.entries import FactEntry, FactType

_BOOL, _INT, _TEXT = FactType.BOOL, FactType.INT, FactType.TEXT

OFFER_SHOW = FactCatalogue(
    "offer_show",
    [
        FactEntry(
            "person.offers_consent",
            _BOOL,
            "the person's consents",
            "Whether the person agreed to brand offers chosen for them.",
        ),
        # 0 makes an age rule that does not ask `…_known` treat the unknown as the youngest.
        FactEntry(
            "person.age_years",
            _INT,
            "the person's record",
            "The person's completed years.",
            "years",
            0,
            least=0,
        ),
        FactEntry("offer.running", _BOOL, "the offer", "Whether its period is now."),
        FactEntry("offer.category", _TEXT, "the offer", "The offer's category."),
        FactEntry(
            "person.held_out",
            _BOOL,
            "the offer's random hold-out",
            "Whether chance keeps this person from this offer, to measure its effect.",
        ),
        FactEntry(
            "person.shown_7d",
            _INT,
            "the offer events",
            "Offers shown to the person in the last 7 days, this one not included.",
            "offers",
            least=0,
        ),
        FactEntry(
            "person.offer_redeemed",
            _BOOL,
            "the offer events",
            "Whether the person redeemed this offer already.",
        ),
    ],
)
"""What rules about showing an offer may read."""
