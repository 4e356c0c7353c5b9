"""durable_rules behind its guard: one call order, one session, and no silence taken for consent.

The C module locks sessions, matches nothing or kills the process when it is used in another order
than the one here. Whatever is not exactly as expected raises PolicyError, and the engine it
happened in is never asked again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache

import durable_rules_engine as durable
import msgspec

from engine.domain.errors import PolicyError
from engine.policy.attribute_names import KIND, asserted_name
from engine.policy.catalogue import FactCatalogue, Row, picker
from engine.policy.compiling import (
    FACT,
    NAME_LENGTH,
    SENTINEL,
    SENTINEL_RULE,
    WITNESS,
    Ruleset,
)

Fired = frozenset[int]
"""The indices of the rules that fired."""

MOST_RETIRED = 64
"""Engines given up before a pool refuses to make more: each keeps its memory (about 0.3 MB), since
deleting an engine in an unknown state can end the process."""

_SID, _ID = "0", "1"
_written = msgspec.json.Encoder().encode
_IDENTITY = _written({"id": _ID}).decode()
_SENTINEL_FACT = _written({"id": _ID, KIND: SENTINEL}).decode()
_ACCEPTED = 0
_NOTHING: Fired = frozenset()
_MOST_JUDGED = 512
_OPENING = len('{""') + NAME_LENGTH
_FAULTS = (durable.error, MemoryError, SystemError, ValueError, TypeError)


def _opening(name: str) -> str:
    """Return how an answer of the rule `name` begins."""
    return f'{{"{name}"'


_WITNESSED, _SENTINEL_FIRED = _opening(WITNESS), _opening(SENTINEL_RULE)


class _Language:
    """What goes into the engines of one ruleset and what their answers mean."""

    def __init__(self, ruleset: Ruleset, catalogue: FactCatalogue) -> None:
        self.name = ruleset.name
        self.definition = ruleset.definition
        # Sentinel and witness can join every rule; one answer more means an endless loop.
        self.most_answers = len(ruleset.rules) + 3
        self._rules = {_opening(name): index for name, index in ruleset.rules.items()}
        self.pick = picker([catalogue.place(fact) for fact in ruleset.facts])
        self.asserted = _asserted_type(len(ruleset.facts))
        # Few sets of rules ever fire together, and what they mean never changes.
        self.judged: dict[tuple[str, ...], Fired] = {}

    def judge(self, answers: tuple[str, ...]) -> Fired:
        """Return the rules behind an engine's answers, if these can be trusted."""
        rules = set(answers) - {_WITNESSED}
        if len(rules) == len(set(answers)):
            raise PolicyError("the rules engine did not prove that it read the facts")
        if len(rules) + 1 != len(answers) or not rules <= self._rules.keys():
            raise PolicyError("the rules engine reported a rule twice or one that is not there")
        found = frozenset(map(self._rules.__getitem__, rules))
        if len(self.judged) < _MOST_JUDGED:
            self.judged[answers] = found
        return found


@cache
def _asserted_type(attributes: int) -> Callable[..., object]:
    """Return the type of an asserted fact of so many attributes, to be called with their values.

    It is written as JSON field by field, and made faster than a dict. The kind stands last: the
    witness then proves that the fact was read to its end. Without a session of its own a fact
    belongs to the session "0".
    """
    constants = [("id", str, _ID), (KIND, str, FACT)]
    names = map(asserted_name, range(attributes))
    made = msgspec.defstruct("Asserted", [*names, *constants], gc=False)
    # Its first use, before a second thread has it: msgspec describes a type to itself then.
    _written(made(*[0] * attributes))
    return made


class _Engine:
    """One durable_rules ruleset with the one session it ever has; for one thread at a time."""

    def __init__(self, language: _Language) -> None:
        self._language = language
        self._most_answers = language.most_answers
        self._session: int | None = None
        self._handle: int = durable.create_ruleset(language.name, language.definition)
        if self._ask(_SENTINEL_FACT) != (_SENTINEL_FIRED,):
            raise PolicyError("a new rules engine did not fire its sentinel")

    def fired(self, row: Row) -> Fired:
        """Return which rules fire on one catalogue row."""
        language = self._language
        fact = language.asserted(*language.pick(row))
        answers = self._ask(_written(fact).decode())
        known = language.judged.get(answers)
        return language.judge(answers) if known is None else known

    def close(self) -> None:
        """Free the engine; the sentinel has fired, which makes this order safe."""
        durable.delete_state(self._handle, _SID)
        durable.delete_ruleset(self._handle)

    def _ask(self, fact: str) -> tuple[str, ...]:
        """Return how the answers on one fact begin, each with the name of a rule that fires.

        Assert, start, complete to the end, retract, and in no other order: `complete` without a
        started action ends the process, an action that is not completed locks the session.
        """
        handle = self._handle
        accepted, session = durable.assert_fact(handle, fact)
        if accepted != _ACCEPTED or session != self._session:
            self._begin(accepted, session)
        started = durable.start_action_for_state(handle, session)
        if started is None:
            raise PolicyError("the rules engine accepted the facts and answered nothing")
        answer: str | None = started[1]
        openings: list[str] = []
        while answer is not None:
            # The answer is {"name":{"m":{…}}} with the whole fact in it: cut, never parse.
            openings.append(answer[:_OPENING])
            if len(openings) > self._most_answers:
                raise PolicyError("the rules engine goes on answering")
            answer = durable.complete_and_start_action(handle, session)
        accepted, retracted = durable.retract_fact(handle, _IDENTITY)
        if accepted != _ACCEPTED or retracted != session:
            raise PolicyError(f"the rules engine did not retract the facts (result {accepted})")
        return tuple(openings)

    def _begin(self, accepted: int, session: int) -> None:
        """Remember the session that the first fact was accepted in; there is never another."""
        if accepted != _ACCEPTED or self._session is not None:
            raise PolicyError(f"the rules engine did not accept the facts (result {accepted})")
        self._session = session


class GuardedRules:
    """A pool of engines for the rulesets of one pack; safe to use from any number of threads.

    Parameters
    ----------
    rulesets
        What the pack compiled to; a check runs all of them.
    catalogue
        The catalogue whose rows will be checked.

    Raises
    ------
    PolicyError
        If durable_rules refuses a ruleset.
    """

    def __init__(self, rulesets: Sequence[Ruleset], catalogue: FactCatalogue) -> None:
        self._languages = tuple(_Language(ruleset, catalogue) for ruleset in rulesets)
        self._idle: deque[tuple[_Engine, ...]] = deque()
        self._count = threading.Lock()
        self._retired = 0
        self._closed = False
        self._idle.append(self._create())

    @property
    def retired(self) -> int:
        """How many engines were given up after an anomaly."""
        return self._retired

    def fired(self, rows: Iterable[Row]) -> list[Fired]:
        """Return which rules fire on each catalogue row.

        Raises
        ------
        PolicyError
            If the engine did anything unexpected: nothing may be allowed on its word.
        """
        engines = self._take()
        sound = False
        try:
            if len(engines) == 1:
                found = [*map(engines[0].fired, rows)]
            else:
                found = [_NOTHING.union(*(e.fired(row) for e in engines)) for row in rows]
            sound = True
        except _FAULTS as error:
            raise PolicyError(f"the rules engine failed: {error!r}") from error
        finally:
            # Also after KeyboardInterrupt and the like: a session may be left half drained.
            if not sound:
                self._retire()
        self._give_back(engines)
        return found

    def close(self) -> None:
        """Free all engines that are idle now, and the others when they come back."""
        self._closed = True
        self._close_idle()

    def _take(self) -> tuple[_Engine, ...]:
        if self._closed:
            raise PolicyError("these rules were closed")
        try:
            return self._idle.pop()
        except IndexError:
            return self._create()

    def _give_back(self, engines: tuple[_Engine, ...]) -> None:
        self._idle.append(engines)
        if self._closed:
            self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:  # pop, never iterate: two threads may be closing at once
                for engine in self._idle.pop():
                    engine.close()

    def _create(self) -> tuple[_Engine, ...]:
        if self._retired >= MOST_RETIRED:
            raise PolicyError(
                f"{self._retired} rules engines failed in this process", "restart the worker"
            )
        made: list[_Engine] = []
        try:
            for language in self._languages:
                made.append(_Engine(language))
        except _FAULTS as error:
            raise PolicyError(f"durable_rules refused a ruleset: {error!r}") from error
        finally:
            if len(made) < len(self._languages):
                self._retire()
                for engine in made:  # their sentinels have fired
                    engine.close()
        return tuple(made)

    def _retire(self) -> None:
        with self._count:
            self._retired += 1
