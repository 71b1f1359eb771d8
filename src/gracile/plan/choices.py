"""What follows from the data alone, whatever the time: intensities, mirroring, losses, sampling, what is held back."""

import re
from typing import Any

import numpy as np

from gracile.plan.choice import Choice
from gracile.plan.fingerprint import Fingerprint
from gracile.plan.landmark_lengths import landmark_choices
from gracile.plan.mirroring import why_not_mirrored
from gracile.plan.rules import Rules
from gracile.plan.slender import is_slender
from gracile.recipe import Recipe
from gracile.recipe.sides import sided_pairs


def choices_for(found: Fingerprint, bare: Recipe, rules: Rules) -> tuple[list[Choice], list[str]]:
    """Settings with their reasons, and what a person should look at."""
    chosen, warnings = [*_intensity(found, bare, rules), *_training(found, rules)], _warnings(found)
    if bare.landmarks:
        return [*chosen, *landmark_choices(found)], warnings
    if is_slender(found, rules):
        return [*chosen, *_slender(), *_mirroring(found, bare, rules)], warnings
    chosen += _orientation(found, bare)
    chosen += _region(found)
    chosen += _mirroring(found, bare, rules)
    chosen += _losses(found, rules)
    chosen += _sampling(found, rules)
    return chosen, warnings


def _warnings(found: Fingerprint) -> list[str]:
    warnings: list[str] = []
    if found.empty:
        warnings.append(
            f"{found.empty} of {found.looked_at} cases show no structure: they teach what is nothing. Where many do, "
            "a gate that looks first pays: see the recipe nerve-ultrasound."
        )
    if found.duplicates:
        first, second = found.duplicates[0]
        warnings.append(
            f"{len(found.duplicates)} pairs of cases of different subjects are nearly the same image, such as {first} "
            f"and {second}: name their subject in a CSV, so that none is held back while the other teaches."
        )
    for index, name in enumerate(found.classes if found.structures else []):
        showing = [case for case in found.structures if case.counts[index] > 0]
        if not showing:
            warnings.append(f"No case that was looked at shows the class {name!r}: it cannot be learned.")
        elif len(showing) < 3 and len(found.structures) > 5:
            warnings.append(f"Only {len(showing)} of {len(found.structures)} cases show the class {name!r}.")
    return warnings


def _slender() -> list[Choice]:
    return [
        Choice("prepare.orientation", "LAS", "slices are followed from below upwards"),
        Choice("prepare.intensity", "percentile", "volumes differ in how much air they hold; the column is evened"),
        Choice("measure", [{"name": "cord"}], "sections slice by slice, length, volume"),
    ]


def _orientation(found: Fingerprint, bare: Recipe) -> list[Choice]:
    """Where slices lie along another axis than the third one of the template."""
    if found.kind != "volume" or found.orientation == bare.prepare.orientation:
        return []
    why = f"slices, {found.spacing[2]:.2g} mm apart, lie along the third axis, which the network looks along"
    return [Choice("prepare.orientation", found.orientation, why)]


CT = re.compile(r"\bct\b", re.IGNORECASE)
OTHER_THAN_CT = re.compile(r"\b(mri?|t1|t1w|t1c|t1ce|t1gd|t2|t2w|flair|dwi|adc|swi|pet|us)\b", re.IGNORECASE)
"""What channels are called, by which it is known without looking whether intensities are Hounsfield units."""


def _is_ct(name: str, intensity: dict[str, float], rules: Rules) -> bool:
    """By the channel's name, where that says it; else there is air."""
    if CT.search(name) or OTHER_THAN_CT.search(name):
        return CT.search(name) is not None
    return intensity["typical_low"] < rules["ct_air"]


def _intensity(found: Fingerprint, bare: Recipe, rules: Rules) -> list[Choice]:
    """CT is clipped to what structures have, and standardized by the set; all else by each image itself."""
    if found.kind == "image":
        what = "all pictures are gray" if found.channels == 1 else "colored pictures"
        return [
            Choice("input.channels", found.channels, what),
            Choice("prepare.intensity", "zscore", "each picture by its own mean and deviation"),
        ]
    entries: list[Any] = []
    names = [*bare.input.channel_names, *[""] * len(found.intensity)]
    for name, channel in zip(names, found.intensity, strict=False):
        if _is_ct(name, channel, rules):
            entries.append(
                {
                    "method": "training-set", "low": channel["structure_low"], "high": channel["structure_high"],
                    "mean": channel["structure_mean"], "deviation": max(1e-3, channel["structure_deviation"]),
                }
            )  # fmt: skip
        else:
            entries.append("zscore")
    why = "each volume by its own mean and deviation: its scale differs from scanner to scanner"
    if any(isinstance(entry, dict) for entry in entries):
        why = "CT in Hounsfield units: clipped to the structures' own range over the set, as nnU-Net does"
    alike = all(entry == entries[0] for entry in entries)
    return [Choice("prepare.intensity", entries[0] if alike else entries, why)]


def _training(found: Fingerprint, rules: Rules) -> list[Choice]:
    share = 0.0
    for count, held in sorted(rules["hold_back"].items(), key=lambda one: int(one[0])):
        if found.subjects >= int(count):
            share = float(held)
    why = (
        f"of {found.subjects} subjects, to see how good it is while it learns"
        if share
        else f"{found.subjects} subjects are few: all of them teach; --folds measures"
    )
    return [
        Choice("train.validation", share, why),
    ]


def _region(found: Fingerprint) -> list[Choice]:
    if found.kind == "image" and found.fundus > 0.9 * found.looked_at:
        return [
            Choice("input.region", "fundus", "all pictures are color photographs of a fundus"),
            Choice("input.wrong_kind", "flag", "it was not trained to tell other pictures"),
            Choice("stages.segment.augment.rotation", 180, "an eye is photographed at any angle"),
        ]
    if found.kind == "image":
        return [
            Choice("stages.segment.augment.rotation", 25, "degrees: how a picture is held varies a little"),
            Choice("stages.segment.augment.shift", 0.1, "of a picture's size"),
        ]
    return []


def _mirroring(found: Fingerprint, bare: Recipe, rules: Rules) -> list[Choice]:
    """Left and right are swapped in training only where nothing tells them apart, or where opposites are named."""
    pairs = sided_pairs(bare.class_names[1:])
    chosen: list[Choice] = []
    told = why_not_mirrored(found, rules)
    why = told or "nothing tells left from right: structures lie on both sides alike"
    if pairs:
        named = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
        classes = [
            spec.model_dump(mode="json") | ({"opposite": named[spec.name]} if spec.name in named else {})
            for spec in bare.classes
        ]
        chosen.append(Choice("classes", classes, f"{pairs[0][0]} is {pairs[0][1]} in a mirror image"))
        why = "classes that name a side change places with their opposites"
    first = found.kind == "image" or found.left_right == 0
    chosen.append(
        Choice(
            "stages.segment.augment.flip",
            first and not told,
            why if first else "the first axis does not run left and right",
        )
    )
    if told:
        return chosen
    both: Any = "horizontal" if found.kind == "image" else True
    if not first:
        both = [found.left_right]
        chosen.append(Choice("stages.segment.augment.flip_axes", both, why))
    chosen.append(Choice("stages.segment.flips", both, "answers to a case and to its mirror image are averaged"))
    return chosen


def _losses(found: Fingerprint, rules: Rules) -> list[Choice]:
    losses: list[dict[str, Any]] = [{"name": "cross-entropy", "weight": 1.0}, {"name": "dice", "weight": 1.0}]
    slender = [name for name, long in zip(found.classes, found.slenderness, strict=True) if long > rules["thin_length"]]
    most = rules["thin"] * found.spacing.min()
    thin = [name for name in slender if found.thickness[found.classes.index(name)] < most]
    if not thin:
        return [Choice("stages.segment.losses", losses, "every sample, and each class as a whole, small ones too")]
    losses.append({"name": "skeleton-recall", "weight": 0.5})
    why = f"{', '.join(thin[:3])}: thin, so that skeletons count by themselves"
    return [Choice("stages.segment.losses", losses, why)]


def _sampling(found: Fingerprint, rules: Rules) -> list[Choice]:
    if found.rarest < rules["rare_share"]:
        rare = found.classes[int(np.argmin(np.where(found.shares > 0, found.shares, 1)))]
        key = "stages.segment.sampler.balance" if found.kind == "image" else "stages.segment.balance"
        why = f"{rare} has {found.rarest:.1%} of the foreground: each class is drawn as often"
        return [Choice(key, "classes", why)]
    return []
