"""Regions that overlap, and what labels ignore: learned, scored, predicted and written, in pictures and volumes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gracile.api import load, train
from gracile.case import IGNORED, Case
from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.inference.result_files import further_files
from gracile.learning.learners import Learner, build_learner
from gracile.learning.module import StageModule
from gracile.learning.sample_pictures import draw_sample
from gracile.recipe import Recipe, read_recipe
from gracile.transforms import Prepared, prepare
from tests.volumes_on_disk import write_nifti

CLASSES = (
    "classes=[{name: background, color: [0, 0, 0], ignored: [9]}, {name: rim, color: [250, 0, 0]}, "
    "{name: core, color: [0, 250, 0]}]"
)
REGIONS = "regions={whole: [rim, core], core: [core]}"
QUICK = [
    "train.epochs=40", "train.batch_size=4", "train.validation=0", "train.average_weights=0", "trainer.threads=1",
    "trainer.workers=0", "trainer.graphs=false", "trainer.precision=32-true", "measure=[]", "train.learning_rate=0.01",
]  # fmt: skip
STILL = [f"augment.{name}=0" for name in ("rotation", "scale", "shear", "elastic", "gain", "channel_gain", "bias",
                                          "channel_bias", "curve", "illumination", "noise", "blur")]  # fmt: skip
PICTURES = [
    CLASSES, REGIONS, *QUICK, "prepare.diameter=0", *(f"stages.segment.{one}" for one in STILL),
    "stages.segment.network={name: light-unet, options: {width: 16, supervised: 2}}",
    "stages.segment.sampler={patch: [64, 64], per_case: 4, foreground: 0.7, balance: classes}",
    "stages.segment.losses=[{name: cross-entropy}, {name: dice}, {name: skeleton-recall, weight: 0.1}]",
]  # fmt: skip
NETWORK = "{name: light-unet-3d, options: {width: 8, stride: [1, 1, 1], supervised: 1}}"
VOLUMES = [
    CLASSES, REGIONS, *QUICK, *(f"stages.cord.{one}" for one in [*STILL, "augment.tilt=0"]),
    "prepare.intensity={method: window, low: 0, high: 250}", f"stages.cord.network={NETWORK}", "stages.cord.along=''",
    "stages.cord.spacing_mm=[0, 0, 0]", "stages.cord.size=[16, 16]", "stages.cord.length=16", "stages.cord.slices=0",
    "stages.cord.balance=classes", "stages.cord.foreground=0.5", "stages.cord.per_case=4", "stages.cord.flips=false",
    "stages.cord.turns=[]", "stages.cord.smooth_mm=0", "stages.cord.losses=[{name: bce-dice}]",
    "stages.cord.augment.flip_axes=[0, 1, 2]", "stages.cord.decision={}",
]  # fmt: skip


def ball(*size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A bright ball with a brighter core in noise, and its labels; the first planes are ignored and mislead."""
    random = np.random.default_rng(seed)
    middle = [length / 2 + random.uniform(-2, 2) for length in size]
    away = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(np.indices(size), middle, strict=True)))
    labels = ((away < min(size) / 3).astype(np.uint8)) + (away < min(size) / 6)
    image = 50.0 + 70.0 * labels + random.normal(0, 8, size)
    image[:4], labels[:4] = random.choice([50, 120, 190], (4, *size[1:])), 9
    return image.clip(0, 255).astype(np.uint8), labels.astype(np.uint8)


def picture_folder(folder: Path) -> Path:
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number in range(2):
        image, labels = ball(64, 72, seed=number)
        Image.fromarray(image).convert("RGB").save(folder / "images" / f"{number}.png")
        Image.fromarray(labels).save(folder / "labels" / f"{number}.png")
    return folder


def volume_folder(folder: Path) -> Path:
    """nnU-Net's layout, regions and all."""
    for number in range(2):
        image, labels = ball(24, 26, 22, seed=number)
        write_nifti(folder / "imagesTr" / f"c{number}_0000.nii.gz", image, np.diag([-1.0, 1.0, 1.0, 1.0]))
        write_nifti(folder / "labelsTr" / f"c{number}.nii.gz", labels, np.diag([-1.0, 1.0, 1.0, 1.0]))
    table = {"labels": {"background": 0, "whole": [1, 2], "core": [2], "ignore": 9}, "regions_class_order": [1, 2]}
    (folder / "dataset.json").write_text(json.dumps(table))
    return folder


def dice(found: np.ndarray, true: np.ndarray) -> float:
    return float(2 * (found & true).sum() / (found.sum() + true.sum()))


def require_found(mask: np.ndarray, labels: np.ndarray) -> None:
    """Both regions are found where the labels count."""
    counts = labels != 9
    assert dice((mask > 0) & counts, (labels > 0) & counts) > 0.9
    assert dice((mask == 2) & counts, (labels == 2) & counts) > 0.85


def test_pictures_learn_regions_and_are_written_with_one_class_per_pixel(tmp_path):
    train("structure-2d", picture_folder(tmp_path / "data"), tmp_path / "run", settings=PICTURES)
    model = load(tmp_path / "run", device="cpu")
    image, labels = ball(64, 72, seed=0)
    result = model.pipeline(Case.from_array(np.repeat(image[..., None], 3, axis=2)), keep_probabilities=True)
    require_found(result.mask, labels)
    assert result.probabilities.shape == (3, 64, 72)
    assert result.maps == ["background", "whole", "core"]
    assert any("those of background, whole, core, which overlap" in note for note in result.notes)
    (kept,) = [file for file in further_files(result) if file.kind == "probabilities"]
    kept.write(tmp_path / "maps.npz")
    assert np.load(tmp_path / "maps.npz")["maps"].tolist() == result.maps
    inside = labels == 2
    assert result.probabilities[1:, inside].min(axis=0).mean() > 0.7
    assert not any("coarse" in name for name in model.bundle.weights["segment"])


def test_volumes_learn_regions_of_an_nnunet_folder(tmp_path):
    recipe = read_recipe("spinal-cord", VOLUMES)
    content = recipe.model_dump(mode="json")
    content["stages"] = content["stages"][1:]
    source = tmp_path / "recipe.yaml"
    source.write_text(Recipe.model_validate(content).to_yaml())
    train(source, volume_folder(tmp_path / "data"), tmp_path / "run")
    result = load(tmp_path / "run", device="cpu").pipeline(
        Case.from_volume(ball(24, 26, 22, seed=0)[0].astype(np.float32), np.diag([-1.0, 1.0, 1.0, 1.0])),
        keep_probabilities=True,
    )
    require_found(result.mask, ball(24, 26, 22, seed=0)[1])
    assert result.probabilities.shape == (3, 24, 26, 22)


# --- what is ignored


def learner_of(kind: str, *more: str) -> tuple[Learner, Recipe]:
    settings = (PICTURES if kind == "pictures" else VOLUMES) + ["regions={}", *more]
    recipe = read_recipe("structure-2d" if kind == "pictures" else "spinal-cord", settings)
    return build_learner(recipe.stages[-1], recipe), recipe


def prepared(kind: str, recipe: Recipe) -> Prepared:
    """A case of which a part is ignored."""
    size = (64, 72) if kind == "pictures" else (24, 26, 22)
    image, labels = ball(*size, seed=0)
    labels[labels == 9] = IGNORED
    channels = np.repeat(image[None], recipe.input.channels, axis=0).astype(np.float32)
    affine = None if kind == "pictures" else np.diag([-1.0, 1.0, 1.0, 1.0])
    return prepare(Case("a", channels, Grid(size, affine=affine), truth=labels), recipe)[0]


def batches(learner: Learner, case: Prepared, count: int = 12) -> list[dict[str, torch.Tensor]]:
    samples = learner.samples([case], 0)
    return [{name: part[None] for name, part in samples[index].items()} for index in range(count)]


@pytest.mark.parametrize("kind", ["pictures", "volumes", "line"])
def test_what_is_ignored_lies_outside_of_what_is_learned_and_all_else_adds_up(kind):
    more = ["stages.cord.along=centerline", "stages.cord.balance=foreground"] if kind == "line" else []
    learner, recipe = learner_of(kind, *more)
    case = prepared(kind, recipe)
    left_out = 0
    for batch in [*batches(learner, case), *({n: p[None] for n, p in learner.held_back([case])[0].items()},)]:
        assert batch["truth"].shape[1] == 3
        counted = learner.counted(batch)
        region = counted["region"][:, 0] > 0.5
        total = counted["truth"].sum(dim=1)
        torch.testing.assert_close(total[region], torch.ones_like(total[region]))
        left_out += int(((batch["region"][:, 0] > 0.5) & ~region).sum())
    assert left_out > 50


def test_a_held_back_case_is_not_scored_where_it_is_ignored():
    learner, recipe = learner_of("pictures")
    batch = {name: part[None] for name, part in learner.held_back([prepared("pictures", recipe)])[0].items()}
    true = torch.from_numpy(ball(64, 72, seed=0)[1])[None, None]
    answers = torch.where(true == 9, torch.tensor(2), true.long())  # wrong where it is ignored, and right elsewhere
    learner.logits = lambda images: 40.0 * torch.nn.functional.one_hot(answers[:, 0], 3).permute(0, 3, 1, 2).float()
    module = StageModule(learner, recipe.train)
    scores = module.scores(module.on_after_batch_transfer(batch, 0))
    assert float(scores["validation_dice"]) == 1.0
    assert float(learner.scores(batch)["validation_dice"]) < 0.95


def test_a_held_back_case_that_is_ignored_as_a_whole_costs_nothing():
    learner, recipe = learner_of("pictures")
    batch = {name: part[None] for name, part in learner.held_back([prepared("pictures", recipe)])[0].items()}
    scores = learner.eval().scores(learner.counted({**batch, "truth": torch.zeros_like(batch["truth"])}))
    assert float(scores["validation_loss"]) == 0.0


def test_no_patch_is_centered_on_what_is_ignored():
    for balance in ("foreground", "classes"):
        sampler = f"{{patch: [8, 8], foreground: 1, balance: {balance}}}"
        learner, recipe = learner_of("pictures", f"stages.segment.sampler={sampler}")
        for batch in batches(learner, prepared("pictures", recipe), 30):
            assert batch["truth"][0, 1:, 3:5, 3:5].sum(dim=0).max() > 0.5


def test_a_score_of_regions_counts_each_by_itself():
    recipe = read_recipe("structure-2d", PICTURES)
    learner = build_learner(recipe.stages[0], recipe)
    truth = torch.zeros(1, 3, 8, 8)
    truth[:, 1, :4], truth[:, 2, 4:6], truth[:, 0, 6:] = 1, 1, 1
    whole, core = truth[:, 1] + truth[:, 2], truth[:, 2].clone()
    core[:, 4] = 0
    learner.logits = lambda images: 20.0 * (2.0 * torch.stack([whole, core], dim=1) - 1.0)
    batch = {"image": torch.zeros(1, 3, 8, 8), "truth": truth, "region": torch.ones(1, 1, 8, 8)}
    scores = learner.scores(batch)
    assert float(scores["validation_dice_whole"]) == 1.0
    assert float(scores["validation_dice_core"]) == pytest.approx(2 * 8 / 24)


def test_the_page_of_a_training_shows_regions_as_they_are_written():
    recipe = read_recipe("structure-2d", PICTURES)
    learner = build_learner(recipe.stages[0], recipe)
    truth = torch.zeros(3, 64, 64)
    truth[1, :40], truth[2, 40:50], truth[0, 50:] = 1, 1, 1
    answer = 20.0 * (2.0 * torch.stack([truth[1] + truth[2], truth[2]]) - 1.0)
    right, wrong = (
        draw_sample(learner, "s", torch.rand(3, 64, 64), logits, {"truth": truth}) for logits in (answer, -answer)
    )
    assert right is not None
    assert wrong is not None
    layers = [{(layer.group, layer.name): layer.png for layer in one.layers} for one in (right, wrong)]
    for name in ("rim", "core"):  # equal masks are equal pictures
        assert layers[0]["Found", name] == layers[0]["Truth", name] != layers[1]["Found", name]


def test_a_data_set_without_the_ignored_value_declared_in_the_recipe_is_refused(tmp_path):
    settings = [*VOLUMES, "classes.background.ignored=[]"]
    with pytest.raises(DataError, match="the value 9 to be ignored"):
        train("spinal-cord", volume_folder(tmp_path / "data"), tmp_path / "run", settings=settings)


# --- many classes


def test_254_classes_build_draw_learn_and_are_scored():
    names = ", ".join(f"{{name: c{number}, color: [{number % 256}, 1, 2]}}" for number in range(255))
    learner, recipe = learner_of("volumes", f"classes=[{names}]")
    size = (16, 16, 16)
    labels = np.zeros(size, np.uint8)
    labels.reshape(-1)[100:354] = np.arange(1, 255)
    case = prepare(Case("a", np.ones((1, *size), np.float32), Grid(size, affine=np.diag([-1.0, 1, 1, 1])),
                        truth=labels), recipe)[0]  # fmt: skip
    batch = batches(learner, case, 1)[0]
    sum(learner.train().losses(batch).values()).backward()
    scores = learner.eval().scores({n: p[None] for n, p in learner.held_back([case])[0].items()})
    assert len([name for name in scores if name.startswith("validation_dice_")]) == 254
