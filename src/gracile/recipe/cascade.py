"""A whole cascade as data."""

from typing import Annotated

import yaml
from pydantic import Field, model_validator

from gracile.names import PROTOCOLS
from gracile.recipe.base import Spec
from gracile.recipe.landmark_stages import LandmarkHeatSpec, LandmarkRefineSpec, LandmarkWindowsSpec
from gracile.recipe.measures import MeasureSpec
from gracile.recipe.stages import CenterlineSpec, FuseSpec, GateSpec, SegmentSpec, SegmentVolumeSpec
from gracile.recipe.subject import ClassSpec, InputSpec, LandmarkSpec, PrepareSpec
from gracile.recipe.training import TrainerSpec, TrainSpec

RESERVED = {"bundle", "cache", "comparison"}
"""Folders of a training run that no stage may be named after."""


StageSpec = Annotated[
    GateSpec
    | SegmentSpec
    | FuseSpec
    | CenterlineSpec
    | SegmentVolumeSpec
    | LandmarkWindowsSpec
    | LandmarkHeatSpec
    | LandmarkRefineSpec,
    Field(discriminator="kind"),
]


class Recipe(Spec):
    """A whole cascade as data. Every value can be set from the command line by its dotted name."""

    name: str
    title: str
    summary: str = ""
    classes: list[ClassSpec]
    landmarks: list[LandmarkSpec] = Field(default_factory=list, description="named points to find, in their order")
    trees: dict[str, list[str]] = Field(
        default_factory=dict, description="structures that share classes: a crossing belongs to both vessel trees"
    )
    input: InputSpec = InputSpec()
    prepare: PrepareSpec = PrepareSpec()
    stages: list[StageSpec] = Field(min_length=1)
    train: TrainSpec = TrainSpec()
    trainer: TrainerSpec = TrainerSpec()
    measure: list[MeasureSpec] = Field(default_factory=list)
    protocol: str = "segmentation"
    ungated: str = Field("", description="why no gate was trained; said with every result")

    @model_validator(mode="after")
    def _names_fit(self) -> "Recipe":
        names = self.class_names
        if len(set(names)) != len(names) or len(names) < (1 if self.landmarks else 2):
            raise ValueError("a recipe has at least two classes with different names, the background first")
        self._landmarks_fit()
        for tree, members in self.trees.items():
            unknown = set(members) - set(names)
            if unknown:
                raise ValueError(f"tree {tree!r} names unknown classes: {', '.join(sorted(unknown))}")
        values = [value for c in self.classes for value in c.values]
        if len(set(values)) != len(values) or (values and not all(c.values for c in self.classes)):
            raise ValueError("label values are declared for every class, and each belongs to one")
        stage_names = [stage.name for stage in self.stages]
        if len(set(stage_names)) != len(stage_names):
            raise ValueError("each stage has a name of its own")
        if RESERVED & set(stage_names):
            raise ValueError(
                f"a stage cannot be named {' or '.join(sorted(RESERVED))}: a run has folders of these names"
            )
        for spec in self.stages:
            self.train_of(spec)
            unknown = set(spec.structures) - set(names[1:]) if isinstance(spec, GateSpec) else set()
            if unknown:
                raise ValueError(f"gate {spec.name!r} names unknown classes: {', '.join(sorted(unknown))}")
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"there is no protocol {self.protocol!r}: there are {', '.join(PROTOCOLS)}")
        return self

    def _landmarks_fit(self) -> None:
        """Raise ValueError for landmarks that cannot be told apart or found."""
        names = self.landmark_names
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"each landmark has a name of its own: {', '.join(repeated)} is there twice")
        if names and self.input.kind != "volume":
            raise ValueError("landmarks are found in volumes: set input.kind to volume")
        opposites = {landmark.name: landmark.opposite for landmark in self.landmarks if landmark.opposite}
        for name, opposite in opposites.items():
            if opposite not in names:
                raise ValueError(f"the opposite of landmark {name!r}, {opposite!r}, is no landmark of the recipe")
            if opposites.get(opposite) != name:
                raise ValueError(f"{opposite!r} is the opposite of landmark {name!r}, but not the other way round")
        found = False
        for spec in self.stages:
            if isinstance(spec, LandmarkWindowsSpec) and (not names or self.input.channels != 1):
                raise ValueError(f"stage {spec.name!r} needs landmarks and volumes of one channel")
            if isinstance(spec, LandmarkHeatSpec | LandmarkRefineSpec) and not names:
                raise ValueError(f"stage {spec.name!r} needs landmarks")
            if isinstance(spec, LandmarkHeatSpec | LandmarkRefineSpec) and spec.augment.flip and not opposites:
                raise ValueError(
                    f"stage {spec.name!r}: a mirrored volume has its left landmarks on the right: "
                    "say each landmark's `opposite`, or set `augment.flip` to false"
                )
            if isinstance(spec, LandmarkRefineSpec) and not found:
                raise ValueError(f"stage {spec.name!r} needs a stage before it that finds the landmarks")
            found = found or isinstance(spec, LandmarkWindowsSpec | LandmarkHeatSpec)

    @property
    def landmark_names(self) -> list[str]:
        """Names of the landmarks in their order."""
        return [landmark.name for landmark in self.landmarks]

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in the order of their indices, the background first."""
        return [c.name for c in self.classes]

    @property
    def structures(self) -> dict[str, tuple[int, ...]]:
        """Class indices of each structure: the declared trees, or each foreground class by itself."""
        names = self.class_names
        if self.trees:
            return {tree: tuple(names.index(m) for m in members) for tree, members in self.trees.items()}
        return {name: (index,) for index, name in enumerate(names) if index > 0}

    @property
    def gates(self) -> list[GateSpec]:
        """The gates among the stages."""
        return [spec for spec in self.stages if isinstance(spec, GateSpec)]

    def train_of(self, spec: StageSpec) -> TrainSpec:
        """How a stage is trained: the recipe's settings with what the stage changes of them."""
        whole = self.train.model_dump()
        transfer = {**whole["transfer"], **(spec.train.get("transfer") or {})}
        return TrainSpec.model_validate({**whole, **spec.train, "transfer": transfer})

    def to_yaml(self) -> str:
        """The recipe as YAML, readable by `read_recipe`."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
