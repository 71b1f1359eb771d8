"""How intensities are brought to one scale: one way for all channels, or one for each."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from gracile.errors import nearest
from gracile.recipe.base import Spec
from gracile.recipe.wording import joined, sentences

Word = Literal["zscore", "unit", "percentile", "median-shift"]
"""Ways that look at the image alone."""


class WindowSpec(Spec):
    """A fixed window, such as one of Hounsfield units: ``low`` becomes 0 and ``high`` 1; what lies beyond is cut."""

    method: Literal["window"] = "window"
    low: float
    high: float

    @model_validator(mode="after")
    def _has_a_width(self) -> "WindowSpec":
        return _risen(self)


class TrainingSetSpec(Spec):
    """By what lies within the structures over the training set: cut at two of its values, less its mean, over its
    deviation.

    As nnU-Net does for CT (Isensee et al., Nature Methods 2021), where ``low`` and ``high`` are the percentiles 0.5
    and 99.5. `gracile.transforms.standardizing.structure_levels` finds the four.
    """

    method: Literal["training-set"] = "training-set"
    low: float
    high: float
    mean: float
    deviation: float = Field(gt=0)

    @model_validator(mode="after")
    def _has_a_width(self) -> "TrainingSetSpec":
        return _risen(self)


def _risen(spec: Any) -> Any:
    if spec.low >= spec.high:
        raise ValueError(f"`low` lies below `high`, and {spec.low:g} does not lie below {spec.high:g}")
    return spec


ChannelIntensity = Word | WindowSpec | TrainingSetSpec

_KINDS: dict[str, type[Spec]] = {"window": WindowSpec, "training-set": TrainingSetSpec}


def _one(value: Any) -> Any:
    """A way of one channel as it is typed: a word, or settings with their method."""
    words = get_args(Word)
    if isinstance(value, Mapping):
        method = value.get("method", "")
        if method in words and len(value) == 1:
            return method
        if method not in _KINDS:
            raise ValueError(f"there is no method {method!r}. {nearest(str(method), [*_KINDS, *words])}")
        try:
            return _KINDS[method].model_validate(dict(value))
        except ValidationError as error:
            raise ValueError(joined(sentences(error, _KINDS[method])).rstrip(".")) from None
    if isinstance(value, str) and value in _KINDS:
        known = ", ".join(f"{name}: ..." for name in _KINDS[value].model_fields if name != "method")
        raise ValueError(f"{value!r} takes settings: write {{method: {value}, {known}}}")
    if isinstance(value, str) and value not in words:
        raise ValueError(f"there is no {value!r}. {nearest(value, [*words, *_KINDS])}")
    if not isinstance(value, str | Spec):
        raise ValueError(f"it takes one of {', '.join(words)}, or settings with a method: {', '.join(_KINDS)}")
    return value


def _each(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return _one(value)
    if not value:
        raise ValueError("it is empty")
    return [_one(entry) for entry in value]


Intensity = Annotated[ChannelIntensity | list[ChannelIntensity], BeforeValidator(_each)]
"""One way for all channels, or a list with one for each."""


def named_intensity(way: ChannelIntensity) -> str:
    """Its word, for messages."""
    return way if isinstance(way, str) else way.method
