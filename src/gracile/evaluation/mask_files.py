"""The files that belong to a case of masks: truth, field of view, and of each run its mask and its probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gracile.case import IGNORED
from gracile.errors import DataError
from gracile.evaluation.label_files import Truth, label_files, read_truth, require_truths_size
from gracile.evaluation.protocols import Protocol
from gracile.evaluation.tables import some as _some
from gracile.io import pair_files, read_region
from gracile.io.masks import LabelClass
from gracile.io.naming import REGION_FOLDERS, case_key, stem


@dataclass(frozen=True)
class MaskFiles:
    """The files of one case; per run a prediction (None when missing) and a probability map (None when not given)."""

    name: str
    truth: Path
    region: Path | None
    predictions: list[Path | None]
    probabilities: list[Path | None]

    @property
    def shown(self) -> str:
        """What messages call it: its file, or its name where that is not the file's."""
        return self.truth.name if self.name == stem(self.truth) else self.name


def named_truths(truth: Path | str | Mapping[str, Path]) -> list[tuple[str, Path]]:
    """The truth's files with the names of their cases."""
    if isinstance(truth, Mapping):
        return [(name, Path(path)) for name, path in truth.items()]
    files = label_files(Path(truth))
    if not files:
        raise DataError(f"{truth} holds no label pictures or volumes.", "Check the folder.")
    return [(stem(path), path) for path in files]


def region_source(rules: Protocol, truth: Path, fov: Path | str | None) -> Path | None:
    if fov is not None or not rules.needs_region:
        return None if fov is None else Path(fov)
    found = region_folder(truth)
    if found is None:
        raise DataError(
            f"Protocol {rules.name} needs the field of view, and there is no folder fov or mask beside {truth}.",
            "Give it with --fov.",
        )
    return found


def region_folder(truth: Path) -> Path | None:
    """The folder of fields of view beside a folder (or file) of labels, if there is one."""
    folder = (truth if truth.is_dir() else truth.parent).resolve()
    return next((folder.parent / name for name in REGION_FOLDERS if (folder.parent / name).is_dir()), None)


def gather(
    run_folders: list[Path],
    named: list[tuple[str, Path]],
    regions: Path | None,
    run_probabilities: Sequence[Path | None],
) -> tuple[list[MaskFiles], list[str]]:
    """Pair everything by name before anything is scored."""
    truths = [path for _, path in named]
    region_of = _all_paired(truths, label_files(regions), "field of view", regions) if regions is not None else {}
    notes, predicted, mapped = [], [], []
    for folder, maps in zip(run_folders, run_probabilities, strict=True):
        offered = label_files(folder)
        if not offered:
            raise DataError(f"{folder} holds no predictions.", "Check the folder.")
        pairs = _predictions_of(named, offered)
        predicted.append(pairs)
        unused = sorted(path.name for path in set(offered) - set(pairs.values()))
        if unused:
            notes.append(f"{folder.name}: {len(unused)} predictions have no truth: {_some(unused)}")
        present = [path for path in truths if pairs[path] is not None]
        paired = {}
        if maps is not None:
            paired = _all_paired(present, label_files(maps, (".npz",)), "probability map", maps)
        mapped.append(paired)
    files = [
        MaskFiles(
            name, path, region_of.get(path), [pairs[path] for pairs in predicted], [pairs.get(path) for pairs in mapped]
        )
        for name, path in named
    ]
    return files, notes


def _predictions_of(named: list[tuple[str, Path]], offered: list[Path]) -> dict[Path, Path | None]:
    """The prediction of each truth: that of the case's own name, or the one whose name fits the truth's file."""
    by_name = {case_key(path): path for path in offered} | {stem(path): path for path in offered}
    found = {truth: by_name.get(name) for name, truth in named if name != stem(truth)}
    return found | pair_files([truth for _, truth in named if truth not in found], offered)


def _all_paired(truths: list[Path], offered: list[Path], role: str, source: Path) -> dict[Path, Path | None]:
    pairs = pair_files(truths, offered)
    lacking = sorted(path.name for path, other in pairs.items() if other is None)
    if lacking:
        raise DataError(f"{source} has no {role} for {_some(lacking)}.", "Add it, or check the file names.")
    return pairs


def read_truth_and_region(case: MaskFiles, classes: Sequence[LabelClass]) -> tuple[Truth, np.ndarray | None]:
    """The labels of a case, and where they are scored: within its field of view, without what is to be ignored.

    Returns:
        The truth, the background where it is to be ignored, and ``(*spatial)`` bool; None for the whole case.

    Raises:
        DataError: One of them cannot be read, or is of another size.
    """
    truth = read_truth(case.truth, classes)
    region = None if case.region is None else read_region(case.region)
    if region is not None and case.region is not None:
        require_truths_size(case.region, region.shape, truth)
    if (ignored := truth.values == IGNORED).any():
        region = ~ignored if region is None else region & ~ignored
        truth.values[ignored] = 0
    return truth, region
