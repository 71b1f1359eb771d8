"""How data sets of volumes lie on disk: BIDS, a folder for each case, images and labels apart or side by side."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gracile.data.case_files import CaseFiles
from gracile.data.listing import Listing, complete_cases, files_in, nothing_in, paired, require_one_each, subfolders
from gracile.errors import DataError
from gracile.io import VOLUME_SUFFIXES, image_files, stem
from gracile.io.channels import by_case
from gracile.io.label_names import name_parts, ranked_labels
from gracile.io.naming import is_volume_file, numbered_subjects
from gracile.recipe import Recipe

IMAGE_FOLDERS = ("images", "image", "nii", "nifti", "volumes")
LABEL_FOLDERS = ("labels", "label", "masks", "mask", "segmentations", "manual")
_BIDS_SUBJECT = re.compile(r"^sub-[A-Za-z0-9]+$")
_OWN_ROLE = {*IMAGE_FOLDERS, *LABEL_FOLDERS, "imagestr", "imagests", "labelstr", "labelsts", "derivatives"}
_SUBJECT = re.compile(r"^(?P<subject>(sub|subj|subject|pat|patient|case)-?[a-z]*\d+)_.+$", re.IGNORECASE)


def volume_subjects(names: Sequence[str]) -> dict[str, str]:
    """The subject of each case by its name: ``sub-01`` of ``sub-01_T2w``, ``Sub001`` of ``Sub001_contrast001``.

    Other names are read as those of pictures are: the first of two numbers, or the name itself.
    """
    numbered = numbered_subjects(names)
    matches = {name: _SUBJECT.match(name) for name in names}
    return {name: match["subject"] if match else numbered[name] for name, match in matches.items()}


def bids(source: Path, recipe: Recipe) -> Listing | None:
    """BIDS: images in ``sub-*``, labels in ``derivatives/labels`` (where that is missing, in any of its folders).

    Of each kind of image (``T2w``, ``T1w``) that no subject has a label for, none is taken.
    """
    people = [path for path in _folders_in(source) if _BIDS_SUBJECT.match(path.name)]
    if not people:
        return None
    derivatives = source / "derivatives"
    trees = [derivatives / "labels"] if (derivatives / "labels").is_dir() else _folders_in(derivatives)
    listing = Listing()
    for person in people:
        images = _volumes_below(person)
        labels = [label for tree in trees for label in _volumes_below(tree / person.name)]
        _add(listing, images, [*images, *labels], recipe, person.name)
    labeled = {_contrast(case.image) for case in listing.cases if case.label is not None}
    if labeled:
        listing.cases = [case for case in listing.cases if _contrast(case.image) in labeled]
    if not listing.cases and not listing.faults:
        listing.faults.append(nothing_in(source, recipe))
    return listing


def folder_per_case(source: Path, recipe: Recipe) -> Listing | None:
    """A folder for each case, named after its subject, with an image and its label: ``errsm_11/t2_seg-manual``.

    Volumes without a label are passed over in a folder where another has one.
    """
    listing = Listing()
    for folder in _folders_in(source):
        files = image_files(folder, VOLUME_SUFFIXES)
        if files and folder.name.lower() not in _OWN_ROLE:
            _add(listing, files, files, recipe, folder.name, labeled_only=True)
    return listing if listing.cases or listing.faults else None


def volumes_beside_labels(source: Path, recipe: Recipe) -> Listing | None:
    """One folder of volumes, each with its label beside it."""
    files = image_files(source, VOLUME_SUFFIXES) if source.is_dir() else []
    if not files:
        return None
    listing = Listing()
    _add(listing, files, files, recipe, None, labeled_only=True)
    return listing


def volume_folders(source: Path, recipe: Recipe) -> Listing | None:
    """Images and labels in folders of their own: ``nii/Sub001_contrast001.nii``, ``mask/Sub001_contrast001_seg.nii``.

    An image or a label may be a folder with a DICOM series, a label a DICOM Segmentation.
    """
    images, labels = subfolders(source, IMAGE_FOLDERS), subfolders(source, LABEL_FOLDERS)
    if not images or not labels:
        return None
    require_one_each(source, {"images": images, "labels": labels})
    files, offered = files_in(images[0], recipe), files_in(labels[0], recipe)
    listing = Listing()
    if not files:
        listing.faults.append(nothing_in(images[0], recipe))
    named = {one.paths[0]: one for one in complete_cases(by_case(files, recipe.input), recipe, listing)}
    files = list(named)
    ranked = ranked_labels(files, offered, recipe.input.labels)
    of_image = {image: _chosen(listing, image, ranked.get(image, [])) for image in files}
    used = {label for found in ranked.values() for _, label in found}
    rest = [image for image in files if of_image[image] is None and not ranked.get(image)]
    left = [label for label in offered if label not in used]
    if recipe.input.labels:  # what these do not name is no label, unless it has its image's very name
        left = [label for label in left if stem(label) in {stem(image) for image in rest}]
    of_image |= paired(rest, left, listing)
    subjects = volume_subjects([one.name for one in named.values()])
    for path, one in named.items():
        channels = one.paths[1:]
        listing.cases.append(CaseFiles(one.name, path, of_image[path], None, subjects[one.name], channels=channels))
    return listing


def _add(
    listing: Listing,
    files: list[Path],
    offered: list[Path],
    recipe: Recipe,
    subject: str | None,
    *,
    labeled_only: bool = False,
) -> None:
    """Add the images among some files with their labels.

    Args:
        listing: What is added to.
        files: The volumes among which are the images.
        offered: The volumes among which are their labels.
        recipe: Which labels it wants.
        subject: Whose they are; None tells it by their names.
        labeled_only: Whether images without a label are left out where one has a label; where none has, those are
            whose names another image's name begins with, as they were made from that.
    """
    ranked = ranked_labels(files, offered, recipe.input.labels)
    images = list(ranked)
    if labeled_only and any(ranked.values()):
        images = [image for image in images if ranked[image]]
    elif labeled_only:
        images = [image for image in images if not any(_is_made_from(image, other) for other in images)]
    subjects = volume_subjects([stem(image) for image in images])
    for image in images:
        label = _chosen(listing, image, ranked[image])
        listing.cases.append(CaseFiles(stem(image), image, label, None, subject or subjects[stem(image)]))


def _chosen(listing: Listing, image: Path, ranked: list[tuple[int, Path]]) -> Path | None:
    """The best of an image's labels; a fault where two are equally good."""
    if not ranked:
        return None
    best = [label for rank, label in ranked if rank == ranked[0][0]]
    if len(best) > 1:
        listing.faults.append(
            DataError(
                f"{image} has several labels: {', '.join(label.name for label in best)}.",
                "Name the end of the one that is meant, as --set input.labels=[seg-manual], or list all in a CSV.",
            )
        )
        return None
    if len(ranked) > 1:
        others = ", ".join(label.name for _, label in ranked[1:])
        listing.remarks[image] = f"Of its labels {best[0].name} is taken, not {others}."
    return best[0]


def _is_made_from(path: Path, other: Path) -> bool:
    parts, stem_parts = name_parts(path), name_parts(other)
    return len(parts) > len(stem_parts) and parts[: len(stem_parts)] == stem_parts


def _contrast(image: Path) -> str:
    """The kind of a BIDS image: the last part of its name."""
    return name_parts(image)[-1]


def _folders_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _volumes_below(folder: Path) -> list[Path]:
    """The volumes in a folder and all below it; links whose target is absent are kept, to be named when read."""
    found: Iterable[Path] = folder.rglob("*") if folder.is_dir() else ()
    return sorted(
        path
        for path in found
        if is_volume_file(path) and not path.name.startswith(".") and (path.is_file() or path.is_symlink())
    )
