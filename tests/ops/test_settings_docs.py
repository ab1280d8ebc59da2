"""The operator's guide names every setting, with its default and its meaning, and no other."""

from pathlib import Path

from pydantic import SecretStr

from services.settings import Settings

GUIDE = Path(__file__).parents[2] / "deploy" / "README.md"


def test_the_operators_guide_lists_every_setting_and_no_other() -> None:
    listed = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `TIDEMARK_")]
    wanted = [_line(name) for name in Settings.model_fields]
    assert listed == wanted, "the table in deploy/README.md must be:\n" + "\n".join(wanted)


def _line(name: str) -> str:
    field = Settings.model_fields[name]
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    shown = f"`{default}`" if default != "" else "-"
    return f"| `TIDEMARK_{name.upper()}` | {shown} | {field.description} |"
