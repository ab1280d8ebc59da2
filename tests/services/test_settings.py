"""Settings: read once, and a misspelt one is an error."""

import pytest

from services.settings import Settings, UnknownSetting


def test_a_misspelt_variable_is_an_error_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_DATABSE_URL", "x")
    with pytest.raises(UnknownSetting, match="TIDEMARK_DATABSE_URL"):
        Settings.load()


def test_a_secret_is_not_shown() -> None:
    settings = Settings(master_secret="m" * 40)  # type: ignore[arg-type]
    assert "mmmm" not in repr(settings) + str(settings)
    assert settings.master_secret.get_secret_value() == "m" * 40


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(("name", "value"), [("PORT", "70000"), ("DATABASE_CONNECTIONS", "1"), ("PORT", "x")])
def test_a_value_out_of_bounds_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"TIDEMARK_{name}", value)
    with pytest.raises(ValueError, match=name.lower()):
        Settings.load()
