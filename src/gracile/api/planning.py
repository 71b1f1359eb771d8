"""Plans a training for a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gracile.api.arguments import checked
from gracile.errors import UsageError
from gracile.io.atomic import require_writable
from gracile.recipe import Recipe
from gracile.recipe.reading import recipe_from

if TYPE_CHECKING:
    from gracile.plan import Plan

PLAN_FILES = ("plan.json", "plan.html", "plan.yaml")


@checked
def plan(data: str | Path | Sequence[str | Path], *, minutes: float = 0, rules: str | Path | None = None) -> "Plan":
    """Look at a data set and plan a training for it: what ``gracile train auto`` does first.

    Args:
        data: One or several data folders or CSV files.
        minutes: That the training may take in all; 0 takes `gracile.plan.planning.MINUTES`.
        rules: A file that changes the rules.

    Returns:
        The recipe with its reasons, what the data are, and what was tried.

    Raises:
        DataError: The data cannot be trained on.
    """
    from gracile.plan.planning import MINUTES, make_plan

    return make_plan(data, minutes or MINUTES, None if rules is None else Path(rules))


def planned(
    data: str | Path | Sequence[str | Path], out: Path, minutes: float, settings: Sequence[str]
) -> tuple[Recipe, float]:
    """The recipe planned for a run, which is recorded there, and the minutes that it has.

    Raises:
        UsageError: There is a run already.
    """
    if (out / "recipe.yaml").exists():
        raise UsageError(f"{out} already holds a run.", "Add --resume to continue it, or choose another --out.")
    require_writable(out, *PLAN_FILES, depth=2)
    made = plan(data, minutes=minutes)
    made.write(out / "plan.yaml")
    return recipe_from(made.recipe.model_dump(mode="json"), list(settings)), made.minutes
