"""Drawn clips of people, half of whose frames show a bright disc, and a model with a gate that tells them."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from gracile.bundle import Bundle, write_bundle
from gracile.recipe import Recipe, read_recipe

SMALL = [
    "prepare.diameter=48",
    "stages.presence.network={name: 'timm:resnet10t'}",
    "stages.presence.size=[48, 48]",
    "stages.presence.masks=0",
    "stages.structures.network.options={width: 16}",
    "stages.structures.sampler.patch=[48,48]",
    "trainer.graphs=false",
]


def draw_frame(seed: int, there: bool) -> tuple[np.ndarray, np.ndarray]:
    """Speckle, and a bright disc with its mask where it is there; ``(48, 64)`` uint8 each."""
    random = np.random.default_rng(seed)
    image = random.normal(70, 15, (48, 64))
    rows, columns = np.indices(image.shape)
    disc = np.hypot(rows - random.integers(12, 36), columns - random.integers(12, 52)) < random.uniform(6, 10)
    mask = disc & there
    return (image + random.uniform(5, 40) * mask).clip(0, 255).astype(np.uint8), mask.astype(np.uint8)


def write_clips(
    folder: Path, people: int, frames: int = 6, *, first: int = 0, shown: str = "half", classes: bool = False,
    times: bool = False,
) -> Path:  # fmt: skip
    """A CSV of frames with a mask and a subject each.

    Args:
        folder: Where they are written.
        people: Number of clips.
        frames: Of each.
        first: Seed of the first person.
        shown: ``half`` of a clip's frames show it, ``all`` or ``none``.
        times: Also the seconds of each frame, ten of which are in one.
        classes: ``present`` or ``absent`` instead of masks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for person in range(first, first + people):
        for number in range(frames):
            there = {"half": number >= frames // 2, "all": True, "none": False}[shown]
            image, mask = draw_frame(1000 * person + number, there)
            name = f"p{person:03d}_{number:03d}"
            Image.fromarray(image).save(folder / f"{name}.png")
            if not classes:
                Image.fromarray(mask).save(folder / f"{name}_mask.png")
            told = {"class": ("absent", "present")[there]} if classes else {"label": f"{name}_mask.png"}
            moment = {"time_s": f"{number / 10:.1f}"} if times else {}
            rows.append({"image": f"{name}.png", **told, "subject": f"p{person:03d}", **moment})
    with (folder / "frames.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder / "frames.csv"


def gated_recipe(*settings: str) -> Recipe:
    """Small networks behind one another: the gate of a nerve, and what delineates it."""
    return read_recipe("nerve-ultrasound", [*SMALL, *settings])


def gated_bundle(folder: Path, *settings: str, seed: int = 0, **card: object) -> Path:
    """A model of random weights, but for the gate's last layer, which is fitted to drawn frames."""
    import torch

    from gracile.case import Case
    from gracile.learning.learners import build_learner
    from gracile.learning.learners.gate import framed
    from gracile.transforms import prepare

    recipe = gated_recipe(*settings)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        gate, segment = (build_learner(spec, recipe).eval() for spec in recipe.stages)
    there = [number % 2 > 0 for number in range(100)]
    drawn = [draw_frame(90000 + number, shows)[0] for number, shows in enumerate(there)]
    prepared = [prepare(Case.from_array(image), recipe)[0] for image in drawn]
    with torch.no_grad():
        images = framed(torch.from_numpy(np.stack([one.image for one in prepared])), recipe.stages[0].size)
        features = gate.classifier.forward_head(gate.classifier.forward_features(images), pre_logits=True)
        known = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
        wanted = torch.tensor([[-2.0, 2.0] if shows else [2.0, -2.0] for shows in there]).double()
        ridge = 1e-1 * torch.eye(known.shape[1]).double()
        fitted = torch.linalg.solve(known.T @ known + ridge, known.T @ wanted).T.float()
        gate.classifier.fc.weight.copy_(fitted[:, :-1])
        gate.classifier.fc.bias.copy_(fitted[:, -1])
    weights = {stage.name: stage.bundle_state() for stage in (gate, segment)}
    limits = {"limits": ["Not a medical device."]}
    return write_bundle(Bundle(recipe=recipe, weights=weights, card={**card, **limits}), folder)
