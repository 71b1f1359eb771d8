"""A training run: from recipe and cases to a bundle, with everything needed to repeat or resume it."""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only

from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.data import CaseFiles, fingerprint, labeled, load_split, save_split, split_by_subject
from gracile.errors import BundleError, DataError, UsageError
from gracile.io.atomic import write_json, write_text
from gracile.names import VERSION
from gracile.recipe import FuseSpec, Recipe, SegmentSpec, recipe_from
from gracile.stages import Stage, build_stage
from gracile.training.fit import fit_stage
from gracile.training.sampling import prepared_case
from gracile.training.schedule import require_validation

PACKAGES = ("torch", "torchvision", "monai", "lightning", "numpy", "scipy", "scikit-image", "safetensors")


def train(
    recipe: Recipe,
    cases: list[CaseFiles],
    out: Path,
    *,
    split: str | Path | None = None,
    start: str | Path | None = None,
    resume: bool = False,
) -> Path:
    """Train every stage of a recipe and write the bundle.

    Writes below ``out``: ``recipe.yaml`` (resolved), ``environment.json``, ``data.json`` (fingerprint), ``split.json``,
    per stage ``logs/metrics.csv``, TensorBoard events and the checkpoints ``last.ckpt`` and ``best.ckpt``, and
    ``bundle/``.

    Args:
        recipe: What to train.
        cases: Labeled cases; those without a label are left out.
        out: Folder of the run.
        split: A ``split.json`` to use; None draws one by subject.
        start: Bundle whose weights to start from.
        resume: Continue the run in ``out`` with its own recipe and split.

    Returns:
        The folder of the bundle.

    Raises:
        DataError: No labeled case, or other data than the run was started with.
        RecipeError: A plateau schedule or an early stop without cases held back.
        UsageError: ``out`` holds a run and ``resume`` was not asked for, or the reverse.
    """
    usable = labeled(cases)
    if not usable:
        raise DataError("None of the cases has a label.", "Run: gracile data check DATA --recipe RECIPE.")
    record = out / "recipe.yaml"
    if record.exists() and not resume and _is_first():
        raise UsageError(f"{out} already holds a run.", "Add --resume to continue it, or choose another --out.")
    if resume and _is_first():
        _require_same_data(usable, out / "data.json")
    training, validation = _split(usable, recipe, out, out / "split.json" if resume else split)
    source = read_bundle(start) if start else None
    stages = [_untrained(spec, recipe, source) for spec in recipe.stages]
    if resume and _is_first():
        _require_same_start(source, out, recipe)
    if _is_first() and not resume:
        _write_record(recipe, usable, out, source)
    weights: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    for stage in stages:
        prepared = [[prepared_case(c, recipe, out / "cache") for c in part] for part in (training, validation)]
        figures[stage.name] = fit_stage(stage, prepared[0], prepared[1], recipe, out / stage.name)
        weights[stage.name] = stage.bundle_state()
    if _is_first():
        write_bundle(Bundle(recipe=recipe, weights=weights, card=_card(recipe, out, figures)), out / "bundle")
    return out / "bundle"


def _untrained(spec: SegmentSpec | FuseSpec, recipe: Recipe, source: Bundle | None) -> Stage:
    """A stage with the weights to begin with: the recipe's, or those of the bundle to start from."""
    with torch.random.fork_rng():
        torch.manual_seed(recipe.train.seed)
        stage = build_stage(spec, recipe, initialize=source is None)
    if source is not None:
        if spec.name not in source.weights:
            raise BundleError(f"The bundle to start from has no stage {spec.name!r}.", "Start from one of this recipe.")
        stage.load_bundle_state(source.weights[spec.name])
    return stage


def _require_same_start(source: Bundle | None, out: Path, recipe: Recipe) -> None:
    """Raise UsageError when a stage that has no checkpoint yet would start from other weights than the run did."""
    recorded = json.loads((out / "environment.json").read_text(encoding="utf-8")).get("started_from")
    given = source.checksums if source else None
    waiting = [spec.name for spec in recipe.stages if not (out / spec.name / "last.ckpt").exists()]
    if waiting and given != (recorded["sha256"] if recorded else None):
        raise UsageError(f"The run in {out} was started from other weights.", "Give --from as when it was started.")


def _is_first() -> bool:
    """Whether this is the process that writes the run's files; the others of a parallel training only compute."""
    return getattr(rank_zero_only, "rank", 0) == 0


def read_run_recipe(out: Path) -> Recipe:
    """The resolved recipe of a run. Raises UsageError when ``out`` holds none."""
    import yaml

    try:
        return recipe_from(yaml.safe_load((out / "recipe.yaml").read_text(encoding="utf-8")))
    except OSError:
        raise UsageError(f"{out} holds no run to resume.", "Leave --resume out to start one.") from None


def _split(
    cases: list[CaseFiles], recipe: Recipe, out: Path, given: str | Path | None
) -> tuple[list[CaseFiles], list[CaseFiles]]:
    if given:
        training, validation = load_split(given, cases)
    else:
        training, validation = split_by_subject(cases, recipe.train.validation, recipe.train.seed)
    require_validation(recipe.train, len(validation))
    if _is_first():
        save_split(out / "split.json", training, validation, recipe.train.seed)
    return training, validation


def _require_same_data(cases: list[CaseFiles], record: Path) -> None:
    """Raise DataError when files are not those a run was started with; its prepared cases would hide the change."""
    if record.exists():
        before, now = json.loads(record.read_text(encoding="utf-8")), fingerprint(cases)
        changed = [id for id, entry in now["files"].items() if before["files"].get(id) != entry]
        if before["sha256"] != now["sha256"]:
            raise DataError(
                f"The data is not what the run was started with: {len(changed)} cases differ"
                f"{', such as ' + changed[0] if changed else ''}.",
                "Resume with the data of the run, or start another one.",
            )


def _write_record(recipe: Recipe, cases: list[CaseFiles], out: Path, source: Bundle | None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "data.json", fingerprint(cases))
    started_from = {"data": source.card.get("data"), "sha256": source.checksums} if source else None
    write_json(out / "environment.json", {**environment(), "started_from": started_from})
    write_text(out / "recipe.yaml", recipe.to_yaml())


def environment() -> dict[str, Any]:
    """Versions and machine of a run, without names of people or hosts."""
    return {
        "gracile": VERSION,
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in PACKAGES},
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _card(recipe: Recipe, out: Path, figures: dict[str, Any]) -> dict[str, Any]:
    data, machine = (json.loads((out / name).read_text(encoding="utf-8")) for name in ("data.json", "environment.json"))
    return {
        "recipe": recipe.name,
        "data": {"cases": data["cases"], "sha256": data["sha256"]},
        "training": {
            "seed": recipe.train.seed,
            "minutes": round(sum(stage["minutes"] for stage in figures.values()), 1),
            "software": f"gracile {machine['gracile']}, torch {machine['packages']['torch']}",
            "started_from": machine["started_from"],
        },
        "validation": figures,
        "limits": ["Not a medical device. Check every result in its picture before it is used."],
    }
