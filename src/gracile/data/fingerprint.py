"""What identifies a data set, so that a run's record says which data it saw."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gracile.data.case_files import CaseFiles, size_text
from gracile.io import read_case_file, volume_parts
from gracile.io.checksums import file_checksum
from gracile.names import Kind
from gracile.recipe import InputSpec


def fingerprint(cases: list[CaseFiles], wanted: InputSpec | None = None) -> dict[str, Any]:
    """Checksums over the content of every file, independent of where the files lie and in which order they came.

    Args:
        cases: The cases of a run; ids are unique.
        wanted: The recipe's input: pictures or volumes; pictures when None.

    Returns:
        ``cases`` and ``subjects`` (how many), ``labeled`` and ``with_region`` (how many), ``sizes`` (number of images
        of each ``width x height``, of volumes in the order of the file), ``ids``, ``files`` (per id its SHA-256 over
        image, further channels, label, region and points, that of its image with all channels, and its subject) and
        ``sha256`` over all of these.

    Raises:
        DataError: An image is unreadable.
    """
    wanted = wanted or InputSpec()
    ordered = sorted(cases, key=lambda case: case.id)
    sizes: dict[str, int] = {}
    files: dict[str, dict[str, str]] = {}
    whole = hashlib.sha256()
    for case in ordered:
        shape = read_case_file(case.image, case.id, wanted, channels=case.channels).grid.shape
        size = size_text(shape)
        sizes[size] = sizes.get(size, 0) + 1
        checksum = _case_checksum(case, wanted.kind == "volume")
        image = image_checksum(case.image, wanted.kind, case.channels)
        files[case.id] = {"sha256": checksum, "subject": case.subject, "image": image}
        whole.update(f"{case.id}\0{case.subject}\0{checksum}\n".encode("utf-8", "surrogateescape"))
    return {
        "cases": len(ordered),
        "subjects": len({case.subject for case in ordered}),
        "labeled": sum(case.label is not None for case in ordered),
        "with_region": sum(case.region is not None for case in ordered),
        "sizes": dict(sorted(sizes.items())),
        "ids": [case.id for case in ordered],
        "files": files,
        "sha256": whole.hexdigest(),
    }


def _case_checksum(case: CaseFiles, of_volumes: bool) -> str:
    """SHA-256 over the files' checksums, each under its role, so that swapped or missing files show."""
    digest = hashlib.sha256()
    images: list[tuple[str, Path | None]] = [("image", case.image), *(("channel", path) for path in case.channels)]
    others = [("label", case.label), ("region", case.region), *(("points", path) for path in case.points)]
    for role, path in (*images, *others):
        parts = [] if path is None else volume_parts(path) if of_volumes and role != "points" else [path]
        digest.update(f"{role} {' '.join(map(file_checksum, parts)) or '-'}\n".encode())
    if case.moment is not None:  # what a table says of a frame
        own = case.moment
        digest.update(f"{case.frame_class} {own.clip} {own.order} {own.source} {own.weight}\n".encode())
    return digest.hexdigest()


def image_checksum(path: Path, kind: Kind, channels: Sequence[Path] = ()) -> str:
    """SHA-256 of the files of an image, as the card of a model names those that it was trained on.

    Args:
        path: The image, or its first channel.
        kind: What it is.
        channels: Files of its further channels.

    Raises:
        OSError: One cannot be read.
        DataError: One is a volume of which a part is missing.
    """
    parts = [part for one in (path, *channels) for part in (volume_parts(one) if kind == "volume" else [one])]
    return file_checksum(*parts)
