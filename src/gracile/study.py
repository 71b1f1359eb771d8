"""A study: which settings of a recipe are tried in which values, as plain typed data."""

import itertools
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, Tag, ValidationError, model_validator

from gracile.errors import RecipeError
from gracile.names import PACKAGE, STUDIES, docs_page
from gracile.recipe import Recipe, Spec, StageSpec, recipe_with
from gracile.settings import named_file, read_mapping

Value = str | int | float | bool | None
"""What Optuna stores of a setting; lists and mappings are stored as a text and found again by it."""

STAGE = "stages.*."
"""Stands for the stage that is tuned."""


class RangeSpec(Spec):
    """Numbers from a range, both ends included; whole ones where both ends are whole."""

    low: int | float
    high: int | float
    step: int | float | None = Field(None, gt=0)
    log: bool = Field(False, description="equal ratios are equally likely, not equal differences")

    @model_validator(mode="after")
    def _is_a_range(self) -> "RangeSpec":
        if self.low >= self.high:
            raise ValueError("`low` is below `high`")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("with `log` a range begins above 0 and has no `step`")
        return self

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))

    @property
    def values(self) -> list[Value]:
        """All of them; none where there is no step."""
        if self.step is None:
            return list(range(int(self.low), int(self.high) + 1)) if self.whole and not self.log else []
        low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
        numbers = [low + index * step for index in range(int((high - low) / step) + 1)]
        return [int(number) if self.whole else float(number) for number in numbers]


class ChoicesSpec(Spec):
    """Some values."""

    choices: list[Any] = Field(min_length=2)

    @property
    def values(self) -> list[Value]:
        """Each as it is stored."""
        return [stored(choice) for choice in self.choices]


class VariantsSpec(Spec):
    """Several settings at once, by a name of what they are together; an empty one leaves the recipe as it is."""

    variants: dict[str, dict[str, Any]] = Field(min_length=2)

    @property
    def values(self) -> list[Value]:
        """The names."""
        return list(self.variants)


def _kind(value: Any) -> str | None:
    keys = set(value) if isinstance(value, dict) else set(getattr(type(value), "model_fields", ()))
    return next((kind for kind in ("choices", "variants", "low") if kind in keys), None)


SettingSpec = Annotated[
    Annotated[RangeSpec, Tag("low")]
    | Annotated[ChoicesSpec, Tag("choices")]
    | Annotated[VariantsSpec, Tag("variants")],
    Discriminator(
        _kind,
        custom_error_type="setting",
        custom_error_message="a setting has `low` and `high`, or `choices`, or `variants`",
    ),
]


class PruningSpec(Spec):
    """When a trial ends early: where its best score so far is worse than the median of the others' at that epoch."""

    after_trials: int = Field(4, ge=1, description="complete trials before any is compared with them")
    after_epochs: int = Field(0, ge=0, description="epochs that every trial may have")


class StudySpec(Spec):
    """Which settings are tried, how often, and by what they are judged.

    Settings are dotted names as ``--set`` takes them; ``stages.*`` stands for the stage that is tuned.
    """

    name: str
    title: str = ""
    summary: str = ""
    settings: dict[str, SettingSpec] = Field(min_length=1)
    fixed: dict[str, Any] = Field(default_factory=dict, description="what is set in every trial")
    trials: int = Field(20, ge=1)
    sampler: Literal["tpe", "random", "grid"] = Field("tpe", description="grid tries every combination once")
    pruning: PruningSpec | None = PruningSpec()
    seeds: int = Field(1, ge=1, description="trainings of each trial, whose scores are averaged; one is pruned by")
    seed: int = Field(0, description="of what the sampler draws")
    stage: str = Field("", description="the stage that is tuned and judged; empty: the last one that delineates")

    @model_validator(mode="after")
    def _grid_is_finite(self) -> "StudySpec":
        endless = [key for key, setting in self.settings.items() if not setting.values]
        if self.sampler == "grid" and endless:
            raise ValueError(f"a grid needs a `step` or `choices` for {', '.join(endless)}")
        return self

    @property
    def grid(self) -> list[dict[str, Value]]:
        """Every combination of values, as they are stored."""
        combinations = itertools.product(*(setting.values for setting in self.settings.values()))
        return [dict(zip(self.settings, some, strict=True)) for some in combinations]

    def to_yaml(self) -> str:
        """The study as YAML, readable by `read_study`."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def stage_of(self, recipe: Recipe) -> StageSpec:
        """The stage that is tuned. Raises RecipeError."""
        names = [spec.name for spec in recipe.stages]
        if self.stage and self.stage not in names:
            raise RecipeError(f"The study tunes the stage {self.stage!r}.", f"The recipe has: {', '.join(names)}.")
        if self.stage:
            return recipe.stages[names.index(self.stage)]
        return recipe.deciding or recipe.stages[-1]

    def apply(self, recipe: Recipe, given: Mapping[str, Value]) -> Recipe:
        """The recipe of a trial. Raises RecipeError where a setting is not the recipe's or cannot have that value."""
        values = dict(self.fixed)
        for key, value in given.items():
            setting = self.settings[key]
            if isinstance(setting, VariantsSpec):
                values |= setting.variants[str(value)]
            elif isinstance(setting, ChoicesSpec):
                values[key] = setting.choices[setting.values.index(value)]
            else:
                values[key] = value
        own = f"stages.{self.stage_of(recipe).name}."
        return recipe_with(recipe, {key.replace(STAGE, own, 1): value for key, value in values.items()})

    def require_fit(self, recipe: Recipe, from_bundle: bool) -> None:
        """Raise RecipeError where the recipe has not what the study sets, or where setting it would change nothing."""
        stage = self.stage_of(recipe)
        for key, setting in self.settings.items():
            for value in [setting.low, setting.high] if isinstance(setting, RangeSpec) else setting.values:
                try:
                    self.apply(recipe, {key: value})
                except RecipeError as error:
                    raise RecipeError(
                        f"The study {self.name!r} sets {key}, which does not suit the stage {stage.name!r} of the "
                        f"recipe {recipe.name!r}: {error.message}",
                        error.remedy,
                    ) from None
        for key in self._names():
            first, _, rest = key.partition(".")
            if first == "train" and rest.partition(".")[0] in stage.train:
                raise RecipeError(
                    f"The study {self.name!r} sets {key}, and the stage {stage.name!r} has a value of its own for it.",
                    f"Set {STAGE}{key} instead.",
                )
            if ".transfer." in f".{key}." and not from_bundle:
                raise RecipeError(
                    f"The study {self.name!r} is about weights that are taken over: it sets {key}.",
                    "Name the bundle to start from with --from.",
                )

    def _names(self) -> list[str]:
        """The dotted names of all that it sets."""
        names = [*self.fixed]
        for key, setting in self.settings.items():
            variants = setting.variants.values() if isinstance(setting, VariantsSpec) else [{key: None}]
            names += [name for variant in variants for name in variant]
        return names


def stored(choice: Any) -> Value:
    """A value as Optuna stores it: what is no plain one as a line of YAML."""
    if choice is None or isinstance(choice, str | int | float | bool):
        return choice
    return yaml.safe_dump(choice, default_flow_style=True, sort_keys=False, width=10_000).strip()


def read_study(source: str | Path) -> StudySpec:
    """Read a study by name or from a YAML file. Raises RecipeError."""
    path = study_path(str(source))
    data = read_mapping(path, "study", "tuning.md")
    try:
        return StudySpec.model_validate({"name": path.stem, **data})
    except ValidationError as error:
        problems = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
        raise RecipeError(f"The study is not valid: {'; '.join(problems)}.", f"See {docs_page('tuning.md')}.") from None


def study_path(source: str) -> Path:
    """The file of a shipped study's name or of a path. Raises RecipeError."""
    return named_file(source, "study", PACKAGE / "studies", STUDIES)
