"""A training run: from recipe and cases to a bundle, with everything needed to repeat or resume it."""

import json
import logging
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only

from gracile.bundle import Bundle, read_bundle, write_bundle
from gracile.data import CaseFiles, fingerprint, labeled, load_split, save_split, split_by_subject
from gracile.errors import BundleError, DataError, UsageError
from gracile.io.atomic import write_json, write_text
from gracile.names import VERSION
from gracile.recipe import Recipe, StageSpec, recipe_from
from gracile.stages import GateStage, Stage, build_stage
from gracile.training.fit import fit_stage
from gracile.training.sampling import prepared_case
from gracile.training.schedule import require_validation
from gracile.transforms import Prepared

log = logging.getLogger(__name__)

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
        _require_same_data(usable, recipe, out / "data.json")
    training, validation = _split(usable, recipe, out, out / "split.json" if resume else split)
    source = read_bundle(start) if start else None
    stages = [_untrained(spec, recipe, source) for spec in recipe.stages]
    if resume and _is_first():
        _require_same_start(source, out, recipe)
    if _is_first() and not resume:
        _write_record(recipe, usable, out, source)
    sides = [[prepared_case(files, recipe, out / "cache") for files in part] for part in (training, validation)]
    for stage in stages:
        _require_lessons(stage, sides[0])
    weights: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    trained = recipe
    for spec, stage in zip(recipe.stages, stages, strict=True):
        prepared = [[case for case in side if stage.learns_from(case)] for side in sides]
        if isinstance(stage, GateStage) and (reason := _why_ungated(stage, prepared[0])):
            log.warning("The gate %r is not trained: %s. The bundle runs ungated and says so.", stage.name, reason)
            trained = trained.model_copy(
                update={"stages": [s for s in trained.stages if s.name != spec.name], "ungated": reason}
            )
            continue
        figures[stage.name] = fit_stage(
            stage, prepared[0], prepared[1], recipe.train_of(spec), recipe.trainer, out / stage.name
        )
        if isinstance(stage, GateStage) and not prepared[1] and stage.spec.crossfit:
            figures[stage.name] |= _crossfit(stage, spec, prepared[0], recipe, out / stage.name)
        weights[stage.name] = stage.bundle_state()
    if _is_first():
        write_bundle(Bundle(recipe=trained, weights=weights, card=_card(trained, out, figures)), out / "bundle")
    return out / "bundle"


def _require_lessons(stage: Stage, cases: list[Prepared]) -> None:
    """Raise DataError when no case can teach a stage what it is to find; a gate is left out instead."""
    if isinstance(stage, GateStage):
        return
    masks = [case.truth for case in cases if stage.learns_from(case) and case.truth is not None]
    if not masks:
        raise DataError(f"No case can train the stage {stage.name!r}.", "Give a source with masks as well.")
    if not any((mask[1:] > 0.5).any() for mask in masks):
        raise DataError("Every mask is empty.", "A structure is learned from masks that show it.")


def _why_ungated(stage: GateStage, cases: list[Prepared]) -> str:
    """Why a gate cannot be learned from these cases; empty when it can."""
    seen = {stage.target(case) for case in cases}
    if not seen:
        return f"the training data does not say which frames show {stage.label}"
    only = [stage.classes[target] for target in seen if target is not None]
    return f"every training frame is of one kind, {only[0]} ({stage.label})" if len(only) == 1 else ""


def _crossfit(stage: GateStage, spec: StageSpec, cases: list[Prepared], recipe: Recipe, out: Path) -> dict[str, float]:
    """Calibrate a gate that learned from all cases by gates trained without the subjects that they judge."""
    subjects = sorted({case.subject for case in cases})
    order = np.random.default_rng(recipe.train.seed).permutation(len(subjects))
    parts = min(stage.spec.crossfit, len(subjects))
    part_of = {subjects[index]: number % parts for number, index in enumerate(order)}
    judged = []
    for part in range(parts):
        rest = [case for case in cases if part_of[case.subject] != part]
        if len({stage.target(case) for case in rest}) < len({stage.target(case) for case in cases}):
            continue  # without one of the kinds there is nothing to learn
        other = _untrained(spec, recipe, None)
        assert isinstance(other, GateStage)
        fit_stage(other, rest, [], recipe.train_of(spec), recipe.trainer, out / f"crossfit{part}")
        judged.append(other.judged([case for case in cases if part_of[case.subject] == part]))
    if not judged:
        log.warning("The gate %r stays uncalibrated: every part lacks a kind of frame in the others.", stage.name)
        return {}
    logits, targets = (torch.cat(column) for column in zip(*judged, strict=True))
    return stage.calibrate_by(logits, targets)


def _untrained(spec: StageSpec, recipe: Recipe, source: Bundle | None) -> Stage:
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
    for spec in recipe.stages:
        require_validation(recipe.train_of(spec), len(validation))
    if _is_first():
        save_split(out / "split.json", training, validation, recipe.train.seed)
    return training, validation


def _require_same_data(cases: list[CaseFiles], recipe: Recipe, record: Path) -> None:
    """Raise DataError when files are not those a run was started with; its prepared cases would hide the change."""
    if record.exists():
        before, now = json.loads(record.read_text(encoding="utf-8")), fingerprint(cases, recipe.input)
        changed = [id for id, entry in now["files"].items() if before["files"].get(id) != entry]
        if before["sha256"] != now["sha256"]:
            raise DataError(
                f"The data is not what the run was started with: {len(changed)} cases differ"
                f"{', such as ' + changed[0] if changed else ''}.",
                "Resume with the data of the run, or start another one.",
            )


def _write_record(recipe: Recipe, cases: list[CaseFiles], out: Path, source: Bundle | None) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "data.json", fingerprint(cases, recipe.input))
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
        **({"gate": f"none: {recipe.ungated}"} if recipe.ungated else {}),
        "validation": figures,
        "limits": ["Not a medical device. Check every result in its picture before it is used."],
    }
