"""What is wrong with a recipe as a whole: parts that are right by themselves and do not fit together."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gracile.errors import nearest
from gracile.names import LOSSES, MEASURES, MONAI_NETWORKS, NETWORKS, PROTOCOL_INPUTS, PROTOCOLS, WINDOW_NETWORKS, Kind
from gracile.recipe.base import StageBase
from gracile.recipe.landmark_stages import LandmarkHeatSpec, LandmarkRefineSpec, LandmarkWindowsSpec
from gracile.recipe.sides import differ_in_side, has_side, opposite_problems, setting, sided_pairs
from gracile.recipe.stages import FuseSpec, GateSpec, SegmentVolumeSpec
from gracile.recipe.subject import NONE
from gracile.recipe.training import NetworkSpec, TrainSpec
from gracile.recipe.wording import sentences

if TYPE_CHECKING:
    from gracile.recipe.cascade import Recipe

RESERVED = {"bundle", "cache", "comparison"}
"""Folders of a training run that no stage may be named after."""

_LOOKS_AT: dict[Kind, str] = {"image": "pictures", "volume": "volumes"}
_TURNED = 180.0


def problems(recipe: "Recipe") -> list[str]:
    """Every problem of a recipe, as sentences."""
    return [problem for check in CHECKS for problem in check(recipe)]


def warnings(recipe: "Recipe") -> list[str]:
    """What is likely wrong with a recipe, as sentences: a side that is named without the other, and mirrored."""
    mirroring = _mirroring(recipe)
    if not mirroring:
        return []
    paired = {name for pair in sided_pairs(recipe.class_names) for name in pair}
    return [
        f"The class {spec.name!r} names a side, and {_where(mirroring)} mirrors: in a mirror image it is the other "
        f"side's. Give that side a class and name each as the other's `opposite`; or, where only one is ever there, "
        f"--set {setting(spec.name, NONE)}."
        for spec in recipe.classes[1:]
        if not spec.opposite and has_side(spec.name) and spec.name not in paired
    ]


def _names(recipe: "Recipe") -> list[str]:
    names, stages = recipe.class_names, [stage.name for stage in recipe.stages]
    found = []
    if len(set(names)) != len(names) or len(names) < (1 if recipe.landmarks else 2):
        found.append("a recipe has at least two classes with different names, the background first")
    if NONE in names[1:]:
        found.append(f"a class cannot be named {NONE!r}: that is what `opposite` says where there is no other side")
    if len(set(stages)) != len(stages):
        found.append("each stage has a name of its own")
    if RESERVED & set(stages):
        found.append(f"a stage cannot be named {' or '.join(sorted(RESERVED))}: a run has folders of these names")
    values = [value for spec in recipe.classes for value in spec.values]
    if len(set(values)) != len(values) or (values and not all(spec.values for spec in recipe.classes)):
        found.append("label values are declared for every class, and each belongs to one")
    return found


def _members(recipe: "Recipe") -> list[str]:
    """Classes and structures that the recipe names without having them."""
    groups = {f"tree {tree!r}": (members, recipe.class_names) for tree, members in recipe.trees.items()}
    for spec in recipe.stages:
        known = recipe.class_names[1:] if isinstance(spec, GateSpec) else list(recipe.trees) or recipe.class_names[1:]
        groups[f"stage {spec.name!r}"] = (spec.members, known)
        if isinstance(spec, FuseSpec):
            named = {f"branch {branch!r}": (classes, recipe.class_names) for branch, classes in spec.branches.items()}
            groups |= named
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
    for measure in recipe.measure:
        if measure.name not in MEASURES:
            found.append(f"there is no measure {measure.name!r}. {nearest(measure.name, MEASURES)}")
        elif kind not in MEASURES[measure.name].inputs:
            fitting = ", ".join(name for name, entry in MEASURES.items() if kind in entry.inputs)
            what = _LOOKS_AT[MEASURES[measure.name].inputs[0]]
            found.append(f"the measure {measure.name!r} is for {what}, and {looks}. There are: {fitting}.")
    inputs = PROTOCOL_INPUTS.get(recipe.protocol, (kind,))
    if recipe.protocol not in PROTOCOLS:
        found.append(f"there is no protocol {recipe.protocol!r}. {nearest(recipe.protocol, PROTOCOLS)}")
    elif kind not in inputs:
        fitting = ", ".join(name for name in PROTOCOLS if kind in PROTOCOL_INPUTS.get(name, (kind,)))
        what = _LOOKS_AT[inputs[0]]
        found.append(f"the protocol {recipe.protocol!r} is for {what}, and {looks}. There are: {fitting}.")
    return found


def _lines(recipe: "Recipe") -> list[str]:
    """Stages along lines that no stage before them gives."""
    found = []
    for number, spec in enumerate(recipe.stages):
        if not isinstance(spec, SegmentVolumeSpec) or not spec.along:
            continue
        lines = [other.name for other in recipe.stages[:number] if other.gives == "line"]
        if spec.along in lines:
            continue
        later = any(other.name == spec.along and other.gives == "line" for other in recipe.stages[number:])
        before = any(other.name == spec.along for other in recipe.stages[:number])
        said = f"stage {spec.name!r} follows the line of {spec.along!r}, "
        if later:
            found.append(f"{said}which comes after it. Put {spec.along!r} before it.")
        elif not lines:
            what = "which gives no line" if before else "and no stage before it gives a line"
            found.append(f"{said}{what}. Put a stage of kind centerline before it, or segment the whole: along: ''.")
        else:
            what = "which gives no line" if before else "and no stage before it has that name"
            found.append(f"{said}{what}. {nearest(spec.along, lines)}")
    return found


def _orientation(recipe: "Recipe") -> list[str]:
    codes = recipe.prepare.orientation
    if recipe.input.kind != "volume":
        return []
    found = []
    following = [spec.name for spec in recipe.stages if spec.follows_slices]
    if following and codes[2] not in "SI":
        third = next(letter for letter in codes if letter in "SI")
        found.append(
            f"{_where(following)} follows a line from slice to slice along the third axis, which has to run up or down "
            f"the patient, and prepare.orientation {codes} has it run to {codes[2]}. Write {codes.replace(third, '')}"
            f"{third}."
        )
    mirroring = _mirroring(recipe)
    if mirroring and codes[0] not in "LR" and any(spec.opposite not in ("", NONE) for spec in recipe.classes):
        first = next(letter for letter in codes if letter in "LR")
        found.append(
            f"{_where(mirroring)} mirrors along the first axis, which has to run to the left or right where classes "
            f"have opposites, and prepare.orientation {codes} has it run to {codes[0]}. Write {first}"
            f"{codes.replace(first, '')}."
        )
    return found


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
        for term in getattr(spec, "losses", []):
            if term.name not in LOSSES:
                found.append(f"{where}: there is no loss {term.name!r}. {nearest(term.name, LOSSES)}")
    return found


def _delineator(where: str, network: NetworkSpec, kind: Kind, role: str) -> list[str]:
    library, _, _ = network.name.partition(":")
    fitting = [name for name, entry in NETWORKS.items() if kind in entry.inputs and entry.role == role]
    looks = _LOOKS_AT[kind]
    if library == "monai" and role == "delineates":
        wanted, dimensions = {"image": 2, "volume": 3}[kind], network.options.get("spatial_dims")
        if dimensions is not None and dimensions != wanted:
            return [f"{where}: the network sees {looks}: spatial_dims is {wanted}, not {dimensions}"]
        return []
    if library == "smp" and role == "delineates":
        return [] if kind == "image" else [f"{where}: networks of smp are for pictures. {nearest('', fitting)}"]
    if network.name not in NETWORKS:
        libraries = [*["smp:Unet:resnet18"] * (kind == "image"), *(f"monai:{name}" for name in MONAI_NETWORKS)]
        known = [*fitting, *(libraries if role == "delineates" else [])]
        return [f"{where}: there is no network {network.name!r}. {nearest(network.name, known)}"]
    if network.name not in fitting:
        entry = NETWORKS[network.name]
        why = (
            f"is for {_LOOKS_AT[entry.inputs[0]]}" if kind not in entry.inputs else f"{entry.role}, and here one {role}"
        )
        return [f"{where}: the network {network.name!r} {why}. {nearest('', fitting)}"]
    return []


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


def _sides(recipe: "Recipe") -> list[str]:
    """Classes and kinds of frames that change their name in a mirror image, where something mirrors."""
    found = opposite_problems(recipe.classes)
    mirroring = _mirroring(recipe)
    specs = {spec.name: spec for spec in recipe.classes}
    for a, b in sided_pairs(recipe.class_names[1:]) if mirroring else []:
        if not specs[a].opposite and not specs[b].opposite:
            found.append(
                f"the classes {a!r} and {b!r} differ only in their side, and {_where(mirroring)} mirrors: in a mirror "
                f"image one is the other. Say so: --set {setting(a, b)} --set {setting(b, a)}; or, where they keep "
                f"their names all the same: --set {setting(a, NONE)} --set {setting(b, NONE)}"
            )
    for spec in recipe.stages:
        found += _sides_of_stage(recipe, spec)
    return found


def _sides_of_stage(recipe: "Recipe", spec: StageBase) -> list[str]:
    if not spec.mirroring:
        return []
    where, off = f"stage {spec.name!r}", f"--set stages.{spec.name}.augment.flip=false"  # type: ignore[attr-defined]
    found = []
    opposites = {one.name: one.opposite for one in recipe.classes if one.opposite in recipe.class_names}
    members = [name for structure in spec.members for name in _classes_of(recipe, structure)]
    alone = [name for name in members if opposites.get(name, name) not in members]
    if alone:
        found.append(
            f"{where} takes {alone[0]!r} without its opposite, and mirrors: in a mirror image it would be the other "
            f"side's. Turn that off: {off}"
        )
    if isinstance(spec, GateSpec):
        found += [
            f"{where} tells {a!r} from {b!r}, which differ only in their side, and mirrors. Turn that off: {off}"
            for i, a in enumerate(spec.classes)
            for b in spec.classes[i + 1 :]
            if differ_in_side(a, b)
        ]
    upside_down = getattr(spec, "flips", False) is True and "image" in spec.inputs
    if upside_down and opposites and spec.augment.rotation < _TURNED:  # type: ignore[attr-defined]
        found.append(
            f"{where} averages answers of pictures upside down and has not learned from such, so that their left and "
            f"right mean nothing. Mirror left and right alone: --set stages.{spec.name}.flips=horizontal"  # type: ignore[attr-defined]
        )
    return found


def _classes_of(recipe: "Recipe", structure: str) -> list[str]:
    """The classes of a structure, or the one of that name."""
    if structure in recipe.class_names:
        return [structure]
    return recipe.trees.get(structure, [])


def _mirroring(recipe: "Recipe") -> list[str]:
    """Names of the stages that see classes mirrored."""
    return [spec.name for spec in recipe.stages if spec.mirroring]


def _where(stages: list[str]) -> str:
    return f"stage {stages[0]!r}"


def _trainings(recipe: "Recipe") -> list[str]:
    found = []
    for spec in recipe.stages:
        try:
            recipe.train_of(spec)
        except ValidationError as error:
            found += sentences(error, TrainSpec, ("stages", spec.name, "train"))
    return found


CHECKS: tuple[Callable[["Recipe"], list[str]], ...] = (
    _names, _landmarks, _members, _inputs, _lines, _orientation, _networks, _sides, _trainings,
)  # fmt: skip
