"""A whole cascade as data."""

from typing import Annotated, get_args

import yaml
from pydantic import Field, ValidationInfo, model_validator

from gracile.recipe.base import Spec, StageBase
from gracile.recipe.checks import problems
from gracile.recipe.landmark_stages import LandmarkHeatSpec, LandmarkRefineSpec, LandmarkWindowsSpec
from gracile.recipe.measures import MeasureSpec
from gracile.recipe.regions import opposite_regions, written_classes
from gracile.recipe.sides import opposite_indices, side_warnings
from gracile.recipe.stages import CenterlineSpec, FuseSpec, GateSpec, SegmentSpec, SegmentVolumeSpec
from gracile.recipe.subject import ClassSpec, InputSpec, LandmarkSpec, PrepareSpec
from gracile.recipe.training import TrainerSpec, TrainSpec
from gracile.recipe.wording import joined

SETTINGS_FOLLOW = "settings follow"
"""In the context of a validation: the parts are checked, and the whole only once its settings are changed."""

AnyStage = (
    GateSpec
    | SegmentSpec
    | FuseSpec
    | CenterlineSpec
    | SegmentVolumeSpec
    | LandmarkWindowsSpec
    | LandmarkHeatSpec
    | LandmarkRefineSpec
)
StageSpec = Annotated[AnyStage, Field(discriminator="kind")]


class Recipe(Spec):
    """A whole cascade as data. Every value can be set from the command line by its dotted name."""

    name: Annotated[str, Field(min_length=1)]
    title: str
    summary: str = ""
    classes: list[ClassSpec]
    landmarks: list[LandmarkSpec] = Field(default_factory=list, description="named points to find, in their order")
    trees: dict[str, list[str]] = Field(
        default_factory=dict, description="structures that share classes: a crossing belongs to both vessel trees"
    )
    regions: dict[str, list[str]] = Field(
        default_factory=dict,
        description="structures that overlap, learned as a map each and written as classes in this order, the later "
        "over the earlier: {whole: [edema, core], core: [core]}",
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
    def _fits_together(self, info: ValidationInfo) -> "Recipe":
        if not (info.context or {}).get(SETTINGS_FOLLOW) and (found := problems(self)):
            raise ValueError(joined(found))
        return self

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
        """Class indices of each structure: the declared regions or trees, or each foreground class by itself."""
        names = self.class_names
        if shared := self.regions or self.trees:
            return {name: tuple(names.index(m) for m in members) for name, members in shared.items()}
        return {name: (index,) for index, name in enumerate(names) if index > 0}

    @property
    def opposites(self) -> list[int]:
        """Class that each class is in a mirror image, by index."""
        return opposite_indices(self.classes)

    @property
    def ignores(self) -> bool:
        """Whether labels may say of a part that it counts for nothing."""
        return bool(self.classes and self.classes[0].ignored)

    @property
    def answers(self) -> list[str]:
        """What a network that delineates answers, map by map: the regions, or the classes with the background first."""
        return list(self.regions) or self.class_names

    @property
    def maps(self) -> list[str]:
        """What the maps of probabilities show: the background first, then the regions, or the other classes."""
        return [self.class_names[0], *self.regions] if self.regions else self.class_names

    @property
    def written(self) -> list[int]:
        """Class index that each region is written as, in their order; empty where there are no regions."""
        return [self.class_names.index(found[0]) for found in written_classes(self.regions).values()]

    @property
    def region_opposites(self) -> dict[str, str]:
        """The region that each is in a mirror image; empty where there is none."""
        return opposite_regions(self.regions, {spec.name: spec.opposite for spec in self.classes if spec.opposite})

    @property
    def map_opposites(self) -> list[int]:
        """The map of probabilities that each is in a mirror image, by number."""
        if not self.regions:
            return self.opposites
        maps, others = self.maps, self.region_opposites
        return [0, *(maps.index(others[name] or name) for name in self.regions)]

    @property
    def landmark_opposites(self) -> list[int | None]:
        """Number of each landmark's opposite."""
        names = self.landmark_names
        return [names.index(one.opposite) if one.opposite else None for one in self.landmarks]

    @property
    def deciding(self) -> StageSpec | None:
        """The last stage that delineates, wherever gates stand; None where none does."""
        return next((spec for spec in reversed(self.stages) if spec.gives == "mask"), None)

    @property
    def warnings(self) -> list[str]:
        """What is likely wrong with it, as sentences."""
        return side_warnings(self)

    @staticmethod
    def stage_kinds() -> tuple[type[StageBase], ...]:
        """Every kind of stage."""
        return get_args(AnyStage)

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
