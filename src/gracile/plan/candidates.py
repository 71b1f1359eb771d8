"""What may be tried on a data set: working size or spacing, patch, network, from the finest and slowest downwards."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gracile.plan.fingerprint import Fingerprint
from gracile.plan.mirroring import why_not_mirrored
from gracile.plan.rules import Rules
from gracile.plan.slender import COLUMN_STEPS, LENGTH, is_slender, slender_stages
from gracile.plan.slice_axis import slice_axis
from gracile.recipe import Recipe
from gracile.recipe.reading import recipe_from, recipe_with

MOST = 6
"""Candidates that are timed."""

COARSER = 1.3
"""How much coarser a copy must be for a look at it to be worth a stage."""

LOCATE = "locate"
"""Name of the stage that finds structures on a coarse copy."""

Settings = dict[str, Any]
"""Values of a recipe by their dotted names."""


@dataclass
class Candidate:
    """One way to train.

    Args:
        title: For people.
        settings: What it changes in the template.
        part: Share of a case's field that one sample of a step shows; of a case's structures, where these are sought.
        reasons: Why each setting is so, by its dotted name.
        before: Stages that come before those of the recipe.
    """

    title: str
    settings: Settings
    part: float
    reasons: dict[str, str] = field(default_factory=dict)
    before: list[Settings] = field(default_factory=list)

    def applied(self, recipe: Recipe) -> Recipe:
        """A recipe with its stages and settings."""
        content = recipe.model_dump(mode="json")
        content["stages"] = [*self.before, *content["stages"]]
        return recipe_with(recipe_from(content), self.settings)


def candidates_for(found: Fingerprint, rules: Rules) -> list[Candidate]:
    """At most `MOST` candidates for pictures or volumes, the finest first; none for points, whose lengths follow."""
    if not found.shown:
        return []
    if is_slender(found, rules):
        return [_slender(found, rules, across) for across in COLUMN_STEPS]
    return (_volumes if found.kind == "volume" else _pictures)(found, rules)[:MOST]


# --- volumes


def _slender(found: Fingerprint, rules: Rules, across: float) -> Candidate:
    stages = slender_stages(found, across, flip=not why_not_mirrored(found, rules))
    length = float(np.median([case.box[2] for case in found.shown]))
    why = (
        f"one structure {length:.0f} mm long and {found.thickness[0]:.0f} mm thick in {found.box_share:.0%} of the "
        "volume: its line is found first on a coarse copy, then it is delineated in a column along that line"
    )
    part = min(1.0, LENGTH * float(found.spacing[2]) / length)
    title = f"along a line, {across:g} samples across"
    own, last = stages
    settings = {f"stages.segment.{name}": value for name, value in last.items() if name not in ("kind", "name")}
    return Candidate(title, settings, part, {f"stages.{own['name']}.spacing_mm": why}, [own])


def _volumes(found: Fingerprint, rules: Rules) -> list[Candidate]:
    spacing, slicewise = target_spacing(found, rules), is_slicewise(found, rules)
    thinnest = float(np.min(found.thickness))
    networks = _SLICE_NETWORKS if slicewise else _VOLUME_NETWORKS
    whole = _whole_at(found, rules, spacing)
    ways = [(1.0, networks), (1.5, networks[-2:]), (2.0, networks[-1:])]
    tried = []
    # What looks closest comes first; at one spacing, the larger network.
    for coarser, some in ways if whole <= 2.0 else [ways[0], (2.0, networks[-1:]), (whole, networks[-2:])]:
        wanted = spacing * coarser if not slicewise else spacing * np.array([coarser, coarser, 1.0])
        if coarser == 1 or thinnest / float(wanted.min()) >= rules["thinnest"]:
            tried += [_volume(found, rules, wanted, coarser, network, slicewise) for network in some]
    coarse = _field_at(found, rules) > COARSER * spacing.max()
    if not slicewise and coarse and found.box_share < rules["small_share"]:
        return [_located(found, rules, candidate) for candidate in tried]
    return tried


def _field_at(found: Fingerprint, rules: Rules) -> float:
    """Millimeters of the samples by which the largest patch shows the whole field."""
    return float((np.prod(found.field_of) / rules["largest_patch_3d"]) ** (1 / 3))


def _whole_at(found: Fingerprint, rules: Rules, spacing: np.ndarray) -> float:
    """How many times as coarse a grid must be for the largest patch to hold the structures."""
    voxels = float(np.prod(np.minimum(found.box * rules["patch_margin"], found.field_of) / spacing))
    return round(max(1.0, (voxels / rules["largest_patch_3d"]) ** (1 / 3)), 2)


def _located(found: Fingerprint, rules: Rules, candidate: Candidate) -> Candidate:
    """The same within what a coarse stage finds first."""
    thick, extent = float(np.max(found.thickness)), found.field_of
    # The whole field in one or a few patches; what is thin is made out as far as these allow.
    largest = _field_at(found, rules)
    spacing = np.maximum(found.spacing, np.clip(thick / 2, largest / 2, largest))
    size = np.maximum(16, np.ceil(extent / spacing / 8) * 8).astype(int)
    while np.prod(size) > rules["largest_patch_3d"]:
        size[int(np.argmax(size))] -= 8
    margin = round(max(2 * float(spacing.max()), 0.1 * float(found.box.max())), 1)
    coarse = {
        "kind": "segment-volume", "name": LOCATE, "spacing_mm": [round(float(s), 2) for s in spacing],
        "network": {"name": "light-unet-3d", "options": {"stride": [2, 2, 2], "width": 24}},
        "losses": [{"name": "cross-entropy"}, {"name": "dice"}], "size": [int(n) for n in size[:2]],
        "length": int(size[2]), "per_case": 4, "augment": {"tilt": 15, "shift": 0.2}, "train": {},
    }  # fmt: skip
    reasons = {
        f"stages.{LOCATE}.spacing_mm": f"structures take {found.box_share:.1%} of the field: sought on a coarse copy",
        "stages.segment.within": f"then delineated in the box around that, with {margin:g} mm more on each side",
    }
    settings = {"stages.segment.within": LOCATE, "stages.segment.margin_mm": margin}
    return Candidate(
        candidate.title + ", within a box", candidate.settings | settings, candidate.part, candidate.reasons | reasons,
        [coarse],
    )  # fmt: skip


@dataclass(frozen=True)
class _Network:
    title: str
    name: str
    options: Settings
    multiple: tuple[int, int, int]


_VOLUME_NETWORKS = (
    _Network("full resolution", "light-unet-3d", {"stride": [1, 1, 1], "width": 16}, (4, 4, 4)),
    _Network("half resolution, wide", "light-unet-3d", {"stride": [2, 2, 2], "width": 48}, (8, 8, 8)),
    _Network("half resolution", "light-unet-3d", {"stride": [2, 2, 2], "width": 32}, (8, 8, 8)),
)

_SLICE_NETWORKS = (
    _Network("slices", "refining-unet", {"widths": [24, 48, 72, 96], "steps": 1, "fold": 2}, (16, 16, 1)),
    _Network("slices, light", "light-unet", {}, (32, 32, 1)),
)


def target_spacing(found: Fingerprint, rules: Rules) -> np.ndarray:
    """``(3,)`` mm: nnU-Net's rule, the median of each axis, or a low percentile of the worst one."""
    spacing = found.spacing.copy()
    worst = int(np.argmax(spacing))
    others = np.delete(spacing, worst)
    coarse = spacing[worst] > rules["anisotropy"] * others.max()
    few = found.shape[worst] * rules["anisotropy"] < np.delete(found.shape, worst).min()
    if coarse and few:
        low = float(np.percentile(found.spacings[:, worst], rules["worst_axis_percentile"]))
        spacing[worst] = max(low, float(others.max()))
    return spacing


def is_slicewise(found: Fingerprint, rules: Rules) -> bool:
    """Whether volumes are looked at slice by slice: along their third axis, to which a fingerprint turns slices."""
    return slice_axis(found, rules) == 2


def _volume(
    found: Fingerprint, rules: Rules, spacing: np.ndarray, coarser: float, network: _Network, slicewise: bool
) -> Candidate:
    size = patch_3d(found, spacing, rules, network.multiple, slicewise)
    everything = found.looked_at == found.labeled  # what was not looked at may have another spacing
    same = everything and np.ptp(found.spacings, axis=0).max() < 1e-3 and coarser == 1.0
    stated = [0, 0, 0] if same else [round(float(s), 3) for s in spacing]
    settings: Settings = {
        "stages.segment.network": {"name": network.name, "options": network.options},
        "stages.segment.spacing_mm": stated,
        "stages.segment.size": [int(size[0]), int(size[1])],
        "stages.segment.length": int(size[2]),
    }
    how = "all cases have the same" if same else "nnU-Net's rule"
    reasons = {
        "stages.segment.spacing_mm": f"mm along each axis; {how}" + (f", times {coarser:g}" if coarser > 1 else ""),
        "stages.segment.size": (
            f"a patch of {' x '.join(str(int(n)) for n in size)} samples, for structures that fit into "
            f"{' x '.join(f'{v:.0f}' for v in found.box)} mm"
        ),
    }
    if slicewise:
        settings["stages.segment.slices"] = 3 if found.shape[2] >= 3 else 1
        reasons["stages.segment.slices"] = (
            f"slices {found.spacing[2]:g} mm apart, {found.spacing[:2].max():g} mm within: seen with their neighbors"
            if found.shape[2] >= 3
            else f"volumes of {found.shape[2]:g} slices"
        )
    shown = size * spacing
    part = float(np.prod(np.minimum(1.0, shown / np.maximum(found.box, spacing))))
    mm = " x ".join(f"{s:.2g}" for s in spacing)
    return Candidate(f"{network.title}, {mm} mm", settings, part, reasons)


def patch_3d(
    found: Fingerprint, spacing: np.ndarray, rules: Rules, multiple: tuple[int, ...], slicewise: bool
) -> np.ndarray:
    """``(3,)`` samples: around the structures with a margin, no larger than a case, and small enough for memory."""
    wanted = np.maximum(found.box * rules["patch_margin"], 8 * spacing)
    wanted = np.minimum(wanted, found.field_of)
    least = np.array([32, 32, 8]) if slicewise else np.array([16, 16, 16])
    steps = np.array(multiple)
    while True:
        size = np.maximum(least, np.ceil(np.maximum(1, wanted / spacing) / steps).astype(int) * steps)
        if slicewise:
            size[2] = min(size[2], 8)
        if np.prod(size) <= rules["largest_patch_3d"] or (size == least).all():
            return size
        longest = int(np.argmax(np.where(size > least, wanted, 0)))
        wanted[longest] *= 0.9


# --- pictures


def _pictures(found: Fingerprint, rules: Rules) -> list[Candidate]:
    native = float(found.shape.max())
    thinnest = float(np.min(found.thickness))
    sizes = [size for size in sorted(rules["picture_sizes"], reverse=True) if size < native]
    whole = min(round(native), max(rules["picture_sizes"]))
    sizes = sorted({whole, *sizes}, reverse=True)
    fine = [size for size in sizes if thinnest * size / native >= rules["thinnest"]] or sizes[:1]
    thick = [size for size in fine if thinnest * size / native > rules["thick_enough"]]
    tried = []
    for size in (fine[max(0, len(thick) - 1) :] or fine[-1:])[:3]:
        thin = thinnest * size / native < rules["thin"]
        for network in _PICTURE_NETWORKS:
            if thin and network.name == "light-unet":
                continue  # its finest grid has a quarter of the picture's samples
            tried.append(_picture(found, rules, size, native, network))
    return tried


_PICTURE_NETWORKS = (
    _Network("two U-Nets", "refining-unet", {"widths": [32, 48, 64, 96, 128], "steps": 2, "fold": 2}, (32, 32, 1)),
    _Network("light U-Net", "light-unet", {}, (32, 32, 1)),
)


def _picture(found: Fingerprint, rules: Rules, size: int, native: float, network: _Network) -> Candidate:
    scaled = found.shape * size / native
    # Where classes are drawn equally often, samples are patches around them.
    fits, rare = bool(np.prod(scaled) <= rules["largest_patch_2d"]), found.rarest < rules["rare_share"]
    whole = fits and not rare
    side = np.ceil(scaled / 32).astype(int) * 32 if whole else np.array([256, 256])
    side = np.minimum(side, np.ceil(scaled / 32).astype(int) * 32)
    settings: Settings = {
        "prepare.diameter": int(size),
        "stages.segment.network": {"name": network.name, "options": network.options},
        "stages.segment.sampler.patch": [int(n) for n in side],
        "stages.segment.sampler.whole": whole,
    }
    across = float(np.min(found.thickness)) * size / native
    too_large = "patches: whole pictures of this size would not fit into memory"
    reasons = {
        "prepare.diameter": f"pixels of the longer side: {across:.1f} across the thinnest structure",
        "stages.segment.sampler.whole": too_large if not fits else "patches, around a rare class as often as others"
        if rare else "pictures of this size fit into memory as a whole",
    }  # fmt: skip
    if network.name == "light-unet":
        settings["train.batch_size"] = 8
    part = 1.0 if whole else float(np.prod(side / scaled))
    return Candidate(f"{network.title}, {size} pixels", settings, min(1.0, part), reasons)
