"""How unlike the training images an input is: does the measure part inputs of other kinds from those of a model's own?

    python benchmarks/unlike.py DATA --out runs/unlike
    python benchmarks/unlike.py DATA --out runs/unlike --ship
    python benchmarks/unlike.py DATA --out runs/unlike --spread

For each model the measure is learned from the images that it learned from, as a training does at its end; where the
shipped model learned from every image, on folds of its data. It is then asked about held-back images of the same
source (own), about sources of the same kind that it did not see (unseen), and about every other kind of pictures and
volumes in DATA (foreign), at most ``--most`` of each source. A model of pictures is given the middle slices of volumes
along each axis; a model of volumes is not given pictures, as it refuses them anyway. AUROC is that of the measure on
foreign against own images.

``--ship`` writes what was learned into the cards of ``models`` and of the bundles of ``benchmarks/results`` that are
named below; recipes, weights and checksums stay. ``--spread`` shows how much images of one kind differ over its
sources, which the spreads in `gracile.trust.appearance` were rounded from; without images that ``splits.json`` holds
back of all trainings.

Appearances are kept in ``OUT/appearances.json``, so that a second run reads no image; delete it where they are computed
in another way. Writes ``OUT/unlike.json``.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ordinary_answers import RESULTS, Fold, file_of, folds, learned_from
from sklearn.metrics import roc_auc_score

from gracile.bundle import read_bundle, write_card
from gracile.case import Case
from gracile.data import CaseFiles
from gracile.data.spread import spread
from gracile.io import read_case_file
from gracile.io.model_card import UNLIKE
from gracile.learning.ordinary import MOST
from gracile.names import MODELS, models_folder
from gracile.recipe import InputSpec
from gracile.transforms.field_of_view import find_field_of_view
from gracile.transforms.scan import find_scan
from gracile.trust import Unlike, sampled
from gracile.trust.appearance import appearance, traits_of
from gracile.trust.unlike import Likeness

REGIONS = {"fundus": find_field_of_view, "scan": find_scan, "whole": lambda image: None}
KINDS = {
    "retina-av": "fundus",
    "nerve-ultrasound": "ultrasound",
    "brachial-plexus": "ultrasound",
    "surgical-tool": "endoscopy",
    "spinal-cord": "cord",
    "skull-landmarks": "skull",
}
"""Which kind of input a shipped model takes."""


FAR = "so far that a recipe may refuse it"


@dataclass(frozen=True)
class Source:
    """Images of one source, and the kind that they are of."""

    name: str
    kind: str
    cases: list[CaseFiles]


@dataclass
class Asked:
    """A model, what it learned from and what the measure is asked about; figures of all its folds."""

    name: str
    kind: str
    folds: list[Fold]
    own: list[Likeness] = field(default_factory=list)
    unseen: dict[str, list[Likeness]] = field(default_factory=dict)
    foreign: dict[str, list[Likeness]] = field(default_factory=dict)


class Appearances:
    """Appearances by file, kind of region and slice, kept in a file."""

    def __init__(self, path: Path, data: Path) -> None:
        self._path, self._data = path, data
        self._known: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}
        self._new = 0

    def of(self, files: CaseFiles, region: str, as_picture: bool) -> list[dict[str, float]]:
        """That of a picture or a volume; of a volume as pictures those of three slices."""
        sliced = as_picture and is_volume(files)
        keys = [f"{files.image.relative_to(self._data)} {region} {part}" for part in ((1, 2, 3) if sliced else (0,))]
        if any(key not in self._known for key in keys):
            self._look(files, as_picture)
        return [self._known[key] for key in keys]

    def _look(self, files: CaseFiles, as_picture: bool) -> None:
        case = read_case_file(files.image, files.id, InputSpec(kind="volume" if is_volume(files) else "image"))
        sliced = as_picture and is_volume(files)
        for part, one in enumerate(slices(case), start=1) if sliced else [(0, case)]:
            for region, find in REGIONS.items():
                if one.image.ndim == 3 or region == "whole":
                    samples = sampled(one, find(one.image))
                    assert samples is not None
                    look = {name: round(value, 5) for name, value in appearance(samples).items()}
                    self._known[f"{files.image.relative_to(self._data)} {region} {part}"] = look
        self._new += 1
        if self._new % 50 == 0:
            self.save()

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._known))


def main() -> None:
    arguments = parse()
    looks = Appearances(arguments.out / "appearances.json", arguments.data)
    sources = list(all_sources(arguments.data))
    if arguments.spread:
        show_spread(sources, looks, arguments.data)
        looks.save()
        return
    print(HEAD)
    rows = [asked for asked in every_model(arguments.data) if not arguments.only or asked.name in arguments.only]
    for asked in rows:
        for fold in asked.folds:
            ask(asked, fold, sources, looks, arguments.most)
        print(line(asked), flush=True)
    looks.save()
    own, foreign = ([one.unlike for asked in rows for one in part(asked)] for part in (lambda a: a.own, strangers))
    pairs = sum(len(asked.foreign) for asked in rows)
    print(f"All: AUROC {down(auroc(own, foreign))}, {len(own)} own and {len(foreign)} foreign images, "
          f"{pairs} pairs of a model and a foreign source")  # fmt: skip
    table = {asked.name: figures(asked) for asked in rows}
    content = {"auroc": auroc(own, foreign), "own": len(own), "foreign": len(foreign), "pairs": pairs, "models": table}
    (arguments.out / "unlike.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if arguments.ship:
        ship(arguments.data, looks)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--most", type=int, default=40, help="images of each source")
    parser.add_argument("--ship", action="store_true")
    parser.add_argument("--spread", action="store_true")
    return parser.parse_args()


def is_volume(files: CaseFiles) -> bool:
    return files.image.name.endswith(".nii.gz")


def slices(case: Case) -> Iterator[Case]:
    """The middle slices of a volume along each axis, as gray pictures."""
    for axis in (1, 2, 3):
        plane = case.image.take(case.image.shape[axis] // 2, axis=axis)[0]
        low, high = np.percentile(plane, (0.5, 99.5))
        gray = np.clip((plane - low) / max(high - low, 1e-6), 0, 1) * 255
        yield Case.from_array(np.rint(gray).astype(np.uint8), id=case.id)


def all_sources(data: Path) -> Iterator[Source]:
    """Every source of images in the data folder."""
    fundus, nerve, cord, landmarks = (data / n for n in ("retina-av", "nerve-ultrasound", "spinal-cord", "landmarks"))
    sct = cord / "sct-testing"
    people = "nerve-ultrasound", "uns-256-positive", "uns-original-sample", "brachial-plexus-video"
    yield Source("drive-av", "fundus", files_in(fundus / "drive-av", "*/images/*"))
    yield Source("les-av", "fundus", files_in(fundus / "les-av", "*/images/*"))
    yield Source("hrf-av", "fundus", files_in(fundus / "hrf-av", "*/images/*"))
    yield Source("usgra-seg", "ultrasound", files_in(nerve / "usgra-seg", "images/*"))
    for name in people[1:]:
        yield Source(name, "ultrasound", files_in(nerve / name, "images/*", by_person=True))
    yield Source("vocal-folds", "endoscopy", files_in(data / "surgical-video" / "vocal-folds", "images/*"))
    yield Source(
        "errsm-t2", "cord", [file_of(path, id=path.parent.name) for path in sorted(cord.glob("errsm-t2/*/t2.nii.gz"))]
    )
    for name, path in (
        ("T1 crop", sct / "t1" / "t1w.nii.gz"),
        ("T2 crop", sct / "t2" / "t2.nii.gz"),
        ("T2* crop", sct / "t2s" / "t2s.nii.gz"),
        ("T2* slices", sct / "t2s" / "t2s_uncropped.nii.gz"),
        ("MT crop", sct / "mt" / "mt1.nii.gz"),
        ("T2 template", sct / "template" / "template" / "PAM50_small_t2.nii.gz"),
        ("T2 lumbar", cord / "lumbar-example" / "t2_lumbar.nii.gz"),
    ):
        yield Source(name, "cord", [file_of(path, id=name)])
    for name in ("volumes", "aligned"):
        yield Source(f"skull {name}", "skull", files_in(landmarks / "mouse-skull-ct", f"{name}/*.nii.gz"))
    yield Source("cochlea", "cochlea", [file_of(landmarks / "cochlea-example" / "cochlea_L.nii.gz")])
    yield Source("hippocampus", "hippocampus", files_in(data / "any-structure" / "hippocampus", "imagesTr/*.nii.gz"))


def files_in(folder: Path, pattern: str, by_person: bool = False) -> list[CaseFiles]:
    paths = sorted(folder.glob(pattern))
    return [file_of(path, path.stem.partition("_")[0] if by_person else "") for path in paths]


def every_model(data: Path) -> Iterator[Asked]:
    """The shipped models and those of `benchmarks/results` that learned from one source of several."""
    for name in MODELS:
        if name in KINDS:
            yield Asked(name, KINDS[name], folds(name, data))
    for name, kind, fold in further(data):
        yield Asked(name, kind, [fold])


def further(data: Path) -> Iterator[tuple[str, str, Fold]]:
    """Models that are not shipped: name, kind, and what they learned from."""
    splits = json.loads((data / "splits.json").read_text())
    drive = data / "retina-av" / "drive-av"
    parts = [files_in(drive / part, "images/*") for part in ("training", "test")]
    for seed in (0, 1):
        yield f"drive/seed{seed}", "fundus", Fold(RESULTS / "drive" / f"seed{seed}" / "bundle", parts[0], parts[1])
    learned, held = [], []
    for name in ("les-av", "hrf-av"):
        for case in files_in(data / "retina-av" / name, "training/images/*"):
            (held if case.id in splits[f"retina-av/{name}"]["test"] else learned).append(case)
    yield "les-hrf/seed0", "fundus", Fold(RESULTS / "les-hrf" / "seed0" / "bundle", learned, held)
    test = splits["any-structure/hippocampus"]["test"]
    cases = files_in(data / "any-structure" / "hippocampus", "imagesTr/*.nii.gz")
    sides: list[list[CaseFiles]] = [[], []]
    for case in cases:
        sides[case.id.rpartition("_")[0] in test].append(case)
    yield "hippocampus", "hippocampus", Fold(RESULTS / "hippocampus" / "bundle", sides[0], sides[1])


def learn(bundle: Path, training: list[CaseFiles], looks: Appearances) -> tuple[Unlike, str, bool]:
    """The measure as a training learns it; the region that the recipe looks at, and whether it takes volumes."""
    wanted = read_bundle(bundle).recipe.input
    cases = spread(training)[:MOST]
    volume = wanted.kind == "volume"
    seen = [looks.of(case, wanted.region, not volume)[0] for case in cases]
    return Unlike.of(seen, [case.subject for case in cases], volume), wanted.region, volume


def ask(asked: Asked, fold: Fold, sources: list[Source], looks: Appearances, most: int) -> None:
    """Fill in what the measure says of a fold's own, unseen and foreign images."""
    unlike, region, volume = learn(fold.bundle, fold.training, looks)
    (known,) = unlike.known
    words = traits_of(volume)
    taught = {case.image for case in fold.training}

    def told(cases: list[CaseFiles]) -> list[Likeness]:
        each = [look for case in cases for look in looks.of(case, region, not volume)]
        return [one for look in each if (one := known.likeness(look, words)) is not None]

    asked.own += told(fold.test)
    for source in sources:
        if volume and not is_volume(source.cases[0]):
            continue
        some = spread(source.cases)[:most]
        if source.kind != asked.kind:
            asked.foreign.setdefault(source.name, []).extend(told(some))
        elif not taught.intersection(case.image for case in source.cases):
            asked.unseen.setdefault(source.name, []).extend(told(some))


def strangers(asked: Asked) -> list[Likeness]:
    return [one for some in asked.foreign.values() for one in some]


def auroc(own: list[float], foreign: list[float]) -> float:
    return float(roc_auc_score([0] * len(own) + [1] * len(foreign), own + foreign))


def figures(asked: Asked) -> dict[str, Any]:
    foreign = strangers(asked)
    return {
        "auroc": auroc([one.unlike for one in asked.own], [one.unlike for one in foreign]),
        "own": counts(asked.own),
        "unseen": {name: counts(some) for name, some in asked.unseen.items()},
        "foreign": counts(foreign),
        "foreign sources": {name: counts(some) for name, some in asked.foreign.items()},
    }


def counts(some: list[Likeness]) -> dict[str, Any]:
    """How many there are, how many are flagged, how many taken for another kind; least, middle and most."""
    values = [one.unlike for one in some]
    return {
        "images": len(some),
        "flagged": sum(value >= 1 for value in values),
        "another kind": sum(one.foreign for one in some),
        FAR: sum(one.refused for one in some),
        "least, middle, most": [round(float(q), 3) for q in np.percentile(values, (0, 50, 100))],
    }


COLUMNS = (
    "model",
    "AUROC",
    "own flagged",
    "foreign flagged",
    "called another kind",
    "far enough to refuse",
    "unseen flagged",
)
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def line(asked: Asked) -> str:
    row = figures(asked)
    unseen = "; ".join(
        f"{name} {part['flagged']} of {part['images']}"
        + (f", {part['another kind']} called another kind" if part["another kind"] else "")
        + (f", {part[FAR]} far enough to refuse" if part[FAR] else "")
        for name, part in row["unseen"].items()
    )
    own, foreign = row["own"], row["foreign"]
    return (f"| {asked.name} | {down(row['auroc'])} | {own['flagged']} of {own['images']} | {foreign['flagged']} of "
            f"{foreign['images']} | {foreign['another kind']} | {foreign[FAR]} | {unseen or '-'} |")  # fmt: skip


def down(value: float) -> str:
    """Four digits, never rounded up."""
    return f"{np.floor(value * 1e4) / 1e4:.4f}"


def show_spread(sources: list[Source], looks: Appearances, data: Path) -> None:
    """The standard deviation over images of one kind from several sources, trait by trait; and the largest."""
    groups = {kind: [s.cases for s in sources if s.kind == kind] for kind in ("fundus", "ultrasound", "cord", "skull")}
    groups["endoscopy"] = [fold.test for fold in folds("surgical-tool", data)]  # two patients
    regions = {"fundus": "fundus", "ultrasound": "scan"}
    for kinds in (("fundus", "ultrasound", "endoscopy"), ("cord", "skull")):
        volume = "cord" in kinds
        found = {kind: spread_of(groups[kind], looks, regions.get(kind, "whole"), volume, data) for kind in kinds}
        print(f"{'':16} {' '.join(f'{kind:>10}' for kind in kinds)}      taken")
        for name, trait in traits_of(volume).items():
            each = [found[kind][name] for kind in kinds]
            print(f"{name:16} {' '.join(f'{value:10.2f}' for value in each)} {trait.spread:10.2f}")


def spread_of(
    groups: list[list[CaseFiles]], looks: Appearances, region: str, volume: bool, data: Path
) -> dict[str, float]:
    """Of the means of sources and within them: the root of the sum of the variances."""
    means, within = [], []
    for cases in groups:
        kept = spread([case for case in cases if not is_held_back(case, data)])[:40]
        each = [looks.of(case, region, not volume)[0] for case in kept]
        values = np.array([[look[name] for name in traits_of(volume)] for look in each])
        means.append(values.mean(axis=0))
        within += [values.var(axis=0, ddof=1)] if len(values) > 1 else []
    total = np.sqrt(np.var(means, axis=0, ddof=1) + np.mean(within, axis=0))
    return {name: float(value) for name, value in zip(traits_of(volume), total, strict=True)}


def is_held_back(files: CaseFiles, data: Path) -> bool:
    """Whether ``splits.json`` holds an image back from every training."""
    splits = json.loads((data / "splits.json").read_text())
    source = "/".join(files.image.relative_to(data).parts[:2])
    if source.startswith("nerve-ultrasound/uns"):
        return files.subject in splits["nerve-ultrasound/uns"]["test_subjects"] and "original" not in source
    test = splits.get(source, {}).get("test", [])
    return "test" in files.image.parts if isinstance(test, str) else files.id in test


def ship(data: Path, looks: Appearances) -> None:
    """Write what was learned into the cards of bundles."""
    targets = {models_folder() / name: learned_from(name, data) for name in MODELS if name in KINDS}
    targets |= {fold.bundle: fold.training for name in MODELS if name in KINDS for fold in folds(name, data)}
    targets |= {fold.bundle: fold.training for _, _, fold in further(data)}
    for folder, training in targets.items():
        unlike, _, _ = learn(folder, training, looks)
        write_card(folder, {**read_bundle(folder).card, UNLIKE: unlike.as_card()})
        print(f"{folder}: from {unlike.known[0].cases} of {len(training)} images")


if __name__ == "__main__":
    main()
