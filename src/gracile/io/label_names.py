"""Which volume is the label of which, told by their names: ``t2_seg-manual`` is one of ``t2``.

A name is taken apart at its underscores. A label has all parts of its image's name, in whatever order, and others that
say what it is, such as ``seg``, ``seg-manual``, or ``label-SC`` with ``seg`` (BIDS). Of several that fit, a manual one
comes before one that does not say how it was made, and that before one that names a method (``seg-propseg``).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from gracile.io.naming import stem

_SLICER_SEGMENTATION = ".seg.nrrd"
_IS_A_LABEL = re.compile(r"^(d?seg|seg-\w+|masks?|gt|label|manual\d*)$", re.IGNORECASE)
_SAYS_WHICH = re.compile(r"^(label|desc|space|res|den|version|rec)-\w+$", re.IGNORECASE)
_METHOD = re.compile(r"^(seg|desc)-\w+$", re.IGNORECASE)

MANUAL, UNSAID, METHOD = range(3)
"""How good a label is by its name, the best first."""


def name_parts(path: Path) -> tuple[str, ...]:
    """The parts of a volume's name between underscores.

    Example:
        >>> name_parts(Path("sub-01_T2w_label-SC_seg.nii.gz"))
        ('sub-01', 'T2w', 'label-SC', 'seg')
    """
    slicer = ("seg",) if path.name.lower().endswith(_SLICER_SEGMENTATION) else ()
    return (*(part for part in stem(path).split("_") if part), *slicer)


def label_rank(image: Path, label: Path, wanted: Sequence[str] = ()) -> int | None:
    """How well a file fits as the label of an image by its name: the lower the better, None when it is none.

    Args:
        image: The image.
        label: The other file.
        wanted: What labels' names end in behind their image's, the preferred first; empty takes the usual ones.
    """
    missing = Counter(name_parts(image)) - Counter(name_parts(label))
    if missing:
        return None
    more = Counter(name_parts(label)) - Counter(name_parts(image))
    if wanted:
        return next((rank for rank, ending in enumerate(wanted) if Counter(_parts(ending)) == more), None)
    parts = list(more)
    if not any(_IS_A_LABEL.match(part) for part in parts):
        return None
    if not all(_IS_A_LABEL.match(part) or _SAYS_WHICH.match(part) for part in parts):
        return None
    if any("manual" in part.lower() for part in parts):
        return MANUAL
    return METHOD if any(_METHOD.match(part) for part in parts) else UNSAID


def _parts(ending: str) -> list[str]:
    return [part for part in ending.split("_") if part]


def ranked_labels(
    files: Iterable[Path], offered: Iterable[Path], wanted: Sequence[str] = ()
) -> dict[Path, list[tuple[int, Path]]]:
    """The labels of each image, best first.

    Args:
        files: Volumes; those that are labels of others are no images.
        offered: Where labels are looked for; may be the same files.
        wanted: See `label_rank`.

    Returns:
        For each file that is no label, its labels with their ranks. A label that fits several images is that of the
        one with the longest name.
    """
    files, offered = list(files), list(offered)
    by_parts: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for file in files:
        by_parts[tuple(sorted(name_parts(file)))].append(file)
    candidates = {
        one: [file for file in _within(one, by_parts) if label_rank(file, one, wanted) is not None]
        for one in dict.fromkeys([*offered, *files])
    }
    images = [file for file in files if not candidates[file]]
    labels: dict[Path, list[tuple[int, Path]]] = {image: [] for image in images}
    for label in offered:
        owners = [file for file in candidates[label] if file in labels]
        if not owners:
            continue
        owner = max(owners, key=lambda file: len(name_parts(file)))
        rank = label_rank(owner, label, wanted)
        assert rank is not None
        labels[owner].append((rank, label))
    return {image: sorted(found) for image, found in labels.items()}


def _within(label: Path, by_parts: Mapping[tuple[str, ...], list[Path]]) -> list[Path]:
    """The files whose parts are among those of a label's name, without a look at every file."""
    parts = sorted(name_parts(label))
    fewer = {some for count in range(1, len(parts)) for some in combinations(parts, count)}
    return [file for some in sorted(fewer) for file in by_parts.get(some, ())]
