"""The data sets of `any_structure.py`: which cases train, which are scored, and the recipe made by hand."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image
from scipy import ndimage


@dataclass(frozen=True)
class Files:
    """A case: its image, its label of whole numbers, whose it is, and the files of further channels."""

    id: str
    image: Path
    label: Path
    subject: str
    channels: tuple[Path, ...] = ()


@dataclass(frozen=True)
class DataSet:
    """What is learned from, and what is scored.

    Args:
        name: For folders and tables.
        classes: Names of the structures.
        values: Their values in the labels.
        recipe: The one made by hand; empty where there is none.
        train: Cases to learn from.
        test: Cases to score.
        folder: Where tables are written.
        settings: What the recipe made by hand needs to read the labels.
    """

    name: str
    classes: list[str]
    values: list[int]
    recipe: str
    train: list[Files]
    test: list[Files]
    folder: Path

    @property
    def volumes(self) -> bool:
        return self.train[0].image.name.endswith(".nii.gz")

    def first(self, count: int) -> "DataSet":
        """The same with the first so many cases to learn from, spread evenly."""
        step = len(self.train) / count
        return replace(self, name=f"{self.name}-{count}", train=[self.train[int(i * step)] for i in range(count)])

    @property
    def joined(self) -> bool:
        """Whether a case has several files."""
        return bool(self.train[0].channels)

    def table(self, part: str) -> Path:
        """A CSV of the cases to learn from, ``train``, or to score, ``test``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}-{part}.csv"
        cases = self.train if part == "train" else self.test
        columns = [f"image_c{number}" for number in range(1 + len(cases[0].channels))] if self.joined else ["image"]
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*columns, "label", "id", "subject"])
            writer.writerows([case.image, *case.channels, case.label, case.id, case.subject] for case in cases)
        return path

    def read_truth(self, case: Files) -> np.ndarray:
        return read_whole(case.label)

    def read_mask(self, path: Path) -> np.ndarray:
        return read_whole(path)


def read_whole(path: Path) -> np.ndarray:
    """Whole numbers of a mask, a picture's or a volume's."""
    if path.name.endswith(".nii.gz"):
        return np.rint(np.asarray(nib.load(path).dataobj)).astype(np.int64)
    values = np.asarray(Image.open(path))
    return (values if values.ndim == 2 else values[..., 0]).astype(np.int64)


def hippocampus(data: Path, work: Path) -> DataSet:
    source = data / "any-structure" / "hippocampus"
    held = set(splits(data)["any-structure/hippocampus"]["test"])
    names = sorted(path.name.removesuffix(".nii.gz") for path in (source / "labelsTr").glob("*.nii.gz"))
    cases = [
        Files(name, source / "imagesTr" / f"{name}_0000.nii.gz", source / "labelsTr" / f"{name}.nii.gz", name)
        for name in names
    ]
    return divided("hippocampus", ["anterior", "posterior"], [1, 2], "", cases, held, work)


def two_channels(data: Path, work: Path) -> DataSet:
    """The hippocampus with a second channel that is derived from the first: its gradient's magnitude."""
    whole = hippocampus(data, work)
    folder = work / "hippocampus-gradients"
    folder.mkdir(parents=True, exist_ok=True)

    def derived(case: Files) -> Files:
        path = folder / f"{case.id}.nii.gz"
        if not path.exists():
            image = nib.load(case.image)
            values = ndimage.gaussian_gradient_magnitude(np.asarray(image.dataobj, dtype=np.float32), 1.0)
            nib.save(nib.Nifti1Image(values, image.affine), path)
        return replace(case, channels=(path,))

    train, test = ([derived(case) for case in part] for part in (whole.train, whole.test))
    return replace(whole, name="hippocampus-two-channels", train=train, test=test)


def usgra(data: Path, work: Path) -> DataSet:
    source = data / "nerve-ultrasound" / "usgra-seg"
    held = set(splits(data)["nerve-ultrasound/usgra-seg"]["folds"][0])
    cases = paired(source / "images", source / "masks")
    return divided("usgra-fold0", ["nerve", "vessel"], [1, 2], "nerve-ultrasound", cases, held, work)


def drive(data: Path, work: Path) -> DataSet:
    source = data / "retina-av" / "drive-av"
    names, values = ["artery", "vein", "uncertain"], [1, 2, 3]
    train, test = (paired(source / part / "images", source / part / "labels") for part in ("training", "test"))
    return DataSet("drive", names, values, "retina-av", train, test, work)


def vocal_folds(data: Path, work: Path) -> DataSet:
    """Tools of patient 1, learned from patient 2; the labels hold the tool alone."""
    source = data / "surgical-video" / "vocal-folds"
    with (source / "labels.csv").open() as file:
        frames = list(csv.DictReader(file))
    tools = work / "vocal-folds-tools"
    tools.mkdir(parents=True, exist_ok=True)
    cases = []
    for frame in frames:
        label = tools / f"{frame['name']}.png"
        if not label.exists():
            Image.fromarray((read_whole(source / "masks" / label.name) == 5).astype(np.uint8)).save(label)
        image = next((source / "images").glob(f"{frame['name']}.*"))
        cases.append(Files(frame["name"], image, label, frame["patient"]))
    held = {case.id for case in cases if case.subject == "patient1"}
    recipe = work / "surgical-tool.yaml"
    if not recipe.exists():
        from gracile.recipe import read_recipe

        classes = "[{name: background, color: [0, 0, 0]}, {name: tool, color: [0, 255, 0]}]"
        recipe.write_text(read_recipe("surgical-tool", [f"classes={classes}"]).to_yaml())
    return divided("vocal-folds-patient1", ["tool"], [1], str(recipe), cases, held, work)


def cord(data: Path, work: Path) -> DataSet:
    source = data / "spinal-cord" / "errsm-t2"
    split = splits(data)["spinal-cord/errsm-t2"]
    cases = []
    for subject in [*split["folds"], *split["always_train"]]:
        manual = source / subject / "t2_seg-manual.nii.gz"
        label = manual if manual.exists() else source / subject / "t2_seg.nii.gz"
        cases.append(Files(subject, source / subject / "t2.nii.gz", label, subject))
    return divided("cord-errsm_11", ["cord"], [1], "spinal-cord", cases, {"errsm_11"}, work)


def splits(data: Path) -> dict:
    return json.loads((data / "splits.json").read_text())


def paired(images: Path, labels: Path) -> list[Files]:
    from gracile.io import image_files, pair_files, stem

    pairs = pair_files(image_files(images), image_files(labels))
    return [Files(stem(image), image, label, stem(image)) for image, label in sorted(pairs.items()) if label]


def divided(
    name: str, classes: list[str], values: list[int], recipe: str, cases: list[Files], held: set[str], work: Path
) -> DataSet:
    train = [case for case in cases if case.id not in held]
    return DataSet(name, classes, values, recipe, train, [case for case in cases if case.id in held], work)


SETS: dict[str, Callable[[Path, Path], DataSet]] = {
    "hippocampus": hippocampus,
    "two-channels": two_channels,
    "usgra": usgra,
    "drive": drive,
    "vocal-folds": vocal_folds,
    "cord": cord,
}
