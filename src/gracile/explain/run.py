"""Explain what a model's gate looked at in pictures: overlays, feature maps and a page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.case import Case
from gracile.errors import GracileError, UsageError
from gracile.explain.feature_maps import feature_maps
from gracile.explain.gradients import METHODS, explain
from gracile.explain.layers import find_layer
from gracile.io import read_picture, write_png
from gracile.pages.case_page import CasePage, counted
from gracile.pages.explanation import add_explanation
from gracile.pipeline import Pipeline
from gracile.report import ReportCase
from gracile.report.heat import contact_sheet, draw_heat
from gracile.transforms import Placement, prepare

NOTICE = "A map shows what the network's answer hangs on, not that the answer is right."


class Classifier(Protocol):
    """What is needed of a gate stage."""

    name: str
    classes: list[str]
    classifier: nn.Module

    @property
    def device(self) -> torch.device: ...

    def framed(self, image: Tensor) -> Tensor:
        """``(batch, channels, height, width)`` prepared images in the network's size, 0 around them."""
        ...

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities ``(batch, classes)``."""
        ...


@dataclass
class Explained:
    """What was written: the page, the overlays by name, and the reason by name of those that failed."""

    report: Path
    overlays: dict[str, Path] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass
class _Explanation:
    """One picture's: its case, its heat on the input's grid, the layer's maps, the class and the gate's opinion."""

    case: Case
    heat: np.ndarray
    layer: str
    maps: np.ndarray
    target: str
    share: float


class HasPipeline(Protocol):
    """A loaded model."""

    pipeline: Pipeline


def classifier_of(model: HasPipeline) -> Classifier:
    """The first stage of a model that classifies whole pictures: the one with a ``classifier``.

    Raises:
        UsageError: The recipe has no such stage.
    """
    for stage in model.pipeline.stages:
        if hasattr(stage, "classifier"):
            return cast(Classifier, stage)
    raise UsageError(
        f"The recipe {model.pipeline.recipe.name} has no gate, and only a gate's answer can be explained.",
        "Choose a model whose recipe has a stage of the kind gate.",
    )


def explain_pictures(
    model: HasPipeline,
    inputs: Sequence[tuple[Path, str]],
    out: Path,
    method: str = "gradcam",
    layer: str = "",
    target: str = "",
) -> Explained:
    """Write for each picture ``NAME-METHOD.png``, its heat map over it, ``NAME-features.png`` and one page for all.

    Args:
        model: A loaded model with a gate.
        inputs: Files and the names that their outputs bear.
        out: Folder to write to.
        method: A name of `gracile.explain.METHODS`.
        layer: Layer for Grad-CAM and the feature maps; the last one that answers maps when empty.
        target: Name of the class to explain; the likeliest of each picture when empty.

    Raises:
        UsageError: The model has no gate, or there is no such method, layer or class.
        DataError: A file cannot be written.
    """
    stage = classifier_of(model)
    if method not in METHODS:
        raise UsageError(f"There is no method {method!r}.", f"There are: {', '.join(METHODS)}.")
    if target and target not in stage.classes:
        raise UsageError(f"There is no class {target!r}.", f"The gate tells apart: {', '.join(stage.classes)}.")
    explained = Explained(out / "index.html")
    page = CasePage()
    for path, name in inputs:
        try:
            explanation = _explain(model.pipeline, stage, read_picture(path, name), method, layer, target)
        except UsageError:
            raise
        except GracileError as error:
            explained.failed[name] = str(error)
            page.cases.append(ReportCase(name, "failed", str(error)))
            continue
        overlay, sheet = out / f"{name}-{method}.png", out / f"{name}-features.png"
        write_png(overlay, draw_heat(explanation.case.image, explanation.heat))
        write_png(sheet, contact_sheet(explanation.maps))
        explained.overlays[name] = overlay
        entry = ReportCase(
            name,
            "found",
            f"speaks for {explanation.target} (probability {explanation.share:.3f})",
            flags=list(explanation.case.flags),
        )
        files = {"Overlay": overlay, f"Feature maps of {explanation.layer}": sheet}
        add_explanation(page, entry, explanation.case, explanation.heat, method, files)
    page.write(
        explained.report,
        title=f"What the gate {stage.name} looked at",
        subtitle=[counted(len(page.cases), "picture"), f"{method}: {METHODS[method]}"],
        notes=[NOTICE],
    )
    return explained


def _explain(pipeline: Pipeline, stage: Classifier, case: Case, method: str, layer: str, target: str) -> _Explanation:
    prepared, _ = prepare(case, pipeline.recipe)
    assert isinstance(prepared.placement, Placement)
    image = torch.from_numpy(np.array(prepared.image, dtype=np.float32))[None].to(stage.device)
    framed = stage.framed(image)
    with torch.no_grad():
        shares = stage.probabilities(stage.classifier(framed))[0]
    index = stage.classes.index(target) if target else int(shares.argmax())
    chosen, _ = find_layer(stage.classifier, framed, layer)
    heat = explain(stage.classifier, framed, index, method, layer if method == "gradcam" else "")
    on_prepared = unframed(stage, heat, image.shape[-2:])
    restored = prepared.placement.restore(on_prepared[None], outside=(0.0,))[0]
    maps = feature_maps(stage.classifier, framed, chosen)
    return _Explanation(case, restored, chosen, maps, stage.classes[index], float(shares[index]))


def unframed(stage: Classifier, heat: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A ``(height, width)`` map of the network's input on the prepared grid of that shape."""
    inside = stage.framed(torch.ones(1, 1, *shape, device=stage.device))[0, 0].cpu().numpy() > 0.5
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    inner = torch.from_numpy(heat[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])[None, None]
    return functional.interpolate(inner, tuple(shape), mode="bilinear", align_corners=False)[0, 0].numpy()
