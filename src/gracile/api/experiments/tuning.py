"""A recipe's settings tuned, by one worker or several."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gracile.api.arguments import checked
from gracile.api.checking import check_recipe
from gracile.data import find_cases, select
from gracile.data.layouts import sources
from gracile.ensemble import single
from gracile.errors import GracileError, UsageError
from gracile.io.atomic import require_writable
from gracile.recipe import Recipe, read_recipe

GRACE_SECONDS = 5
"""How long workers that were interrupted may take to leave their trials in order."""


@checked
def tune(
    study: str | Path,
    recipe: str | Path | Recipe,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    settings: Sequence[str] = (),
    start: str | Path | None = None,
    trials: int | None = None,
    workers: int = 1,
    minutes: float = 0,
    cases: str = "",
    exclude: str = "",
    split: str | Path | None = None,
    storage: str = "",
    threads: int = 0,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Try the settings of a study on a recipe, each by an ordinary training on the same split.

    The same call again continues the study, or joins those who work on it. The validation split chooses, so that the
    best score is optimistic; keep test data out of ``data``.

    Args:
        study: Name of a study, or a YAML file.
        recipe: Name of a recipe, a YAML file, or a recipe.
        data: One or several data folders or CSV files.
        out: Folder of the study; ``best.yaml`` in it is the recipe with the best setting.
        settings: ``key=value`` changes to the recipe, in every trial.
        start: Bundle that every trial starts from.
        trials: Number of trials, those of earlier calls included; None takes the study's.
        workers: Processes that work side by side.
        minutes: Begin no trial after this time; 0 sets no limit.
        cases: Comma-separated ids or file stems to take; empty takes all.
        exclude: Those to leave out.
        split: A ``split.json`` to use; None draws one by subject.
        storage: Address of a database for the trials; empty is a file in ``out``.
        threads: Processor threads of a training, where the recipe does not say.
        say: Told of each trial that ends.

    Returns:
        The page, ``out/index.html``.
    """
    from gracile.learning.tune import begin, finish, work
    from gracile.study import read_study

    if workers < 1:
        raise UsageError(f"{workers} workers do nothing.", "Give one at least.")
    chosen = recipe if isinstance(recipe, Recipe) else read_recipe(recipe, list(settings))
    check_recipe(chosen)
    require_writable(out, "trials/", "study.json", "best.yaml", "trials.csv", "tuning.json", "index.html")
    found = select(find_cases(data, chosen), include=cases, exclude=exclude)
    start = None if start is None else single(start)
    plan = begin(read_study(study), chosen, found, Path(out), start=start, split=split, threads=threads)
    if workers == 1:
        return work(plan, trials=trials, minutes=minutes, storage=storage, say=say)
    common = {"trials": trials, "minutes": minutes, "cases": cases, "exclude": exclude, "storage": storage}
    again = {"start": None if start is None else str(start), "data": [str(path) for path in sources(data)]}
    _run_workers(Path(out), workers, threads, {**common, **again})
    return finish(plan, storage)


def _run_workers(out: Path, workers: int, threads: int, options: dict[str, Any]) -> None:
    """Run the same study in several processes until all of them have ended."""
    share = threads or max(1, (os.cpu_count() or 1) // workers)
    places = {"study": str(out / "study.yaml"), "recipe": str(out / "recipe.yaml"), "out": str(out)}
    start = "from gracile.api.experiments.tuning import work_as_told; work_as_told()"
    command = [sys.executable, "-c", start, json.dumps({**options, **places, "threads": share})]
    running = [subprocess.Popen(command, env={**os.environ, **_device(number)}) for number in range(workers)]
    try:
        failed = [process for process in running if process.wait() != 0]
    except BaseException:
        for process in running:  # a terminal interrupts them as well, and each gives its trial back
            try:
                process.wait(timeout=GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.terminate()
        raise
    if len(failed) == workers:
        raise GracileError("Every worker ended with an error.", "What went wrong stands above.")


def work_as_told() -> None:
    """Work on a study that another process began: one worker, told by the program's first argument as JSON."""
    try:
        tune(**json.loads(sys.argv[1]), say=lambda sentence: print(sentence, flush=True))
    except GracileError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _device(number: int) -> dict[str, str]:
    """What gives each worker a graphics card of its own, where there are several."""
    from gracile.devices import graphics_cards

    count = graphics_cards()
    if count < 2:
        return {}
    cards = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(str(index) for index in range(count))
    return {"CUDA_VISIBLE_DEVICES": cards.split(",")[number % count]}
