"""Explain what a model's gate looked at in pictures: overlays, feature maps and a page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from gracile.bundle import Bundle
from gracile.case import Case
from gracile.ensemble import require_single
from gracile.errors import GracileError, UsageError
from gracile.explain.feature_maps import feature_maps
from gracile.explain.gradients import METHODS, explain
from gracile.explain.layers import find_layer
from gracile.io import read_picture, write_png
from gracile.learning.learners.gate import GateLearner, framed
from gracile.learning.runner import trained_learner
from gracile.pages.case_page import CasePage, counted
from gracile.pages.explanation import add_explanation
from gracile.recipe import Recipe
from gracile.report import ReportCase
from gracile.report.heat import contact_sheet, draw_heat
from gracile.stages.gate import GateStage
from gracile.transforms import Placement, prepare
from gracile.transforms.frames import Frame

NOTICE = "A map shows what the network's answer hangs on, not that the answer is right."


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


def classifier_of(bundle: Bundle, device: str = "cpu") -> GateLearner:
    """The first stage of a bundle that classifies whole pictures, with its weights.

    Raises:
        UsageError: The recipe has no such stage, or takes no gray or color pictures.
    """
    require_single(bundle, "An explanation")
    recipe = bundle.recipe
    if recipe.input.separate:
        raise UsageError(
            f"The recipe {recipe.name} takes {recipe.input.channels} channels of their own, and heat is "
            "laid over gray and color pictures.",
            "Choose a model of such pictures.",
        )
    for spec in recipe.gates:
        learner = trained_learner(bundle, spec, device)
        if isinstance(learner, GateLearner):
            return learner
    raise UsageError(
        f"The recipe {bundle.recipe.name} has no gate, and only a gate's answer can be explained.",
        "Choose a model whose recipe has a stage of the kind gate.",
    )


def explain_pictures(
    bundle: Bundle,
    inputs: Sequence[tuple[Path, str]],
    out: Path,
    method: str = "gradcam",
    layer: str = "",
    target: str = "",
    device: str = "cpu",
) -> Explained:
    """Write for each picture ``NAME-METHOD.png``, its heat map over it, ``NAME-features.png`` and one page for all.

    Args:
        bundle: A model with a gate.
        inputs: Files and the names that their outputs bear.
        out: Folder to write to.
        method: A name of `gracile.explain.METHODS`.
        layer: Layer for Grad-CAM and the feature maps; the last one that answers maps when empty.
        target: Name of the class to explain; the likeliest of each picture when empty.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: The model has no gate, or there is no such method, layer or class.
        DataError: A file cannot be written.
    """
    stage = classifier_of(bundle, device)
    if method not in METHODS:
        raise UsageError(f"There is no method {method!r}.", f"There are: {', '.join(METHODS)}.")
    if target and target not in stage.classes:
        raise UsageError(f"There is no class {target!r}.", f"The gate tells apart: {', '.join(stage.classes)}.")
    explained = Explained(out / "index.html")
    page = CasePage()
    for path, name in inputs:
        try:
            explanation = _explain(bundle.recipe, stage, read_picture(path, name), method, layer, target)
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


def _explain(recipe: Recipe, stage: GateLearner, case: Case, method: str, layer: str, target: str) -> _Explanation:
    prepared, _ = prepare(case, recipe)
    assert isinstance(prepared.placement, Placement)
    image = torch.from_numpy(np.array(prepared.image, dtype=np.float32))[None].to(stage.device)
    placed = framed(image, stage.spec.size)
    gate = stage.applied()
    assert isinstance(gate, GateStage)
    shares = gate.probabilities(gate.logits(prepared))
    index = stage.classes.index(target) if target else int(shares.argmax())
    chosen, _ = find_layer(stage.classifier, placed, layer)
    heat = explain(stage.classifier, placed, index, method, layer if method == "gradcam" else "")
    on_prepared = unframed(heat, image.shape[-2:])
    restored = prepared.placement.restore(on_prepared[None], outside=(0.0,))[0]
    maps = feature_maps(stage.classifier, placed, chosen)
    return _Explanation(case, restored, chosen, maps, stage.classes[index], float(shares[index]))


def unframed(heat: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A ``(height, width)`` map of the network's input on the prepared grid of that shape, linearly."""
    return Frame.around(shape, (heat.shape[0], heat.shape[1])).restore(heat[None])[0]
