"""What a pack's YAML may contain, key by key."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from engine.policy.catalogue import GREATEST_NUMBER

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Sentence = Annotated[str, Field(min_length=1, max_length=1_000)]
Whole = Annotated[StrictInt, Field(ge=-GREATEST_NUMBER, le=GREATEST_NUMBER)]
Text = Annotated[StrictStr, Field(max_length=256)]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class CiteShape(_Shape):
    """Where a rule comes from, and whether counsel has checked it."""

    source: Sentence
    verified: bool


class RequireShape(_Shape):
    """What would satisfy the rule; until then it denies."""

    require: Literal["guardian_consent"]


class SetShape(_Shape):
    """Outputs that the rule sets, by name."""

    set: Annotated[dict[str, StrictBool | Whole | Text], Field(min_length=1)]


class ExampleShape(_Shape):
    """The facts that the rule reads, and whether it fires on them."""

    facts: dict[str, StrictBool | Whole | Text]
    fires: bool


class RuleShape(_Shape):
    """One rule."""

    id: Name
    description: Sentence
    when: Annotated[str, Field(min_length=1)]
    then: Literal["deny", "review", "allow"] | RequireShape | SetShape
    reason: Annotated[Code | None, Field(description="What anyone may be told")] = None
    cite: CiteShape | None = None
    priority: Annotated[
        int, Field(ge=0, le=1_000, description="Which of several rules that set one output wins")
    ] = 0
    examples: list[ExampleShape] = []


class EffectiveShape(_Shape):
    """From which instant the pack holds, and until which (not included) if it ends."""

    from_: Annotated[str, Field(alias="from")]
    until: str | None = None


class PackShape(_Shape):
    """One pack."""

    pack: Name
    decides: Name
    version: Annotated[int, Field(ge=1, le=1_000_000_000)]
    owner: Sentence
    jurisdiction: Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
    effective: EffectiveShape
    params: dict[Name, StrictBool | Whole | Text | list[Whole] | list[Text]] = {}
    rules: Annotated[list[RuleShape], Field(min_length=1, max_length=4_000)]
