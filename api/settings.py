"""The settings: each with its environment variable, its default and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from engine.domain.errors import InvalidInput

_CHECKOUT = Path(__file__).resolve().parents[1]
_SCHEMES = ("sqlite", "postgresql")
_EMBEDDED = "sqlite:///<home>/lishang.db"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that describes itself; a password in `value` is masked."""

    name: str
    variable: str
    default: str
    value: str
    meaning: str


class Settings(BaseModel):
    """What an installation decides; read once, never changed."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Path = Field(
        default=Path("var"),
        description="Folder of everything the service keeps: database, models, exports.",
        json_schema_extra={"variable": "LISHANG_HOME"},
    )
    database_url: str = Field(
        default_factory=lambda read: f"sqlite:///{read['home'] / 'lishang.db'}",
        repr=False,
        description="The ledger: sqlite:///file or postgresql://user:password@host/name.",
        json_schema_extra={"variable": "LISHANG_DATABASE_URL"},
    )
    rules: Path = Field(
        default=_CHECKOUT / "rules",
        description="Folder of the rule packs.",
        json_schema_extra={"variable": "LISHANG_RULES"},
    )
    mlflow_tracking_uri: str | None = Field(
        default=None,
        repr=False,
        min_length=1,
        description="The MLflow server; without one, a database and a folder under home.",
        json_schema_extra={"variable": "MLFLOW_TRACKING_URI"},
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="The address to listen on; /metrics and /readyz need no key.",
        json_schema_extra={"variable": "LISHANG_HOST"},
    )
    port: int = Field(
        default=8080,
        ge=0,
        le=65_535,
        description="The port to listen on; 0 takes a free one.",
        json_schema_extra={"variable": "PORT"},
    )
    housekeeping_seconds: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="How often each worker expires gifts and looks for what is old.",
        json_schema_extra={"variable": "LISHANG_HOUSEKEEPING_SECONDS"},
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="The least severe line to log: debug, info, warning or error.",
        json_schema_extra={"variable": "LISHANG_LOG_LEVEL"},
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if urlsplit(url).scheme.partition("+")[0] not in _SCHEMES:
            raise ValueError("use sqlite:///… or postgresql://…")
        return url

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings from environment variables; an empty variable counts as absent.

        Raises
        ------
        InvalidInput
            If a variable has a value that its setting cannot take; names the variable.
        """
        given = {name: env[v] for name, v in cls._variables().items() if env.get(v, "").strip()}
        try:
            # Strings mode reads numbers and paths from text and is strict about the rest.
            return cls.model_validate_strings(given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            name = str(first["loc"][0])
            raise InvalidInput(
                f"{cls._variables()[name]}: {first['msg']}",
                f"{cls.model_fields[name].description} See: lishang settings",
            ) from error

    @classmethod
    def describe_defaults(cls) -> list[Setting]:
        """Return every setting at its default, for the documentation."""
        return cls().describe()

    def describe(self) -> list[Setting]:
        """Return every setting with its variable, default, present value and meaning."""
        described = []
        for name, variable in self._variables().items():
            field = type(self).model_fields[name]
            default = _EMBEDDED if field.default_factory else _shown(field.default)
            value = _shown(getattr(self, name))
            meaning = field.description or ""
            described.append(Setting(name, variable, default, _masked(value), meaning))
        return described

    @classmethod
    def _variables(cls) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, field in cls.model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict):
                found[name] = str(extra["variable"])
        return found


def _shown(value: object) -> str:
    if isinstance(value, Path) and value.is_relative_to(_CHECKOUT):
        return str(value.relative_to(_CHECKOUT))
    return "–" if value is None else str(value)


def _masked(value: str) -> str:
    """Return `value` with a URL's password and query, which may hold one too, hidden."""
    parts = urlsplit(value) if "://" in value else None
    if parts is None or not (parts.password or parts.query):
        return value
    netloc = parts.netloc
    if parts.password:
        user = netloc.rpartition("@")[0].partition(":")[0]
        netloc = f"{user}:***@{netloc.rpartition('@')[2]}"
    query = "***" if parts.query else ""
    return urlunsplit(parts._replace(netloc=netloc, query=query))
