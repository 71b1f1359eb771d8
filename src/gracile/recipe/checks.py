"""What is wrong with a recipe as a whole: parts that are right by themselves and do not fit together."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gracile.errors import RecipeError, nearest
from gracile.extensions import ALL_LOSSES, ALL_MEASURES, ALL_NETWORKS
from gracile.names import (
    MONAI_NETWORKS,
    PROTOCOL_INPUTS,
    PROTOCOLS,
    WINDOW_NETWORKS,
    Kind,
    takes_first_weights,
)
from gracile.recipe.base import StageBase
from gracile.recipe.channels import channel_problems
from gracile.recipe.landmark_stages import LandmarkHeatSpec, LandmarkRefineSpec, LandmarkWindowsSpec
from gracile.recipe.learning_checks import learning_problems
from gracile.recipe.regions import region_problems
from gracile.recipe.sides import first_of, side_problems
from gracile.recipe.stage_links import box_problems, line_problems
from gracile.recipe.stages import FuseSpec, GateSpec
from gracile.recipe.subject import NONE
from gracile.recipe.training import NetworkSpec, TrainSpec
from gracile.recipe.wording import sentences

if TYPE_CHECKING:
    from gracile.recipe.cascade import Recipe

MOST_CLASSES = 255
"""The background included: masks hold class indices in 8 bits, and the last value stands for what is ignored."""

RESERVED = {"bundle", "cache", "comparison"}
"""Folders of a training run that no stage may be named after."""

_LOOKS_AT: dict[Kind, str] = {"image": "pictures", "volume": "volumes"}

_ONE_IS_ENOUGH = "Uninstall all but one of them."


def problems(recipe: "Recipe") -> list[str]:
    """Every problem of a recipe, as sentences."""
    return [problem for check in CHECKS for problem in check(recipe)]


def _names(recipe: "Recipe") -> list[str]:
    names, stages = recipe.class_names, [stage.name for stage in recipe.stages]
    found = []
    if len(set(names)) != len(names) or len(names) < (1 if recipe.landmarks else 2):
        found.append("a recipe has at least two classes with different names, the background first")
    if len(names) > MOST_CLASSES:
        found.append(
            f"it has {len(names) - 1} classes besides the background, more than the {MOST_CLASSES - 1} that an 8-bit "
            "mask tells apart: join some, or train several recipes"
        )
    if NONE in names[1:]:
        found.append(f"a class cannot be named {NONE!r}: that is what `opposite` says where there is no other side")
    if len(set(stages)) != len(stages):
        found.append("each stage has a name of its own")
    if RESERVED & set(stages):
        found.append(f"a stage cannot be named {' or '.join(sorted(RESERVED))}: a run has folders of these names")
    values = [value for spec in recipe.classes for value in spec.values]
    if len(set(values)) != len(values) or (values and not all(spec.values for spec in recipe.classes)):
        found.append("label values are declared for every class, and each belongs to one")
    for ignored in [value for spec in recipe.classes for value in spec.ignored]:
        if ignored in (values or range(len(names))):
            owner = next(spec.name for index, spec in enumerate(recipe.classes) if ignored in (spec.values or [index]))
            found.append(f"the label value {ignored} is that of the class {owner!r}, and cannot be ignored as well")
    if any(spec.ignored for spec in recipe.classes[1:]):
        found.append("values to be ignored are listed once, in `ignored` of the background")
    return found


def _members(recipe: "Recipe") -> list[str]:
    """Classes and structures that the recipe names without having them."""
    groups = {f"tree {tree!r}": (members, recipe.class_names) for tree, members in recipe.trees.items()}
    for spec in recipe.stages:
        structures = list(recipe.regions or recipe.trees) or recipe.class_names[1:]
        known = recipe.class_names[1:] if isinstance(spec, GateSpec) else structures
        groups[f"stage {spec.name!r}"] = (spec.members, known)
        if isinstance(spec, FuseSpec):
            named = {f"branch {branch!r}": (classes, recipe.class_names) for branch, classes in spec.branches.items()}
            groups |= named
        if (decision := getattr(spec, "decision", None)) is not None:
            groups[f"stage {spec.name!r}, in its decision,"] = (decision.named, recipe.class_names[1:])
    return [
        f"{owner} names {word!r}, which is none of the recipe's. {nearest(word, known)}"
        for owner, (given, known) in groups.items()
        for word in given
        if word not in known
    ]


def _inputs(recipe: "Recipe") -> list[str]:
    """Stages, measures and a protocol that are not for what the recipe looks at."""
    kind = recipe.input.kind
    looks = f"the recipe looks at {_LOOKS_AT[kind]} (input.kind: {kind})"
    found = []
    for spec in recipe.stages:
        if kind not in spec.inputs:
            others = [one for one in recipe.stage_kinds() if kind in one.inputs]
            fitting = ", ".join(str(one.model_fields["kind"].default) for one in others)
            found.append(
                f"stage {spec.name!r} is of kind {spec.kind}, which is for {_LOOKS_AT[spec.inputs[0]]}, and {looks}. "
                f"There are: {fitting}."
            )
        if getattr(getattr(spec, "decision", None), "hold_together", False):
            if kind == "volume":
                found.append(f"stage {spec.name!r}: decision.hold_together is for pictures, and {looks}")
            if recipe.regions:
                found.append(f"stage {spec.name!r}: decision.hold_together is for trees, and the recipe has regions")
    for measure in recipe.measure:
        found += _measure(measure.name, kind, looks)
    inputs = PROTOCOL_INPUTS.get(recipe.protocol, (kind,))
    if recipe.protocol not in PROTOCOLS:
        found.append(f"there is no protocol {recipe.protocol!r}. {nearest(recipe.protocol, PROTOCOLS)}")
    elif kind not in inputs:
        fitting = ", ".join(name for name in PROTOCOLS if kind in PROTOCOL_INPUTS.get(name, (kind,)))
        what = _LOOKS_AT[inputs[0]]
        found.append(f"the protocol {recipe.protocol!r} is for {what}, and {looks}. There are: {fitting}.")
    return found


def _measure(name: str, kind: Kind, looks: str) -> list[str]:
    if name not in ALL_MEASURES:
        return [f"there is no measure {name!r}. {nearest(name, ALL_MEASURES)}"]
    try:
        sees = ALL_MEASURES[name].sees()
    except RecipeError as error:
        return [f"{error.message[:1].lower()}{error.message[1:]} {error.remedy}"]
    if kind in sees:
        return []
    fitting = ", ".join(other for other, entry in ALL_MEASURES.items() if kind in entry.inputs and other != name)
    return [f"the measure {name!r} is for {_LOOKS_AT[sees[0]]}, and {looks}. There are: {fitting}."]


def _orientation(recipe: "Recipe") -> list[str]:
    codes = recipe.prepare.orientation
    if recipe.input.kind != "volume":
        return []
    found = []
    following = [spec.name for spec in recipe.stages if spec.follows_slices]
    if following and codes[2] not in "SI":
        third = next(letter for letter in codes if letter in "SI")
        found.append(
            f"{first_of(following)} follows a line from slice to slice along the third axis, which has to run "
            f"up or down the patient, and prepare.orientation {codes} has it run to {codes[2]}. "
            f"Write {codes.replace(third, '')}{third}."
        )
    mirroring = [spec.name for spec in recipe.stages if _mirrors_first_axis(spec)]
    if mirroring and codes[0] not in "LR" and any(spec.opposite not in ("", NONE) for spec in recipe.classes):
        first = next(letter for letter in codes if letter in "LR")
        found.append(
            f"{first_of(mirroring)} mirrors along the first axis, which has to run to the left or right where classes "
            f"have opposites, and prepare.orientation {codes} has it run to {codes[0]}. Write {first}"
            f"{codes.replace(first, '')}."
        )
    return found


def _mirrors_first_axis(spec: StageBase) -> bool:
    """Whether it mirrors by a setting that names no axis."""
    mirroring = spec.mirroring(left_right=-1)
    return "augment.flip" in mirroring or "flips" in mirroring


def _networks(recipe: "Recipe") -> list[str]:
    """Networks and losses that do not exist, or are made for something else than their stage."""
    found = []
    for spec in recipe.stages:
        where = f"stage {spec.name!r}"
        if spec.role == "classifies":
            if spec.network.name.startswith("map:"):
                inner = spec.network.name.removeprefix("map:")
                found += _delineator(where, spec.network.model_copy(update={"name": inner}), "image", "delineates")
        elif spec.role == "scans windows":
            if spec.network.name not in WINDOW_NETWORKS:
                found.append(
                    f"{where}: there is no network {spec.network.name!r} of windows. "
                    + nearest(spec.network.name, WINDOW_NETWORKS)
                )
        else:
            found += _delineator(where, spec.network, spec.network_input, spec.role)
        if isinstance(spec, FuseSpec):
            found += _delineator(where, spec.discriminator, "image", "judges")
        name, inner = spec.network.name, spec.network.name.removeprefix("map:")
        is_library_s = spec.role == "classifies" and inner == name
        if spec.network.initial and not is_library_s and not takes_first_weights(inner):
            found.append(f"{where}: the network {name!r} takes no first weights: leave `initial` out")
        for term in getattr(spec, "losses", []):
            if term.name not in ALL_LOSSES:
                found.append(f"{where}: there is no loss {term.name!r}. {nearest(term.name, ALL_LOSSES)}")
            elif problem := ALL_LOSSES[term.name].problem():
                found.append(f"{where}: {problem}. {_ONE_IS_ENOUGH}")
    return found


def _delineator(where: str, network: NetworkSpec, kind: Kind, role: str) -> list[str]:
    library, _, _ = network.name.partition(":")
    looks = _LOOKS_AT[kind]
    if library == "monai" and role == "delineates":
        wanted, dimensions = {"image": 2, "volume": 3}[kind], network.options.get("spatial_dims")
        if dimensions is not None and dimensions != wanted:
            return [f"{where}: the network sees {looks}: spatial_dims is {wanted}, not {dimensions}"]
        return []
    if library == "smp" and role == "delineates":
        if kind == "image":
            return []
        return [f"{where}: networks of smp are for pictures. {nearest('', _fitting(kind, role))}"]
    if network.name not in ALL_NETWORKS:
        libraries = [*["smp:Unet:resnet18"] * (kind == "image"), *(f"monai:{name}" for name in MONAI_NETWORKS)]
        known = [*_fitting(kind, role), *(libraries if role == "delineates" else [])]
        return [f"{where}: there is no network {network.name!r}. {nearest(network.name, known)}"]
    entry = ALL_NETWORKS[network.name]
    if problem := entry.problem():
        return [f"{where}: {problem}. {_ONE_IS_ENOUGH}"]
    if kind not in entry.inputs or entry.role != role:
        why = (
            f"is for {_LOOKS_AT[entry.inputs[0]]}" if kind not in entry.inputs else f"{entry.role}, and here one {role}"
        )
        return [f"{where}: the network {network.name!r} {why}. {nearest('', _fitting(kind, role))}"]
    return []


def _fitting(kind: Kind, role: str) -> list[str]:
    """Networks that fit; of those of other packages it is not known what they see until they are built."""
    return [name for name, entry in ALL_NETWORKS.items() if kind in entry.inputs and entry.role == role]


def _landmarks(recipe: "Recipe") -> list[str]:
    """Landmarks that cannot be told apart or found."""
    names, found = recipe.landmark_names, []
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        found.append(f"each landmark has a name of its own: {', '.join(repeated)} is there twice")
    if names and recipe.input.kind != "volume":
        found.append("landmarks are found in volumes: set input.kind to volume")
    if not names and recipe.protocol == "landmarks":
        found.append("the protocol 'landmarks' scores landmarks, and the recipe has none: list them in `landmarks`")
    if not names and any(measure.name == "landmarks" for measure in recipe.measure):
        found.append("the measure 'landmarks' needs landmarks, and the recipe has none: list them in `landmarks`")
    opposites = {landmark.name: landmark.opposite for landmark in recipe.landmarks if landmark.opposite}
    for name, opposite in opposites.items():
        if opposite not in names:
            hint = nearest(opposite, names)
            found.append(f"the opposite of landmark {name!r}, {opposite!r}, is no landmark of the recipe. {hint}")
        elif opposites.get(opposite) != name:
            found.append(f"{opposite!r} is the opposite of landmark {name!r}, but not the other way round")
    given = False
    for spec in recipe.stages:
        if isinstance(spec, LandmarkWindowsSpec) and (not names or recipe.input.channels != 1):
            found.append(f"stage {spec.name!r} needs landmarks and volumes of one channel")
        if isinstance(spec, LandmarkHeatSpec | LandmarkRefineSpec) and not names:
            found.append(f"stage {spec.name!r} needs landmarks")
        if isinstance(spec, LandmarkHeatSpec | LandmarkRefineSpec) and spec.augment.flip and names and not opposites:
            found.append(
                f"stage {spec.name!r}: a mirrored volume has its left landmarks on the right: "
                "say each landmark's `opposite`, or set `augment.flip` to false"
            )
        if isinstance(spec, LandmarkRefineSpec) and not given:
            found.append(f"stage {spec.name!r} needs a stage before it that finds the landmarks")
        given = given or spec.gives == "landmarks"
    return found


def _trainings(recipe: "Recipe") -> list[str]:
    found = []
    for spec in recipe.stages:
        try:
            recipe.train_of(spec)
        except ValidationError as error:
            found += sentences(error, TrainSpec, ("stages", spec.name, "train"))
    return found


CHECKS: tuple[Callable[["Recipe"], list[str]], ...] = (
    _names, channel_problems, _landmarks, _members, _inputs, line_problems, box_problems, _orientation, _networks,
    side_problems, _trainings, region_problems, learning_problems,
)  # fmt: skip
