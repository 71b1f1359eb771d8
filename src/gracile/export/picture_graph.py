"""The whole way of a picture through a recipe as one graph: prepare, gates, network, restore, decide."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import onnx

from gracile.bundle import Bundle
from gracile.errors import BundleError, RecipeError
from gracile.export.field_of_view import field_of_view
from gracile.export.graph import Graph, Value
from gracile.export.resampling import resized, resized_in_whole_levels
from gracile.export.scan import scan
from gracile.export.standardizing import standardized
from gracile.io.model_card import LEARNED_FROM
from gracile.names import VERSION
from gracile.recipe import DecisionSpec, Recipe
from gracile.recipe.stages import PRESENT, FuseSpec, GateSpec, SegmentSpec
from gracile.transforms.prepare import in_whole_levels

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)[:, None, None]

IMAGE, REGION, MASK, PROBABILITIES = "image", "region", "mask", "probabilities"
"""Inputs and outputs of an exported model."""

NONE_GIVEN = np.zeros((1, 1), dtype=np.uint8)
"""A region without a pixel is none: the graph looks for its own."""

_SEARCHES: dict[str, Callable[[Graph, Value], Value]] = {"fundus": field_of_view, "scan": scan}


def picture_model(bundle: Bundle, name: str) -> onnx.ModelProto:
    """A picture model as one graph from uint8 ``(height, width, 3)`` to its masks and maps of that size.

    Raises:
        RecipeError: The recipe has an option that no graph expresses.
        BundleError: A stage has no graph.
    """
    require_expressible(bundle)
    recipe, graph = bundle.recipe, Graph()
    picture = graph.takes(IMAGE, np.uint8, ["height", "width", 3])
    given = graph.takes(REGION, np.uint8, ["region_height", "region_width"], NONE_GIVEN)
    colors = graph.node("Transpose", picture, perm=[2, 0, 1])
    region = _region(graph, recipe, colors, given)
    placed = _Placed.of(graph, region, recipe)
    inside = resized(graph, placed.cut(region.to(np.float32).lifted(0)), *placed.shape).pick(0) > 0.5
    image = standardized(graph, _scaled(graph, recipe, colors, placed), inside, recipe.prepare, recipe.input.channels)
    opened = {index: graph.constant(True, bool) for index in range(1, len(recipe.classes))}
    deciding = recipe.deciding
    assert isinstance(deciding, SegmentSpec | FuseSpec)
    answer: Value | None = None
    for spec in recipe.stages:
        if isinstance(spec, GateSpec) and spec.enabled:
            is_open = _gate(graph, bundle, spec, image)
            for index in (recipe.class_names.index(member) for member in spec.structures):
                opened[index] = opened[index] & is_open
        elif spec is deciding:
            answer = _delineated(graph, bundle, deciding, image, opened, placed)
    assert answer is not None
    answer = placed.restore(_closed(graph, answer, opened) if recipe.gates else answer)
    mask = graph.where(region, _decided(graph, answer, deciding.decision, recipe.written), 0).to(np.uint8)
    graph.gives(MASK, mask, ["height", "width"])
    graph.gives(PROBABILITIES, answer, [len(recipe.maps), "height", "width"])
    return graph.model(name, recipe.title, metadata(bundle))


def require_expressible(bundle: Bundle) -> None:
    """Raise RecipeError or BundleError where a picture model cannot be one graph."""
    recipe = bundle.recipe
    deciding = recipe.deciding
    if not isinstance(deciding, SegmentSpec | FuseSpec):
        raise RecipeError(
            f"The recipe {recipe.name} delineates nothing, and exported models give masks.", "Export a model that does."
        )
    if recipe.input.separate:
        raise RecipeError(
            f"Exported models take gray and color pictures, and the recipe {recipe.name} takes "
            f"{recipe.input.channels} channels of their own.",
            "Take the graphs alone: they lie in the bundle.",
        )
    decision = deciding.decision
    for setting, what, none in (
        ("smallest", "Dropping small islands", "0"),
        ("largest_only", "Keeping the largest island", "false"),
        ("fill_holes", "Filling holes", "false"),
        ("hold_together", "Holding trees together", "false"),
    ):
        if getattr(decision, setting):
            raise RecipeError(
                f"{what} is nothing that a graph does at a picture's own size.",
                f"Leave it to the program that runs the model: --set stages.{deciding.name}.decision.{setting}={none}",
            )
    for spec in recipe.stages:
        if spec.name not in bundle.graphs:
            raise BundleError(
                f"The stage {spec.name!r} has no graph, which an export is made of.",
                "Make it: gracile models upgrade BUNDLE.",
            )


def metadata(bundle: Bundle) -> dict[str, str]:
    """What an exported model says of itself: plain words, or JSON."""
    recipe = bundle.recipe
    card = {heading: content for heading, content in bundle.card.items() if heading != LEARNED_FROM}
    gates = [
        {"name": gate.name, "kinds": gate.kinds, "present": gate.present or [PRESENT], "closes": gate.structures,
         "threshold": float(bundle.weights[gate.name]["threshold"])}
        for gate in recipe.gates if gate.enabled
    ]  # fmt: skip
    return {
        "gracile": VERSION,
        "recipe": recipe.name,
        "title": recipe.title,
        "summary": recipe.summary,
        "classes": json.dumps(recipe.class_names),
        "maps": json.dumps(recipe.maps),
        "colors": json.dumps([spec.color for spec in recipe.classes]),
        "gates": json.dumps(gates),
        "weights": json.dumps(bundle.checksums),
        "licence": str(bundle.card.get("licence", "")),
        "card": json.dumps(card, ensure_ascii=False),
    }


@dataclass(frozen=True)
class _Placed:
    """`gracile.transforms.placement.Placement` as values of a graph.

    Args:
        graph: Where they flow.
        size: (height, width) of the picture.
        box: (top, left, bottom, right) in it.
        shape: (height, width) of the prepared picture.
    """

    graph: Graph
    size: tuple[Value, Value]
    box: tuple[Value, Value, Value, Value]
    shape: tuple[Value, Value]

    @classmethod
    def of(cls, graph: Graph, region: Value, recipe: Recipe) -> "_Placed":
        """Around a region ``(height, width)`` bool; halves and borders are counted in float64, as `prepare` does."""
        size = (region.size(0), region.size(1))
        ends = [_ends(graph, region.any(other), length) for other, length in zip((1, 0), size, strict=True)]
        extent = graph.larger(*(last - first for first, last in ends)) + 1
        diameter = recipe.prepare.diameter
        scale = diameter / extent.to(np.float64) if diameter else graph.constant(1.0, np.float64)
        border = graph.node("Ceil", recipe.prepare.margin / scale).to(np.int64)
        low = [graph.larger(first - border, 0) for first, _ in ends]
        high = [graph.smaller(last + 1 + border, length) for (_, last), length in zip(ends, size, strict=True)]
        shape = [
            graph.larger(graph.node("Round", (stop - start).to(np.float64) * scale), 1.0).to(np.int64)
            for start, stop in zip(low, high, strict=True)
        ]
        return cls(graph, size, (low[0], low[1], high[0], high[1]), (shape[0], shape[1]))

    def cut(self, image: Value) -> Value:
        """The box of ``(channels, height, width)``."""
        top, left, bottom, right = self.box
        return image.part(top, bottom, 1).part(left, right, 2)

    def restore(self, maps: Value) -> Value:
        """Prepared ``(classes, height, width)`` probabilities on the picture's own grid; background around the box."""
        top, left, bottom, right = self.box
        inner = resized(self.graph, maps, bottom - top, right - left)
        around = [top, left, self.size[0] - bottom, self.size[1] - right]
        parts = [inner.part(0, 1, 0), inner.part(1, maps.size(0), 0)]
        return self.graph.joined(
            [padded(self.graph, part, around, fill) for part, fill in zip(parts, (1.0, 0.0), strict=True)]
        )


@dataclass(frozen=True)
class _Framed:
    """`gracile.transforms.frames.Frame` as values of a graph."""

    graph: Graph
    prepared: tuple[Value, Value]
    inner: tuple[Value, Value]
    size: tuple[int, int]

    @classmethod
    def around(cls, graph: Graph, image: Value, size: tuple[int, int]) -> "_Framed":
        """Of a prepared picture ``(channels, height, width)`` in a network's input of fixed size."""
        prepared = (image.size(1), image.size(2))
        ratios = [float(side) / length.to(np.float64) for side, length in zip(size, prepared, strict=True)]
        scale = graph.smaller(*ratios, 1.0)
        inner = [
            graph.larger(graph.smaller(graph.node("Round", length.to(np.float64) * scale), float(side)), 1.0).to(
                np.int64
            )
            for side, length in zip(size, prepared, strict=True)
        ]
        return cls(graph, prepared, (inner[0], inner[1]), size)

    @property
    def corner(self) -> tuple[Value, Value]:
        """(row, column) of the picture's first pixel in the network's input."""
        return (self.size[0] - self.inner[0]) // 2, (self.size[1] - self.inner[1]) // 2

    def place(self, image: Value) -> Value:
        """``(channels, *size)``, zero around it."""
        (top, left), (height, width) = self.corner, self.inner
        after = (self.size[0] - height - top, self.size[1] - width - left)
        whole = padded(self.graph, resized(self.graph, image, height, width), [top, left, *after], 0.0)
        return whole.reshape(-1, *self.size)  # tells engines the size, which is always the same

    def restore(self, maps: Value) -> Value:
        """``(classes, *size)`` back to the prepared picture's."""
        (top, left), (height, width) = self.corner, self.inner
        inner = maps.part(top, top + height, 1).part(left, left + width, 2)
        return resized(self.graph, inner, *self.prepared)


def padded(graph: Graph, maps: Value, around: list[Value], fill: float) -> Value:
    """``(channels, height, width)`` with as many pixels above, left, below and right of it."""
    zero = graph.constant([0], np.int64)
    top, left, bottom, right = (number.reshape(1) for number in around)
    pads = graph.joined([zero, top, left, zero, bottom, right])
    return graph.node("Pad", maps, pads, graph.constant(fill, maps.dtype), mode="constant")


def _ends(graph: Graph, lit: Value, length: Value) -> tuple[Value, Value]:
    """The first and the last place of ``(length,)`` that is lit."""
    places = graph.count_up(length)
    return graph.where(lit, places, length).least(0), graph.where(lit, places, -1).most(0)


def _region(graph: Graph, recipe: Recipe, colors: Value, given: Value) -> Value:
    """``(height, width)`` bool: what was given, or what the graph finds."""

    def found() -> Value:
        search = _SEARCHES.get(recipe.input.region)
        return search(graph, colors) if search else colors.pick(0) >= 0

    return graph.choose(given.any(), lambda: given > 0, found)


def _scaled(graph: Graph, recipe: Recipe, colors: Value, placed: _Placed) -> Value:
    """``(channels, height, width)`` float32 of the prepared size, with the recipe's channels."""
    cut = placed.cut(colors).to(np.float32)
    levels = in_whole_levels(recipe)
    in_levels = graph.constant(levels, bool)
    if recipe.input.channels == 1:
        is_gray = ~(cut.most(0) > cut.least(0)).any()
        cut = graph.choose(is_gray, lambda: cut.part(0, 1, 0), lambda: (cut * LUMA).sum(0, keep=True))
        in_levels = is_gray
    if not recipe.prepare.diameter:
        return cut
    if not levels:
        return resized(graph, cut, *placed.shape)
    shrinks = (placed.shape[0] < cut.size(1)) | (placed.shape[1] < cut.size(2))
    return graph.choose(
        shrinks & in_levels,
        lambda: resized_in_whole_levels(graph, cut, *placed.shape),
        lambda: resized(graph, cut, *placed.shape),
    )


def _gate(graph: Graph, bundle: Bundle, spec: GateSpec, image: Value) -> Value:
    """Whether a gate is open, ``()`` bool; gives its calibrated probabilities and its word."""
    weights = bundle.weights[spec.name]
    framed = _Framed.around(graph, image, spec.size)
    logits = graph.network(bundle.graphs[spec.name], spec.name, framed.place(image).lifted(0)).pick(0)
    prior = np.asarray(weights["log_prior"], dtype=np.float64) + np.log(len(spec.kinds))
    calibrated = (logits + prior.astype(np.float32)) / float(weights["temperature"])
    probabilities = graph.node("Softmax", calibrated, axis=-1)
    present = [spec.kinds.index(kind) for kind in spec.present or [PRESENT]]
    is_open = probabilities.pick(present).sum(0) >= float(weights["threshold"])
    graph.gives(f"{spec.name}_{PROBABILITIES}", probabilities, [len(spec.kinds)])
    graph.gives(f"{spec.name}_open", is_open, [])
    return is_open


def _delineated(
    graph: Graph, bundle: Bundle, spec: SegmentSpec | FuseSpec, image: Value, opened: dict[int, Value], placed: _Placed
) -> Value:
    """``(classes, height, width)`` probabilities; where gates have closed all classes nothing is computed."""
    recipe = bundle.recipe

    def answer() -> Value:
        if isinstance(spec, SegmentSpec):
            return _in_views(graph, bundle, spec, image)
        framed = _Framed.around(graph, image, spec.size)
        return framed.restore(_in_views(graph, bundle, spec, framed.place(image)))

    def nothing() -> Value:
        background = np.eye(1, len(recipe.classes), dtype=np.float32).reshape(-1, 1, 1)
        shape = graph.joined([graph.constant([len(recipe.classes)], np.int64), *(n.reshape(1) for n in placed.shape)])
        return graph.node("Expand", graph.constant(background, np.float32), shape)

    before = recipe.stages[: recipe.stages.index(spec)]
    gated = {member for gate in before if isinstance(gate, GateSpec) and gate.enabled for member in gate.structures}
    if gated != set(recipe.class_names[1:]):
        return answer()
    return graph.choose(reduce(Value.__or__, opened.values()), answer, nothing)


def _in_views(graph: Graph, bundle: Bundle, spec: SegmentSpec | FuseSpec, image: Value) -> Value:
    """The mean of the answers to mirrored views, as `gracile.stages.views.in_views`; of the whole picture at once."""
    opposites = bundle.recipe.map_opposites
    views: list[tuple[int, ...]] = [(), (2,), (1,), (1, 2)]
    views = views[:2] if spec.flips == "horizontal" else views if spec.flips else views[:1]
    answers = []
    for axes in views:
        logits = graph.network(bundle.graphs[spec.name], spec.name, _mirrored(graph, image, axes).lifted(0)).pick(0)
        shares = _overlapping(graph, logits) if bundle.recipe.regions else graph.node("Softmax", logits, axis=0)
        one = _mirrored(graph, shares, axes)
        answers.append(one.pick(opposites) if opposites and len(axes) % 2 else one)
    total = reduce(Value.__add__, answers)
    return total / float(len(answers)) if len(answers) > 1 else total


def _overlapping(graph: Graph, logits: Value) -> Value:
    """Maps of regions behind that of what is in none, as `gracile.stages.views.overlapping`."""
    regions = graph.node("Sigmoid", logits)
    return graph.joined([1.0 - regions.most(0, keep=True), regions])


def _mirrored(graph: Graph, maps: Value, axes: tuple[int, ...]) -> Value:
    if not axes:
        return maps
    first, last, back = [[number] * len(axes) for number in (-1, np.iinfo(np.int32).min, -1)]
    return graph.node("Slice", maps, first, last, list(axes), back)


def _closed(graph: Graph, answer: Value, opened: dict[int, Value]) -> Value:
    """Probabilities with those of closed classes added to the background's."""
    shares = [graph.constant([1.0], np.float32), *(is_open.to(np.float32).reshape(1) for is_open in opened.values())]
    kept = answer * graph.joined(shares).reshape(-1, 1, 1)
    background = answer.part(0, 1, 0) + (answer - kept).sum(0, keep=True)
    return graph.joined([background, kept.part(1, len(opened) + 1, 0)])


def _decided(graph: Graph, answer: Value, decision: DecisionSpec, written: Sequence[int]) -> Value:
    """``(height, width)`` int64 class indices, as `gracile.stages.decisions.decide`."""

    def likeliest(maps: Value) -> Value:
        return graph.node("ArgMax", maps, dtype=np.int64, axis=0, keepdims=0)

    if written:
        mask = graph.constant(0, np.int64)
        for number, index in enumerate(written, start=1):
            mask = graph.where(answer.pick(number) >= decision.threshold, index, mask)
        return mask
    if decision.rule == "argmax":
        return likeliest(answer)
    reached = 1.0 - answer.pick(0) >= decision.threshold
    return graph.where(reached, likeliest(answer.part(1, answer.size(0), 0)) + 1, 0)
