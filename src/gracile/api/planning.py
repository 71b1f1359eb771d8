"""Plans a training for a data set."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gracile.api.arguments import checked
from gracile.errors import UsageError
from gracile.io.atomic import require_writable
from gracile.recipe import Recipe

if TYPE_CHECKING:
    from gracile.plan import Plan

log = logging.getLogger(__name__)

PLAN_FILES = ("plan.json", "plan.html", "plan.yaml")


@checked
def plan(
    data: str | Path | Sequence[str | Path],
    *,
    minutes: float = 0,
    rules: str | Path | None = None,
    cases: str = "",
    exclude: str = "",
    settings: Sequence[str] = (),
) -> "Plan":
    """Look at a data set and plan a training for it: what ``gracile train auto`` does first.

    Args:
        data: One or several data folders or CSV files.
        minutes: That the training may take in all; 0 takes `gracile.plan.planning.MINUTES`.
        rules: A file that changes the rules.
        cases: Comma-separated ids or file stems to take; empty takes all.
        exclude: Those to leave out.
        settings: ``key=value`` changes that the recipe will have whatever is planned.

    Returns:
        The recipe with its reasons, what the data are, and what was tried.

    Raises:
        DataError: The data cannot be trained on.
    """
    from gracile.plan.planning import MINUTES, make_plan

    table = None if rules is None else Path(rules)
    return make_plan(data, minutes or MINUTES, table, cases=cases, exclude=exclude, settings=settings)


def planned(
    data: str | Path | Sequence[str | Path], out: Path, minutes: float, cases: str, exclude: str,
    settings: Sequence[str], say: Callable[[str], None],
) -> tuple[Recipe, float]:  # fmt: skip
    """The recipe planned for a run, which is recorded there, and the minutes that it has.

    Raises:
        UsageError: There is a run already.
    """
    if (out / "recipe.yaml").exists():
        raise UsageError(f"{out} already holds a run.", "Add --resume to continue it, or choose another --out.")
    require_writable(out, *PLAN_FILES, depth=2)
    made = plan(data, minutes=minutes, cases=cases, exclude=exclude, settings=settings)
    made.write(out / "plan.yaml")
    for warning in made.warnings:
        log.warning("%s", warning)
    say(f"Planned in {made.seconds:.0f} s: {made.title}. Why: {out / 'plan.html'}")
    return made.recipe, made.minutes
