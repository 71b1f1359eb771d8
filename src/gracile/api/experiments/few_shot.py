"""Few-shot curves: the same recipe trained on more and more cases, each time scored on the same others."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from typing_extensions import TypedDict

from gracile.api.arguments import checked
from gracile.api.checking import check_recipe
from gracile.api.landmarks import true_points
from gracile.api.model import Model, load
from gracile.bundle import read_bundle
from gracile.data import CaseFiles, find_cases, image_checksum, labeled, select
from gracile.data.case_files import case_names
from gracile.ensemble import single
from gracile.errors import DataError, UsageError
from gracile.evaluation import Evaluation, evaluate_landmarks, find_protocol
from gracile.evaluation import evaluate as evaluate_folders
from gracile.inference import Input, Options
from gracile.inference import predict as predict_inputs
from gracile.io import write_json, write_table, write_text
from gracile.io.atomic import require_writable
from gracile.io.checksums import learned_note
from gracile.io.model_card import LEARNED_FROM
from gracile.pages.few_shot import write_few_shot_page
from gracile.pages.landmark_scores import write_landmark_scores
from gracile.plain_data import Text, read_json
from gracile.recipe import Recipe, read_recipe, recipe_with


class RowShape(TypedDict):
    """What is read again of a training."""

    shots: int
    repeat: int
    minutes: float
    cases: list[Text]


class CurveShape(TypedDict):
    """What is read again of a ``few_shot.json``."""

    rows: list[RowShape]


@dataclass(frozen=True)
class FewShot:
    """A curve: a row for each training with ``shots``, ``repeat``, ``minutes`` and its scores; and its page."""

    rows: list[dict[str, Any]]
    report: Path


@checked
def few_shot(
    recipe: str | Path | Recipe,
    data: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    test: str,
    shots: Sequence[int],
    repeats: int = 1,
    order: str = "",
    settings: Sequence[str] = (),
    start: str | Path | None = None,
    exclude: str = "",
    protocol: str = "",
    device: str = "auto",
    notes: Sequence[str] = (),
    say: Callable[[str], None] | None = None,
) -> FewShot:
    """Train a recipe on training sets of several sizes and score each bundle on the same test cases.

    Nothing is held back for validation: the schedule is the recipe's, whatever the test cases say. The same call again
    goes on where it was interrupted, and one with other sizes adds them to the curve.

    Args:
        recipe: Name of a recipe, a YAML file, or a recipe.
        data: One or several data folders or CSV files, test cases included.
        out: Folder to write to: a folder for each training, for landmarks with a ``report.html``; ``few_shot.json``,
            ``few_shot.csv``, ``index.html``.
        test: The test cases, written as `gracile.data.select` reads them.
        shots: Sizes of the training set.
        repeats: Trainings of each size. They differ by the seed and, without an order, by the cases drawn.
        order: The cases to train on, written likewise: k shots are the first k, in every repeat. Empty draws them: the
            first k of an order that each repeat draws anew.
        settings: ``key=value`` changes to the recipe.
        start: Bundle whose weights every training starts from.
        exclude: Cases to leave out, written likewise.
        protocol: How to score; empty takes the recipe's.
        device: ``auto``, ``cpu`` or ``cuda``, to predict on.
        notes: What a reader of the scores must know of the data; in every report.
        say: Told of each training that is done.

    Raises:
        DataError: Cases that are not there, on both sides, or too few.
        UsageError: Sizes or repeats that make no sense, or ``out`` holds another curve.
    """
    import gracile.learning  # noqa: F401 - says at once where PyTorch is missing

    start = None if start is None else single(start)
    chosen = recipe if isinstance(recipe, Recipe) else read_recipe(recipe, list(settings))
    check_recipe(chosen)
    require_writable(out, "few_shot.json", "few_shot.csv", "index.html", depth=3)
    found = labeled(select(find_cases(data, chosen), exclude=exclude))
    tested = select(found, include=test)
    pool = _pool(found, tested, order)
    rules = find_protocol(protocol or chosen.protocol)
    _require_sizes(shots, repeats, pool)
    out = Path(out)
    plan = {
        "recipe": chosen.model_dump(mode="json"), "test": sorted(files.id for files in tested),
        "protocol": rules.name, "order": [files.id for files in pool] if order else None,
        "start": None if start is None else str(start),
    }  # fmt: skip
    notes = [*notes, *_learned(start, tested, chosen)]
    rows = begun(out, plan)
    for size in sorted(set(shots)):
        for repeat in range(1, repeats + 1):
            if any((row["shots"], row["repeat"]) == (size, repeat) for row in rows):
                continue
            cases = pool[:size] if order else _drawn(pool, size, chosen.train.seed + repeat - 1)
            row = _trained(chosen, cases, tested, rules.name, out, (size, repeat), start, device, notes)
            rows = sorted([*rows, row], key=lambda row: (row["shots"], row["repeat"]))
            write_json(out / "few_shot.json", {**plan, "rows": rows})
            if say is not None:
                say(f"{size} shots, repeat {repeat}: " + ", ".join(_words(row, rules.headline[:3])))
    write_table(out / "few_shot.csv", [{k: v for k, v in row.items() if k != "cases"} for row in rows])
    return FewShot(rows, write_few_shot_page(rows, chosen, rules, len(tested), out / "index.html", notes))


def _learned(start: str | Path | None, tested: Sequence[CaseFiles], recipe: Recipe) -> list[str]:
    """What must be said where the model that trainings start from was trained on test cases."""
    learned = read_bundle(start).card.get(LEARNED_FROM, ()) if start is not None else ()
    kind = recipe.input.kind
    note = learned_note([image_checksum(files.image, kind, files.channels) in learned for files in tested])
    return [f"The model to start from: {note}"] if note else []


def _trained(
    recipe: Recipe,
    cases: list[CaseFiles],
    tested: list[CaseFiles],
    protocol: str,
    out: Path,
    number: tuple[int, int],
    start: str | Path | None,
    device: str,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Train once and score the bundle; gives the row of the curve."""
    from gracile.learning.run import train

    size, repeat = number
    folder = out / f"{size:03d}-shots-{repeat}"
    seeded = recipe_with(recipe, {"train.validation": 0, "trainer.graphs": False, **_seeds(recipe, repeat - 1)})
    bundle = folder / "bundle"
    if not bundle.is_dir():
        bundle = train(seeded, cases, folder, start=start, resume=(folder / "recipe.yaml").is_file())
    model = load(bundle, device=device)
    evaluation = _scored(model, tested, protocol, folder, notes)
    evaluation.to_json(folder / "scores.json")
    return {
        "shots": size,
        "repeat": repeat,
        "cases": [files.id for files in cases],
        "minutes": model.card["training"]["minutes"],
        **{name: entry["mean"] for name, entry in evaluation.summary.items()},
    }


def _scored(model: Model, tested: list[CaseFiles], protocol: str, folder: Path, notes: Sequence[str]) -> Evaluation:
    """Predict the test cases from their images alone, and score what was written."""
    recipe = model.recipe
    out = folder / "predictions"
    kind: Literal["volume", "picture"] = "volume" if recipe.input.kind == "volume" else "picture"
    inputs = [Input(f.image, f.id, kind, channels=f.channels) for f in tested]
    regions = {files.region.parent for files in tested if files.region is not None}
    region = regions.pop() if len(regions) == 1 else None
    options = Options(regions=region, overwrite=True)
    summary = predict_inputs(
        model.pipeline, {"name": "bundle", "weights": model.checksums}, inputs, out, options, lambda *_: None
    )
    if summary.failed:
        name, reason = next(iter(summary.failed.items()))
        raise DataError(f"{name} cannot be predicted: {reason}", "Check it, or leave it out with --exclude.")
    rules = find_protocol(protocol)
    if rules.of_points:
        truth = {files.id: true_points(files, recipe) for files in tested}
        evaluation = evaluate_landmarks([out], truth, recipe.landmark_names, missing="worst")
        evaluation.notes[:0] = notes
        volumes = {files.id: files.image for files in tested}
        write_landmark_scores(evaluation, folder / "report.html", truth, volumes, out, {"predictions": str(out)})
        return evaluation
    masks = {files.id: files.label for files in tested if files.label is not None}
    if rules.score_case is not None:
        return evaluate_folders([out], masks, protocol, classes=recipe.classes, fov=region)
    table = folder / "truth.csv"
    write_text(table, "name,class\n" + "".join(f"{files.id},{files.frame_class}\n" for files in tested))
    return evaluate_folders([out], table, protocol, classes=recipe.classes)


def _seeds(recipe: Recipe, more: int) -> Mapping[str, Any]:
    """The recipe's seeds raised by a number."""
    own = {f"stages.{s.name}.train.seed": s.train["seed"] + more for s in recipe.stages if "seed" in s.train}
    return {"train.seed": recipe.train.seed + more, **own}


def _pool(found: list[CaseFiles], tested: list[CaseFiles], order: str) -> list[CaseFiles]:
    """The cases that may be trained on, in their order where one is given."""
    ids = {files.id for files in tested}
    rest = [files for files in found if files.id not in ids]
    if order:
        taken = {files.id: files for files in select(found, include=order)}
        rest = _in_order(taken, order)
    both = {files.subject for files in rest} & {files.subject for files in tested}
    if both:
        raise DataError(
            f"Subjects are on both sides: {', '.join(sorted(both)[:5])}.", "Name all cases of a subject on one side."
        )
    return rest


def _in_order(taken: Mapping[str, CaseFiles], order: str) -> list[CaseFiles]:
    named: dict[str, CaseFiles] = {}
    for name in case_names(order):
        (files,) = select(list(taken.values()), include=name)
        named[files.id] = files
    return list(named.values())


def _drawn(pool: Sequence[CaseFiles], size: int, seed: int) -> list[CaseFiles]:
    mixed = sorted(pool, key=lambda files: files.id)
    random.Random(seed).shuffle(mixed)
    return mixed[:size]


def _require_sizes(shots: Sequence[int], repeats: int, pool: Sequence[CaseFiles]) -> None:
    if not shots or min(shots) < 1 or repeats < 1:
        raise UsageError("A curve needs sizes of 1 and more, and one repeat at least.", "Write --shots 1,3,5,12.")
    if max(shots) > len(pool):
        raise DataError(f"There are {len(pool)} cases to train on, and {max(shots)} shots are asked for.", "Add cases.")


def begun(out: Path, plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of an earlier call in the same folder."""
    record = out / "few_shot.json"
    if not record.is_file():
        return []
    before = read_json(record, "Choose another --out.", shape=CurveShape)
    differing = [name for name, value in plan.items() if before.get(name) != value]
    if differing:
        raise UsageError(f"{out} holds a curve with another {differing[0]}.", "Choose another --out.")
    rows: list[dict[str, Any]] = before["rows"]
    return rows


def _words(row: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [f"{name} {row[name]:.4f}" for name in names if row.get(name) is not None]
