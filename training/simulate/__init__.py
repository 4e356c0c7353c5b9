"""A generated town: a lawful log of people, ties, gifts and offers whose truth is known."""

from training.simulate.town import MAX_PEOPLE, MIN_PEOPLE, TownSummary, write_town

__all__ = ["MAX_PEOPLE", "MIN_PEOPLE", "TownSummary", "write_town"]
