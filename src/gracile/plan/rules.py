"""The rules of a plan, read from a table that people can change."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gracile.errors import RecipeError, nearest
from gracile.plain_data import read_yaml

TABLE = Path(__file__).with_name("rules.yaml")


@dataclass(frozen=True)
class Rules:
    """Values by name, and where each comes from.

    Args:
        values: What is decided by.
        sources: Why it is so.
    """

    values: dict[str, Any]
    sources: dict[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def read_rules(path: Path | None = None) -> Rules:
    """The rules that come with Gracile, changed by those of a file.

    Raises:
        RecipeError: The file cannot be read, names a rule that there is not, or gives a value of another kind.
    """
    own = _table(TABLE)
    given = _table(path) if path else {}
    for name, entry in given.items():
        if name not in own:
            raise RecipeError(f"There is no rule {name!r}.", nearest(name, own))
        value, ours = entry["value"], own[name]["value"]
        numbers = isinstance(value, int | float) and isinstance(ours, int | float)
        if isinstance(value, bool) or not (numbers or isinstance(value, type(ours))):
            raise RecipeError(f"The rule {name!r} cannot be {value!r}.", f"It is such as {ours!r}.")
        if name == "enough_passes" and set(value) != set(ours):
            raise RecipeError(f"The rule {name!r} cannot be {value!r}.", f"It is such as {ours!r}.")
    whole = own | given
    shares = whole["hold_back"]["value"]
    if not all(str(count).isdigit() and isinstance(share, int | float) for count, share in shares.items()):
        raise RecipeError(f"The rule 'hold_back' cannot be {shares!r}.", "It is such as {20: 0.2, 60: 0.1}.")
    values = {name: entry["value"] for name, entry in whole.items()}
    return Rules(values, {name: str(entry.get("source", path)) for name, entry in whole.items()})


def _table(path: Path) -> dict[str, dict[str, Any]]:
    table = read_yaml(path, "Copy plan/rules.yaml and change it.", kind=RecipeError)
    if not isinstance(table, dict) or not all(isinstance(e, dict) and "value" in e for e in table.values()):
        raise RecipeError(f"{path} is no table of rules.", "Each rule is a name with `value`, `means` and `source`.")
    return table
