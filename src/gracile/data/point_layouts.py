"""How volumes and their points lie on disk: by name, in one table, or side by side of the body."""

from pathlib import Path

from gracile.data.case_files import CaseFiles
from gracile.data.listing import Listing, channel_cases, files_in, nothing_in, subfolders
from gracile.data.volume_layouts import volume_subjects
from gracile.errors import DataError
from gracile.io import POINT_SUFFIXES, VOLUME_SUFFIXES, image_files, stem
from gracile.io.nnlandmark import ALL_LANDMARKS, nnlandmark_cases
from gracile.io.point_tables import read_point_table
from gracile.recipe import Recipe

IMAGE_FOLDERS = ("images", "image", "volumes", "nii", "nifti", "nrrd")
POINT_FOLDERS = ("landmarks", "points", "markups", "fiducials")
SIDES = ("left", "right")
TRUTH_FOLDERS = ("gt",)


def sides_of_cases(source: Path, recipe: Recipe) -> Listing | None:
    """A folder for each case with its volume, and the points of either side: ``0002/left/GT/*.fcsv``.

    Each side is a case of its own, of one subject: ``0002-left``.
    """
    folders = [p for p in sorted(source.iterdir()) if p.is_dir()] if source.is_dir() else []
    listing = Listing()
    for folder in folders:
        sides = {side.name.lower(): _truth_points(side) for side in subfolders(folder, SIDES)}
        if not any(sides.values()):
            continue
        volumes = files_in(folder, recipe)
        image = next((path for path in volumes if stem(path) == folder.name), None)
        if image is None and len(volumes) == 1:
            image = volumes[0]
        if image is None:
            listing.faults.append(
                DataError(f"{folder} holds {len(volumes)} volumes, none named {folder.name}.", "Name the one meant so.")
            )
            continue
        listing.cases += [
            CaseFiles(f"{folder.name}-{side}", image, None, None, folder.name, points=points)
            for side, points in sides.items()
            if points
        ]
    return listing if listing.cases or listing.faults else None


def nnlandmark(source: Path, recipe: Recipe) -> Listing | None:
    """nnLandmark: volumes ``imagesTr/CASE_0000.nii.gz`` and one file of all landmarks in voxels."""
    images, table = source / "imagesTr", source / ALL_LANDMARKS
    if not images.is_dir() or not table.is_file():
        return None
    listing = Listing()
    found = files_in(images, recipe)
    if not found:
        listing.faults.append(nothing_in(images, recipe))
    named = channel_cases(found, recipe, listing)
    try:
        marked = set(nnlandmark_cases(table))
    except DataError as fault:
        listing.faults.append(fault)
        marked = set()
    subjects = volume_subjects([files.name for files in named])
    for files in named:
        points = (table,) if files.name in marked else ()
        image, *channels = files.paths
        subject = subjects[files.name]
        listing.cases.append(CaseFiles(files.name, image, None, None, subject, points=points, channels=tuple(channels)))
    return listing


def point_folders(source: Path, recipe: Recipe) -> Listing | None:
    """Volumes in one folder, their points by name in another, or in a table ``landmarks.csv`` beside it."""
    images, points = subfolders(source, IMAGE_FOLDERS), subfolders(source, POINT_FOLDERS)
    table = _table(source)
    if not images or not (points or table):
        return None
    for role, some in (("images", images), ("points", points)):
        if len(some) > 1:
            names = ", ".join(folder.name for folder in some)
            raise DataError(
                f"{source} has several folders that may hold {role}: {names}.",
                "Keep or rename one, or name the pairs in a CSV.",
            )
    volumes = files_in(images[0], recipe)
    if not volumes:
        return Listing(faults=[nothing_in(images[0], recipe)])
    return _listed(volumes, _point_files(points[0]) if points else [], None if points else table)


def volumes_beside_points(source: Path, recipe: Recipe) -> Listing | None:
    """One folder of volumes with their points beside them, or in a table ``landmarks.csv``.

    Volumes without points, such as masks, are passed over where another has some.
    """
    volumes = image_files(source, VOLUME_SUFFIXES) if source.is_dir() else []
    if not volumes:
        return None
    table = _table(source)
    listing = _listed(volumes, [path for path in _point_files(source) if path != table], table)
    if any(case.points for case in listing.cases):
        listing.cases = [case for case in listing.cases if case.points]
    return listing


def point_stem(path: Path) -> str:
    """The name of a file of points without its suffix."""
    suffix = next((suffix for suffix in POINT_SUFFIXES if path.name.lower().endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]


def _listed(volumes: list[Path], points: list[Path], table: Path | None) -> Listing:
    listing = Listing()
    by_stem: dict[str, list[Path]] = {}
    for path in points:
        by_stem.setdefault(point_stem(path), []).append(path)
    in_table: set[str] = set()
    if table is not None:
        try:
            in_table = set(read_point_table(table))
        except DataError as fault:
            listing.faults.append(fault)
    subjects = volume_subjects([stem(path) for path in volumes])
    for image in volumes:
        name = stem(image)
        own = by_stem.pop(name, [])
        if len(own) > 1:
            others = ", ".join(path.name for path in own[1:])
            listing.remarks[image] = f"Of its points {own[0].name} are taken, not {others}."
        if not own and table is not None and name in in_table:
            own = [table]
        listing.cases.append(CaseFiles(name, image, None, None, subjects[name], points=tuple(own[:1])))
    listing.strays = [path for left in by_stem.values() for path in left if path.suffix.lower() not in (".csv", ".tsv")]
    return listing


def _point_files(folder: Path) -> list[Path]:
    """Files of points in a folder; of one name the preferred format first."""
    found = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    known = [path for path in found if path.name.lower().endswith(POINT_SUFFIXES)]
    return sorted(
        known, key=lambda path: next(i for i, s in enumerate(POINT_SUFFIXES) if path.name.lower().endswith(s))
    )


def _truth_points(side: Path) -> tuple[Path, ...]:
    return tuple(path for folder in subfolders(side, TRUTH_FOLDERS) for path in _point_files(folder))


def _table(folder: Path) -> Path | None:
    """The table of all cases' points in a folder."""
    names = [f"{name}{suffix}" for name in ("landmarks", "points") for suffix in (".csv", ".tsv")]
    return next((folder / name for name in names if (folder / name).is_file()), None)
