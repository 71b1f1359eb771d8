"""What a run writes down of itself: recipe, data, environment, what it started from; and the card of its bundle."""

import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NotRequired

import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from typing_extensions import TypedDict

from gracile.bundle import Bundle
from gracile.data import CaseFiles, fingerprint
from gracile.data.splits import read_split
from gracile.errors import DataError, UsageError
from gracile.io.atomic import write_json, write_text
from gracile.io.model_card import LEARNED_FROM
from gracile.learning.transfer import Transfer
from gracile.names import VERSION
from gracile.plain_data import Text, read_json
from gracile.recipe import Recipe, StageSpec, TrainSpec, recipe_from
from gracile.settings import read_mapping

PACKAGES = ("torch", "torchvision", "monai", "lightning", "numpy", "scipy", "scikit-image", "safetensors")

ANEW = "The run cannot go on without it: start it anew in another --out."


class FileShape(TypedDict):
    """What ``data.json`` tells of a case."""

    sha256: Text
    subject: Text
    image: NotRequired[Text]


class DataShape(TypedDict):
    """What is read again of a ``data.json``."""

    cases: int
    sha256: Text
    files: dict[Text, FileShape]


class RemarkShape(TypedDict):
    """A layer that was not carried over as it was, and why."""

    layer: Text
    reason: Text
    detail: Text


class TransferShape(TypedDict):
    """What a stage took over."""

    source: Text
    layers: int
    carried_over: int
    left_out: list[RemarkShape]
    adapted: list[RemarkShape]
    unused: list[RemarkShape]


class StartShape(TypedDict):
    """What a run started from."""

    sha256: dict[Text, Text]
    stages: dict[Text, TransferShape]


class PackagesShape(TypedDict):
    """Versions that a bundle's card tells."""

    torch: Text


class EnvironmentShape(TypedDict):
    """What is read again of an ``environment.json``."""

    gracile: Text
    packages: PackagesShape
    started_from: NotRequired[StartShape | None]


def is_first() -> bool:
    """Whether this is the process that writes the run's files; the others of a parallel training only compute."""
    return getattr(rank_zero_only, "rank", 0) == 0


def write_record(
    recipe: Recipe, cases: list[CaseFiles], out: Path, source: Bundle | None, transfers: Mapping[str, Transfer]
) -> None:
    """Write what a run was started with: ``data.json``, ``environment.json`` and ``recipe.yaml``, this one last."""
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "data.json", fingerprint(cases, recipe.input))
    started_from = None
    if source is not None:
        stages = {name: transfer.as_dict() for name, transfer in transfers.items()}
        origin = {"recipe": source.recipe.name, "data": source.card.get("data"), "sha256": source.checksums}
        started_from = {**origin, "stages": stages}
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


def read_run_recipe(out: Path) -> Recipe:
    """The resolved recipe of a run. Raises UsageError when ``out`` holds none."""
    if not (out / "recipe.yaml").is_file():
        raise UsageError(f"{out} holds no run to resume.", "Leave --resume out to start one.")
    return recipe_from(read_mapping(out / "recipe.yaml", "recipe", "own-structure.md"))


def require_same_data(cases: list[CaseFiles], recipe: Recipe, record: Path) -> None:
    """Raise DataError when files are not those a run was started with; its prepared cases would hide the change."""
    if record.exists():
        before, now = read_json(record, ANEW, shape=DataShape), fingerprint(cases, recipe.input)
        changed = [id for id, entry in now["files"].items() if before["files"].get(id) != entry]
        if before["sha256"] != now["sha256"]:
            raise DataError(
                f"The data is not what the run was started with: {len(changed)} cases differ"
                f"{', such as ' + changed[0] if changed else ''}.",
                "Resume with the data of the run, or start another one.",
            )


def require_same_start(source: Bundle | None, out: Path, recipe: Recipe) -> None:
    """Raise UsageError when a stage that has no checkpoint yet would start from other weights than the run did."""
    recorded = _started_from(out)
    given = source.checksums if source else None
    waiting = [spec.name for spec in recipe.stages if not _is_under_way(spec, recipe.train_of(spec), out)]
    if waiting and given != (recorded["sha256"] if recorded else None):
        raise UsageError(f"The run in {out} was started from other weights.", "Give --from as when it was started.")


def _is_under_way(spec: StageSpec, train: TrainSpec, out: Path) -> bool:
    """Whether nothing of a stage has still to begin from the weights that the run was started from."""
    folder, split = out / spec.name, out / "split.json"
    begun = [folder / "last.ckpt"]
    if not read_split(split)[1] or train.choose == "last":
        begun += [folder / f"crossfit{part}" / "last.ckpt" for part in range(spec.parts_judged)]
    return all(checkpoint.exists() for checkpoint in begun)


def recorded_transfers(out: Path) -> dict[str, Transfer]:
    """What the stages of a run took over when it was started."""
    stages = (_started_from(out) or {}).get("stages", {})
    return {name: Transfer.from_dict(name, record) for name, record in stages.items()}


def require_start(source: Bundle | None, out: Path) -> None:
    """Raise UsageError where a run was started from other weights, whatever is trained by now."""
    recorded = _started_from(out) if (out / "environment.json").is_file() else None
    if (out / "environment.json").is_file() and (source.checksums if source else None) != (
        recorded["sha256"] if recorded else None
    ):
        raise UsageError(f"The run in {out} was started from other weights.", "Give --from as when it was started.")


def _started_from(out: Path) -> dict[str, Any] | None:
    started_from: dict[str, Any] | None = _environment(out)["started_from"]
    return started_from


def _environment(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(out / "environment.json", ANEW, shape=EnvironmentShape)
    return {"started_from": None, **content}


def model_card(
    recipe: Recipe,
    out: Path,
    figures: dict[str, Any],
    transfers: Iterable[Transfer],
    learned: Iterable[CaseFiles] | None = None,
) -> dict[str, Any]:
    """The card of the bundle of a run, which learned from some of its cases; None: from all."""
    data, machine = read_json(out / "data.json", ANEW, shape=DataShape), _environment(out)
    ids = set(data["files"]) if learned is None else {case.id for case in learned}
    started_from = machine["started_from"]
    if started_from:
        started_from = {name: value for name, value in started_from.items() if name != "stages"}
    return {
        "recipe": recipe.name,
        "data": {"cases": data["cases"], "sha256": data["sha256"]},
        "training": {
            "seed": recipe.train.seed,
            "minutes": round(sum(stage["minutes"] for stage in figures.values()), 1),
            "software": f"gracile {machine['gracile']}, torch {machine['packages']['torch']}",
            "started_from": started_from,
        },
        **({"fine_tuning": lines} if (lines := [line for some in transfers for line in some.sentences()]) else {}),
        **({"gate": f"none: {recipe.ungated}"} if recipe.ungated else {}),
        "validation": figures,
        LEARNED_FROM: sorted({entry["image"] for id, entry in data["files"].items() if id in ids and "image" in entry}),
        "limits": ["Not a medical device. Check every result in its picture before it is used."],
    }
