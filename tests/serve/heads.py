"""A model of landmarks that was trained for a moment, and a drawn head whose points are known."""

from pathlib import Path

import numpy as np
import torch

from gracile.bundle import Bundle, write_bundle
from gracile.learning.fit import fit_stage
from gracile.learning.learners import build_learner
from gracile.recipe import TrainSpec, read_recipe
from gracile.transforms import prepare
from tests.stages.spots import SETTINGS, head
from tests.volumes_on_disk import write_nifti

SEED = 9
DISTANCE = "measure=[{name: landmarks, options: {distances: {span: [a, c]}}}]"


def train_heads(folder: Path) -> Path:
    """A bundle that knows six spots."""
    recipe = read_recipe("skull-landmarks", [*SETTINGS, DISTANCE])
    cases = [prepare(head(seed), recipe)[0] for seed in range(3)]
    weights = {}
    for spec, epochs, batch in zip(recipe.stages, (6, 3), (4, 16), strict=True):
        torch.manual_seed(0)
        stage = build_learner(spec, recipe)
        train = TrainSpec(epochs=epochs, batch_size=batch, learning_rate=0.003, average_weights=0.8, validate_every=50)
        fit_stage(stage, cases, [], train, recipe.trainer, folder / "runs" / spec.name)
        weights[stage.name] = stage.bundle_state()
    return write_bundle(Bundle(recipe=recipe, weights=weights, card={}), folder / "heads")


def write_head(folder: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A head that no model saw, and its points in RAS+ mm."""
    case = head(SEED, "LPS")
    assert case.grid.affine is not None
    path = write_nifti(folder / "head.nii.gz", np.rint(case.image[0]).astype(np.int16), case.grid.affine)
    return path, dict(case.points)
