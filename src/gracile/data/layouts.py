"""How data sets lie on disk: which files of a folder or table make a case."""

import logging
from collections.abc import Sequence
from pathlib import Path

from gracile.data.case_files import CaseFiles, unique_ids
from gracile.data.channel_table import channel_fault, declared_channels
from gracile.data.csv_paths import csv_of_paths
from gracile.data.declared_classes import class_fault
from gracile.data.frame_table import TABLE, add_frame_table
from gracile.data.kaggle import cases_beside_masks
from gracile.data.listing import (
    TRAINING_FOLDERS,
    Finder,
    Listing,
    channel_cases,
    complete_cases,
    files_in,
    nothing_in,
    paired,
    require_one_each,
    subfolders,
)
from gracile.data.point_layouts import nnlandmark, point_folders, sides_of_cases, volumes_beside_points
from gracile.data.volume_layouts import (
    bids,
    folder_per_case,
    volume_folders,
    volume_subjects,
    volumes_beside_labels,
)
from gracile.errors import DataError
from gracile.io import image_files, stem
from gracile.io.channels import by_case
from gracile.io.naming import REGION_FOLDERS, numbered_subjects
from gracile.io.nnlandmark import ALL_LANDMARKS
from gracile.names import docs_page
from gracile.recipe import Recipe
from gracile.recipe.stages import ABSENT, PRESENT

log = logging.getLogger(__name__)

IMAGE_FOLDERS = ("images",)
LABEL_FOLDERS = ("labels", "label", "masks", "1st_manual", "manual", "av")
TEST_FOLDERS = ("test", "testing")


def find_cases(source: str | Path | Sequence[str | Path], recipe: Recipe) -> list[CaseFiles]:
    """Find the cases of one or several data folders or CSV files.

    Each source is tried against `LAYOUTS` (for recipes of volumes `VOLUME_LAYOUTS`, with landmarks
    `POINT_LAYOUTS`) in their order. Images without a
    label are kept with ``label=None`` (see `labeled`); labels without an image are left to `check_data`. A data-set
    folder with ``training/`` (or ``train/``) and other parts stands for its training part only: a test part is used
    when it is named itself.
    The subject is the table's, else the id, so that every image counts as another person; where all names are two
    numbers, as ``1_1`` and ``1_2``, the first is the subject. Frames of clips are in order where a table tells times.

    Args:
        source: A folder or CSV file, or several; equal ids of several are told apart by the folder in front.
        recipe: Whose class names an nnU-Net ``dataset.json`` must agree with.

    Raises:
        DataError: A source matches no layout, its files cannot be paired, or none of its images has a label although
            it holds labels.
    """
    cases: list[CaseFiles] = []
    remarks: dict[Path, str] = {}
    strays: list[Path] = []
    for path in sources(source):
        listing = list_files(path, recipe)
        remarks |= listing.remarks
        if listing.faults:
            first, *more = listing.faults
            also = f" {len(more)} more: run gracile data check." if more else ""
            raise DataError(first.message, first.remedy + also)
        strays += listing.strays
        cases.extend(listing.cases)
    _refuse_repeats(cases)
    if remarks:
        where = next(iter(remarks))
        also = f" ({len(remarks) - 1} more cases)" if len(remarks) > 1 else ""
        log.warning("%s: %s%s", where, remarks[where], also)
    if strays:
        log.warning("%d labels belong to no image and are left out, such as %s.", len(strays), strays[0])
    return unique_ids(cases)


def sources(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """One or several sources as a list without repeats. Raises DataError when it is empty."""
    several = [source] if isinstance(source, str | Path) else list(source)
    if not several:
        raise DataError("No data was named.", "Name a data folder or a CSV of paths.")
    return list({Path(path).resolve(): Path(path) for path in several}.values())


def list_files(source: Path, recipe: Recipe) -> Listing:
    """The files of one source by the first layout that it matches. Raises DataError when there is none."""
    if not source.exists():
        raise DataError(f"There is no folder or file {source}.", "Check the path.")
    volumes = POINT_LAYOUTS if recipe.landmarks else VOLUME_LAYOUTS
    layouts = LAYOUTS if recipe.input.kind == "image" else volumes
    for find in layouts.values():
        listing = find(source, recipe)
        if listing is not None:
            if listing.strays and listing.cases and not any(case.label or case.points for case in listing.cases):
                image, stray = listing.cases[0].image.name, listing.strays[0].name
                listing.faults.append(
                    DataError(
                        f"{source} holds no pair: no label's name fits an image's, e.g. {image} and {stray}.",
                        "Give a label the name of its image, or name the pairs in a CSV.",
                    )
                )
            return listing
    if source.is_file():
        raise DataError(f"{source} is no data set.", "Name a folder or a .csv file of paths.")
    raise DataError(
        f"{source} matches no layout. Looked for: {'; '.join(layouts)}. {_contents(source)}",
        f"Lay the files out in one of these ways, or list them in a CSV; see {docs_page('data-layouts.md')}.",
    )


def _contents(folder: Path) -> str:
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in folder.iterdir() if not p.name.startswith("."))
    if not names:
        return "The folder is empty."
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"The folder holds: {', '.join(names[:8])}{more}."


def _refuse_repeats(cases: list[CaseFiles]) -> None:
    seen = set()
    for case in cases:
        if case.key in seen:
            raise DataError(f"{case.image} is named twice.", "Name each image in one source only, and once.")
        seen.add(case.key)


# --- nnU-Net


def _nnunet(source: Path, recipe: Recipe) -> Listing | None:
    images, labels = source / "imagesTr", source / "labelsTr"
    if not images.is_dir():
        return None
    listing = Listing()
    table = source / "dataset.json"
    names = declared_channels(table)
    for fault in (class_fault(table, recipe), channel_fault(table, names, recipe)):
        if fault is not None:
            listing.faults.append(fault)
    if not labels.is_dir():
        listing.faults.append(DataError(f"{source} has imagesTr but no labelsTr.", "Put the labels into labelsTr."))
    by_id = {stem(path): path for path in files_in(labels, recipe)} if labels.is_dir() else {}
    found = files_in(images, recipe)
    if not found:
        listing.faults.append(nothing_in(images, recipe))
    named = channel_cases(found, recipe, listing, names)
    ids = [files.name for files in named]
    subjects = volume_subjects(ids) if recipe.input.kind == "volume" else {id: id for id in ids}
    for files in named:
        image, *channels = files.paths
        label, subject = by_id.pop(files.name, None), subjects[files.name]
        listing.cases.append(CaseFiles(files.name, image, label, None, subject, channels=tuple(channels)))
    listing.strays.extend(by_id.values())
    return listing


# --- folders of images and labels


def _folders(source: Path, recipe: Recipe) -> Listing | None:
    images = subfolders(source, IMAGE_FOLDERS)
    labels = subfolders(source, LABEL_FOLDERS)
    if not images or not (labels or subfolders(source, REGION_FOLDERS)):
        return None
    if not labels:
        raise DataError(
            f"{source} has no folder of labels; its other folders may be labels or fields of view.",
            f"Name the folder of labels labels/ (known: {', '.join(LABEL_FOLDERS)}) and fields of view fov/.",
        )
    regions = subfolders(source, REGION_FOLDERS)
    require_one_each(source, {"images": images, "labels": labels, "fields of view": regions})
    pictures = image_files(images[0])
    listing = Listing()
    if not pictures:
        listing.faults.append(nothing_in(images[0], recipe))
    named = complete_cases(by_case(pictures, recipe.input), recipe, listing)
    firsts = [files.paths[0] for files in named]
    label_of = paired(firsts, image_files(labels[0]), listing)
    region_of = paired(firsts, image_files(regions[0]), listing) if regions else {}
    subjects = numbered_subjects([files.name for files in named])
    for files in named:
        path, *channels = files.paths
        region, subject = region_of.get(path), subjects[files.name]
        listing.cases.append(CaseFiles(files.name, path, label_of.get(path), region, subject, channels=tuple(channels)))
    add_frame_table(source, recipe, listing)
    return listing


def _class_folders(source: Path, recipe: Recipe) -> Listing | None:
    """One folder for each kind of frame that a gate tells apart."""
    known = {name.casefold(): name for gate in recipe.gates for name in gate.classes or (ABSENT, PRESENT)}
    folders = [p for p in sorted(source.iterdir()) if p.is_dir()] if source.is_dir() else []
    named = [folder for folder in folders if folder.name.casefold() in known]
    if not named:
        return None
    listing = Listing()
    for folder in folders:
        if folder not in named:
            fault = DataError(f"{folder} is no kind of frame.", f"The gate tells {', '.join(known.values())} apart.")
            listing.faults.append(fault)
            continue
        pictures = image_files(folder)
        if not pictures:
            listing.faults.append(nothing_in(folder, recipe))
        kind = known[folder.name.casefold()]
        listing.cases.extend(CaseFiles(stem(path), path, None, None, stem(path), kind) for path in pictures)
    return listing


def _training_part(source: Path, recipe: Recipe) -> Listing | None:
    parts = subfolders(source, TRAINING_FOLDERS)
    if len(parts) > 1:
        raise DataError(
            f"{source} has several training parts: {', '.join(part.name for part in parts)}.",
            "Name the one that is meant.",
        )
    finders: tuple[Finder, ...] = (_nnunet, _folders, _beside)
    if recipe.input.kind == "volume":
        finders = (bids, _nnunet, volume_folders, folder_per_case, volumes_beside_labels)
    if recipe.landmarks:
        finders = (nnlandmark, sides_of_cases, point_folders, volumes_beside_points)
    if parts:
        return next((found for find in finders if (found := find(parts[0], recipe)) is not None), None)
    folders = _folders if recipe.input.kind == "image" else volume_folders
    tests = [part for part in subfolders(source, TEST_FOLDERS) if folders(part, recipe) is not None]
    if tests:
        raise DataError(f"{source} has a test part only.", f"To use it all the same, name {tests[0]} itself.")
    return None


def _beside(source: Path, recipe: Recipe) -> Listing | None:
    found = cases_beside_masks(source)
    return None if found is None else Listing(cases=found[0], strays=found[1])


LAYOUTS: dict[str, Finder] = {
    "a CSV file with the columns image,label": csv_of_paths,
    "nnU-Net (imagesTr/, labelsTr/)": _nnunet,
    f"images/ with {'/, '.join(LABEL_FOLDERS)}/ and optionally fov/ or mask/, and {TABLE} of frames": _folders,
    "a folder for each kind of frame that the recipe's gate tells apart": _class_folders,
    "such a folder as training/ or train/ inside": _training_part,
    "one folder of pictures and their masks (1_1.tif, 1_1_mask.tif)": _beside,
}
"""Every known layout, in the order in which a source is tried against them, and its finder."""

VOLUME_LAYOUTS: dict[str, Finder] = {
    "a CSV file with the columns image,label": csv_of_paths,
    "BIDS (sub-01/anat/ and derivatives/labels/)": bids,
    "nnU-Net (imagesTr/, labelsTr/)": _nnunet,
    "images/ or nii/ with labels/ or mask/": volume_folders,
    "such a folder as training/ or train/ inside": _training_part,
    "a folder for each case (errsm_11/t2.nii.gz, errsm_11/t2_seg-manual.nii.gz)": folder_per_case,
    "one folder of volumes and their labels (t2.nii.gz, t2_seg.nii.gz)": volumes_beside_labels,
}
"""The same for recipes of volumes."""

POINT_LAYOUTS: dict[str, Finder] = {
    "a CSV file with the columns image,points": csv_of_paths,
    f"nnLandmark (imagesTr/, {ALL_LANDMARKS})": nnlandmark,
    "a folder for each case with its points by side (0002/0002.nrrd, 0002/left/GT/*.fcsv)": sides_of_cases,
    "images/ or volumes/ with landmarks/ or points/, or with a table landmarks.csv": point_folders,
    "such a folder as training/ or train/ inside": _training_part,
    "one folder of volumes and their points (A.nii.gz, A.mrk.json)": volumes_beside_points,
}
"""The same for recipes with landmarks."""
