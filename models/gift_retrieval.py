"""From some thousand items to some hundred: what suits the recipient, their friends, or anyone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.domain.pair_state import Floats, Ints
from engine.domain.ports import FRIENDS_HISTORY_LIMIT, GAVE, GiftCandidate, GiftContext
from models.item_catalogue import ItemCatalogue
from models.item_popularity import ItemPopularity, occasion_index
from models.item_signals import Taste, of_kinds, taste_of
from models.item_similarity import ItemSimilarity

_SHARES = (("similar", 4.0), ("friends", 2.0), ("similar", 1.0), ("popular", 2.0))
"""How the places are shared among what suits the recipient, their friends, the sender's habits and
anyone; a source that runs out leaves its places to the others."""

_FILES = ("catalogue.json", "similarity.npz", "popularity.npz")


@dataclass(frozen=True, slots=True, eq=False)
class GiftEvidence:
    """All that a context says about each of n items."""

    recipient: Taste
    wished: Taste
    sender: Taste
    """What the sender chose before: gave away or bought."""
    friends: Taste
    similar: Floats
    """Similarity to the recipient's history, n."""
    friends_similar: Floats
    sender_similar: Floats
    """Similarity to what the sender chose before, n."""
    occasion: int


@dataclass(frozen=True, slots=True, eq=False)
class GiftRetrieval:
    """Finds candidates; `repeats` tells whether people are given what they already have."""

    catalogue: ItemCatalogue
    similarity: ItemSimilarity
    popularity: ItemPopularity
    repeats: bool

    def evidence(self, context: GiftContext) -> GiftEvidence:
        """Return what `context` says about every item."""
        recipient = taste_of(
            self.catalogue,
            # What somebody gives away tells of others' tastes.
            tuple(signal for signal in context.recipient_history if signal.kind != GAVE),
        )
        sender = taste_of(self.catalogue, of_kinds(context.sender_history, GAVE, "bought"))
        friends = taste_of(self.catalogue, context.recipient_friends_history, FRIENDS_HISTORY_LIMIT)
        return GiftEvidence(
            recipient,
            taste_of(self.catalogue, of_kinds(context.recipient_history, "wished")),
            sender,
            friends,
            self.similarity.score(recipient.weights),
            self.similarity.score(friends.weights),
            self.similarity.score(sender.weights),
            occasion_index(context.occasion),
        )

    def candidates(self, evidence: GiftEvidence, limit: int) -> list[GiftCandidate]:
        """Return up to `limit` distinct items, the best of each source in turn.

        A candidate's score falls from one on with its place in its source's list.
        """
        n = len(self.catalogue)
        turn = np.full(n, np.inf)
        source = np.zeros(n, dtype=np.int64)
        for index, (scores, (_, share)) in enumerate(
            zip(self._attractions(evidence), _SHARES, strict=True)
        ):
            best = _best(scores, limit)
            turns = (np.arange(len(best)) + 1.0) / share
            earlier = turns < turn[best]
            turn[best[earlier]] = turns[earlier]
            source[best[earlier]] = index
        order = np.argsort(turn, kind="stable")[:limit]
        return [
            GiftCandidate(
                self.catalogue.items[place],
                _SHARES[source[place]][0],
                float(1.0 / (1.0 + turn[place])),
            )
            for place in order
            if np.isfinite(turn[place])
        ]

    def save(self, folder: Path) -> None:
        """Write the parts into `folder`."""
        catalogue, similarity, popularity = (folder / name for name in _FILES)
        self.catalogue.save(catalogue)
        self.similarity.save(similarity)
        self.popularity.save(popularity)

    @classmethod
    def load(cls, folder: Path, repeats: bool) -> GiftRetrieval:
        """Return the retrieval stored in `folder`.

        Raises
        ------
        ModelError
            If a part is absent or unreadable.
        """
        catalogue, similarity, popularity = (folder / name for name in _FILES)
        return cls(
            ItemCatalogue.load(catalogue),
            ItemSimilarity.load(similarity),
            ItemPopularity.load(popularity),
            repeats,
        )

    def _attractions(self, evidence: GiftEvidence) -> tuple[Floats, Floats, Floats, Floats]:
        """Return a score an item (−inf: not from this source) for each entry of `_SHARES`."""
        lift = self.popularity.category_lift[evidence.occasion][self.catalogue.category]
        recipient = _relative(evidence.similar) + 2.0 * evidence.wished.weights
        if self.repeats:
            recipient = recipient + _relative(evidence.recipient.weights)
        friends = _relative(evidence.friends.weights) + _relative(evidence.friends_similar)
        sender = _relative(evidence.sender_similar) + _relative(evidence.sender.weights)
        personal = [
            np.where(scores > 0, scores, -np.inf) for scores in (recipient, friends, sender)
        ]
        found = [*personal, self.popularity.recent + self.popularity.given + lift]
        if not self.repeats:
            owned = (evidence.recipient.weights > 0) & (evidence.wished.weights == 0)
            found = [np.where(owned, -np.inf, scores) for scores in found]
        return (found[0], found[1], found[2], found[3])


def _relative(scores: Floats) -> Floats:
    top = scores.max(initial=0.0)
    return scores / top if top > 0 else scores


def _best(scores: Floats, limit: int) -> Ints:
    """Return the positions of the `limit` best finite scores, best first, equals by position."""
    places = np.flatnonzero(np.isfinite(scores))
    if len(places) > limit:
        bar = np.partition(scores[places], len(places) - limit)[len(places) - limit]
        places = places[scores[places] >= bar]
    return places[np.argsort(-scores[places], kind="stable")][:limit]
