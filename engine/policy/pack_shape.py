"""What a pack's YAML may contain, key by key."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from engine.domain.verdicts import GREATEST_NUMBER

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Sentence = Annotated[str, Field(min_length=1, max_length=1_000)]
Whole = Annotated[StrictInt, Field(ge=-GREATEST_NUMBER, le=GREATEST_NUMBER)]
Text = Annotated[StrictStr, Field(max_length=256)]

LONGEST_LIST = 100
"""Values of a parameter: a rule that asks for one of more, or for none of more, cannot be compiled
(`MOST_ALTERNATIVES`, `MOST_COMPARISONS`)."""

Numbers = Annotated[list[Whole], Field(max_length=LONGEST_LIST)]
Texts = Annotated[list[Text], Field(max_length=LONGEST_LIST)]


class _Shape(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True
    )


class CiteShape(_Shape):
    """Where a rule comes from, and whether counsel has checked it."""

    source: Sentence
    """The law, the article or the study; `ours` for a product choice."""
    verified: bool
    """Whether counsel has checked it."""


class RequireShape(_Shape):
    """What would satisfy the rule; until then it denies."""

    require: Literal["guardian_consent"]
    """What would have to be there."""


class SetShape(_Shape):
    """Outputs that the rule sets, by name."""

    set: Annotated[dict[str, StrictBool | Whole | Text], Field(min_length=1)]
    """Output to value; `lishang rules facts` lists every decision's outputs."""


class ExampleShape(_Shape):
    """The facts that the rule reads, and whether it fires on them."""

    facts: dict[str, StrictBool | Whole | Text]
    """Exactly the facts that `when` names, in whichever way it combines them."""
    fires: bool
    """Whether the rule fires on them."""


class RuleShape(_Shape):
    """One rule."""

    id: Name
    """Its name, once in a pack; decisions record it."""
    description: Sentence
    """What the rule says, for operators."""
    when: Annotated[str, Field(min_length=1)]
    """A condition over facts and `params.…`: `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `&&`, `||`,
    `!`, and `+ - * /` over params and whole numbers."""
    then: Literal["deny", "review", "allow"] | RequireShape | SetShape
    """What follows: deny beats review beats allow; a requirement denies and says what to do; a
    rule may set outputs instead."""
    reason: Code | None = None
    """What anyone may be told: a code of reasons.yaml. A rule that sets outputs has none."""
    cite: CiteShape | None = None
    """Where the rule comes from."""
    priority: Annotated[int, Field(ge=0, le=1_000)] = 0
    """Which of several rules that set one output wins: the highest."""
    examples: list[ExampleShape] = []
    """Facts that fire the rule and facts that do not."""


class EffectiveShape(_Shape):
    """From which instant the pack holds, and until which (not included) if it ends."""

    from_: Annotated[str, Field(alias="from")]
    """An instant with its offset, such as 2026-01-01T00:00:00+08:00."""
    until: str | None = None
    """An instant with its offset."""


class PackShape(_Shape):
    """One pack."""

    pack: Name
    """Its name."""
    decides: Name
    """The decision that it answers; its facts are all that rules may read."""
    version: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """What was published under a number stays under it."""
    owner: Sentence
    """Who answers for it."""
    jurisdiction: Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
    """Whose law it follows: ISO 3166, such as CN or CN-HK."""
    effective: EffectiveShape
    """When it holds."""
    params: dict[Name, StrictBool | Whole | Text | Numbers | Texts] = {}
    """Numbers, texts and lists of at most 100 that conditions name as `params.…`."""
    rules: Annotated[list[RuleShape], Field(min_length=1, max_length=4_000)]
    """The rules, in any order: all of them are asked."""
