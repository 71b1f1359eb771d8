"""What stands above single runs: two models compared, a recipe's settings tuned."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gracile.api.checking import check_recipe
from gracile.data import CaseFiles, find_cases, select
from gracile.data.splits import read_split
from gracile.errors import GracileError, UsageError
from gracile.recipe import Recipe, read_recipe

if TYPE_CHECKING:
    from gracile.api import Model
    from gracile.inference.before_after import Compared, Contender

log = logging.getLogger(__name__)

GRACE_SECONDS = 5
"""How long workers that were interrupted may take to leave their trials in order."""


def compare(
    before: "str | Path | Model",
    after: "str | Path | Model",
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    protocol: str = "",
    cases: str = "",
    exclude: str = "",
    device: str = "auto",
) -> "Compared":
    """Set two models side by side on labeled cases, such as one before and after its fine-tuning.

    Args:
        before: A name, a folder or a loaded model.
        after: Likewise; its recipe says how the labels are read.
        data: One or several data folders or CSV files that neither model was trained on.
        out: Folder to write masks, ``comparison.json``, ``comparison.csv`` and ``index.html`` to.
        protocol: A name of `gracile.names.PROTOCOLS`; that of the model after when empty.
        cases: Comma-separated ids or file stems to take; empty takes all.
        exclude: Those to leave out.
        device: ``auto``, ``cpu`` or ``cuda``.
    """
    from gracile.inference.before_after import compare_models

    sides = [_contender(model, device) for model in (before, after)]
    sources = [data] if isinstance(data, str | Path) else list(data)
    found = find_cases([Path(source) for source in sources], sides[1].pipeline.recipe)
    chosen = select(found, include=cases, exclude=exclude)
    return compare_models(before=sides[0], after=sides[1], cases=chosen, out=Path(out), protocol=protocol)


def _contender(model: "str | Path | Model", device: str) -> "Contender":
    from gracile.api import Model, load
    from gracile.inference.before_after import Contender

    loaded = model if isinstance(model, Model) else load(model, device=device)
    path = Path("model" if isinstance(model, Model) else model)
    name = path.parent.name if path.name == "bundle" else path.name
    return Contender(name or "model", loaded.pipeline, loaded.card, loaded.checksums)


def compare_held_back(before: str | Path, after: Path, cases: Sequence[CaseFiles], out: Path) -> None:
    """Compare a fine-tuned bundle with the one it started from on the cases held back; says why where it cannot."""
    from gracile.inference.before_after import compare_models

    held_back = set(read_split(out / "split.json")[1])
    if not held_back:
        return
    note = (
        "These cases were held back from the training and chose among its weights, so that the scores after are "
        "optimistic; whether the model before was trained on them is not known. Compare on others with: gracile compare"
    )
    try:
        some = [files for files in cases if files.id in held_back]
        compare_models(_contender(before, "auto"), _contender(after, "auto"), some, out / "comparison", notes=[note])
    except GracileError as error:
        log.warning("There is no comparison with the model before: %s", error)


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
    from gracile.study import read_study
    from gracile.training.tune import begin, finish, work

    if workers < 1:
        raise UsageError(f"{workers} workers do nothing.", "Give one at least.")
    chosen = recipe if isinstance(recipe, Recipe) else read_recipe(recipe, list(settings))
    check_recipe(chosen)
    sources = [data] if isinstance(data, str | Path) else list(data)
    found = select(find_cases([Path(source) for source in sources], chosen), include=cases, exclude=exclude)
    plan = begin(read_study(study), chosen, found, Path(out), start=start, split=split, threads=threads)
    if workers == 1:
        return work(plan, trials=trials, minutes=minutes, storage=storage, say=say)
    common = {"trials": trials, "minutes": minutes, "cases": cases, "exclude": exclude, "storage": storage}
    again = {"start": None if start is None else str(start), "data": [str(source) for source in sources]}
    _run_workers(Path(out), workers, threads, {**common, **again})
    return finish(plan, storage)


def _run_workers(out: Path, workers: int, threads: int, options: dict[str, Any]) -> None:
    """Run the same study in several processes until all of them have ended."""
    share = threads or max(1, (os.cpu_count() or 1) // workers)
    places = {"study": str(out / "study.yaml"), "recipe": str(out / "recipe.yaml"), "out": str(out)}
    start = "from gracile.api.experiments import work_as_told; work_as_told()"
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
    import torch

    count = torch.cuda.device_count()
    if count < 2:
        return {}
    cards = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(str(index) for index in range(count))
    return {"CUDA_VISIBLE_DEVICES": cards.split(",")[number % count]}
