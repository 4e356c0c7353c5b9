"""Responses to offers: the chance that somebody redeems one, shown it or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulate.assumptions import CampaignAssumptions
from training.simulate.chance import Floats, Ints, sigmoid
from training.simulate.closeness import Ties
from training.simulate.people import Population


@dataclass(frozen=True, slots=True)
class Response:
    """Chances for each person asked about (k,)."""

    if_shown: Floats
    if_held_out: Floats
    click: Floats
    """That somebody shown the offer looks at it, redeemed or not."""


class Responder:
    """Knows everyone's latent leanings, and who of their friends redeemed which brand."""

    def __init__(
        self,
        people: Population,
        ties: Ties,
        fit: Floats,
        loyal_to: Ints,
        brands: int,
        usual_fen: float,
        given: CampaignAssumptions,
    ) -> None:
        self._people = people
        self._ties = ties
        self._fit = fit
        self._loyal_to = loyal_to
        self._redeemed = np.zeros((brands, len(people)), dtype=bool)
        self._usual_fen = usual_fen
        self._given = given

    def remember(self, brand: int, person: Ints) -> None:
        """Note who redeemed an offer of the brand."""
        self._redeemed[brand, person] = True

    def _friends_redeemed(self, brand: int, at: int) -> Ints:
        """Return how many present friends of everyone redeemed the brand's earlier offers."""
        ties = self._ties
        present = (ties.opens <= at) & (ties.closes > at)
        a, b = ties.a[present], ties.b[present]
        did = self._redeemed[brand]
        n = len(self._people)
        return np.bincount(a[did[b]], minlength=n) + np.bincount(b[did[a]], minlength=n)

    def to(
        self, person: Ints, brand: int, category: int, price_fen: int, discount: float, at: int
    ) -> Response:
        """Return how the people respond to an offer that begins at `at`.

        Parameters
        ----------
        person
            Indices of those asked about (k,).
        brand, category
            Indices of the offer's brand and category.
        price_fen, discount
            What one pays, and the share taken off the list price.
        """
        given, people = self._given, self._people
        fit = self._fit[person, category]
        friends = np.minimum(self._friends_redeemed(brand, at)[person], 3)
        dear = np.log2(price_fen / (self._usual_fen * people.spending[person]))
        organic = (
            given.organic_logit
            + given.organic_fit * fit
            + given.organic_loyalty * (self._loyal_to[person] == brand)
            + given.organic_friends * friends
            - given.price_pain * dear
        )
        deal = people.deals[person] * discount
        push = given.persuasion + given.persuasion_deal * deal + given.persuasion_fit * fit
        push = push + given.averse * people.averse[person]
        click = given.click_logit + given.click_fit * fit + given.click_deal * people.deals[person]
        return Response(sigmoid(organic + push), sigmoid(organic), sigmoid(click))
