"""Settings read from the environment, refuse what they cannot use and describe themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from api.settings import Settings
from engine.domain.errors import InvalidInput


def test_settings_without_environment_are_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.database_url == "sqlite:///var/lishang.db"
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.mlflow_tracking_uri is None
    assert settings.rules.name == "rules"
    assert (settings.rules.parent / "setup.cfg").exists()


def test_settings_follow_the_environment() -> None:
    settings = Settings.from_env(
        {"LISHANG_HOME": "/srv/l", "PORT": "9", "LISHANG_RULES": "/r", "LISHANG_LOG_LEVEL": "debug"}
    )
    assert settings.database_url == "sqlite:////srv/l/lishang.db"
    assert (settings.port, settings.rules, settings.log_level) == (9, Path("/r"), "debug")


def test_settings_take_an_empty_variable_as_absent() -> None:
    assert Settings.from_env({"PORT": "", "MLFLOW_TRACKING_URI": " "}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "8a"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "80.5"),
        ("LISHANG_LOG_LEVEL", "loud"),
        ("LISHANG_DATABASE_URL", "mysql://u:hunter2@h/d"),
    ],
)
def test_settings_with_a_bad_value_name_the_variable(variable: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Settings.from_env({variable: value})
    assert variable in caught.value.message
    assert "hunter2" not in str(caught.value)


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]


def test_settings_show_no_password() -> None:
    settings = Settings.from_env(
        {
            "LISHANG_DATABASE_URL": "postgresql://u:hunter2@h:5432/d?password=hunter2",
            "MLFLOW_TRACKING_URI": "https://u:hunter2@mlflow.example/x",
        }
    )
    shown = " ".join(setting.value for setting in settings.describe())
    assert "hunter2" not in shown
    assert "hunter2" not in repr(settings)
    assert "postgresql://u:***@h:5432/d" in shown


def test_settings_all_describe_themselves() -> None:
    described = Settings.describe_defaults()
    assert {setting.name for setting in described} == set(Settings.model_fields)
    assert len({setting.variable for setting in described}) == len(described)
    assert all(setting.meaning.endswith(".") for setting in described)


def test_settings_are_documented_as_they_are() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text()
    rows = [[c.strip(" `") for c in r.split("|")[1:-1]] for r in page.splitlines() if "| `" in r]
    assert rows == [[s.variable, s.default, s.meaning] for s in Settings.describe_defaults()]
