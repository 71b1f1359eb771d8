"""Adversarial training: the players take turns, two pictures can be learned by heart, and a run can be resumed."""

import warnings

import lightning
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from gracile.learning.adversarial import AdversarialModule
from gracile.learning.learners import build_learner
from gracile.recipe import read_recipe
from gracile.samples.patches import WholeSamples
from gracile.stages import Finding
from gracile.transforms import Placement, Prepared

SIZE = 48
TINY = [
    "stages.vessels.network.options.width=4",
    "stages.vessels.discriminator.options.width=4",
    f"stages.vessels.size=[{SIZE}, {SIZE}]",
    "stages.vessels.augment.rotation=0",
    "stages.vessels.augment.flip=false",
]


def vessel_case(flipped: bool) -> Prepared:
    """A bright and a dark stripe that cross."""
    classes = np.zeros((SIZE, SIZE), dtype=int)
    classes[12:18] = 1
    classes[:, 24:30] += 2
    if flipped:
        classes = classes[::-1]
    noise = np.random.default_rng(int(flipped)).normal(size=(3, SIZE, SIZE))
    brightness = np.array([0.0, 2.0, -2.0, 1.0])[classes]
    return Prepared(
        image=(brightness + 0.1 * noise).astype(np.float32),
        region=np.ones((SIZE, SIZE), dtype=bool),
        placement=Placement((SIZE, SIZE), (0, 0, SIZE, SIZE), (SIZE, SIZE)),
        truth=np.stack([classes == c for c in range(4)]).astype(np.float32),
    )


CASES = [vessel_case(False), vessel_case(True)]


def adversarial_module(*settings: str) -> AdversarialModule:
    recipe = read_recipe("retina-av-fusion", [*TINY, *settings])
    torch.manual_seed(0)
    return AdversarialModule(build_learner(recipe.stages[0], recipe), recipe.train)


def fit(
    module: AdversarialModule, epochs: int, folder, *, resume=None, validates: bool = False, callbacks=(), **settings
):
    trainer = lightning.Trainer(
        accelerator="cpu", devices=1, max_epochs=epochs, default_root_dir=folder, callbacks=[*callbacks], logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, num_sanity_val_steps=0,
        **settings,
    )  # fmt: skip
    loader = DataLoader(module.stage.samples(CASES, seed=0), batch_size=2)
    validation = DataLoader(WholeSamples(CASES), batch_size=1) if validates else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, loader, validation, ckpt_path=resume, weights_only=True)
    return trainer


class Turns(lightning.Callback):
    """Notes which player each optimizer step changed."""

    def __init__(self) -> None:
        self.turns: list[str] = []

    def on_fit_start(self, trainer, pl_module) -> None:
        stage = pl_module.stage
        for name, optimizer in zip(("generators", "discriminator"), trainer.optimizers, strict=True):
            optimizer.register_step_pre_hook(lambda *_: self.note(stage))
            optimizer.register_step_post_hook(lambda *_, name=name: self.compare(stage, name))

    def note(self, stage) -> None:
        self.before = {k: v.detach().clone() for k, v in stage.named_parameters()}

    def compare(self, stage, name: str) -> None:
        changed = {k.split(".")[0] for k, v in stage.named_parameters() if not torch.equal(v, self.before[k])}
        assert changed == {"network" if name == "generators" else "discriminator"}
        self.turns.append(name)


def test_the_players_take_turns_and_each_step_changes_one_of_them(tmp_path):
    turns = Turns()
    module = adversarial_module()
    fit(module, 2, tmp_path, callbacks=[turns])
    assert turns.turns == ["discriminator", "generators"] * 2
    assert all(p.requires_grad for p in module.parameters())


def test_every_loss_term_is_logged_by_name(tmp_path):
    trainer = fit(adversarial_module(), 1, tmp_path, validates=True)
    logged = {k: float(v) for k, v in trainer.callback_metrics.items()}
    terms = ["train_adversarial", "train_cross-entropy", "train_mse"]
    assert logged["train_loss"] == pytest.approx(sum(logged[k] for k in terms), rel=1e-5)
    assert logged["train_discriminator"] > 0
    assert {"validation_loss", "validation_dice", "validation_dice_artery", "validation_dice_vein"} <= set(logged)


def test_the_published_optimizer_drives_both_players(tmp_path):
    trainer = fit(adversarial_module(), 1, tmp_path)
    assert [type(o) for o in trainer.optimizers] == [torch.optim.Adam] * 2
    for optimizer in trainer.optimizers:
        assert optimizer.param_groups[0]["lr"] == pytest.approx(2e-4)
        assert optimizer.param_groups[0]["betas"] == (0.5, 0.999)


def test_progress_counts_batches_not_steps(tmp_path):
    module = adversarial_module("train.schedule=cosine", "train.warmup=0")
    seen = []

    class Progress(lightning.Callback):
        def on_train_batch_end(self, trainer, pl_module, *_) -> None:
            seen.append(pl_module.progress())

    fit(module, 4, tmp_path, callbacks=[Progress()])
    assert seen == pytest.approx([0.25, 0.5, 0.75, 1.0])


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_two_pictures_are_learned_by_heart(tmp_path, activation):
    module = adversarial_module(f"stages.vessels.activation={activation}", "train.learning_rate=0.005")
    first = float(fit(module, 1, tmp_path).callback_metrics["train_cross-entropy"])
    last = float(fit(module, 60, tmp_path).callback_metrics["train_cross-entropy"])
    assert last < 0.2 * first
    stage = module.stage.eval()
    for case in CASES:
        with torch.inference_mode():
            found = stage.applied().decide(stage.applied().find(case, Finding()).probabilities)
        for members in stage.recipe.structures.values():
            a, b = np.isin(found, members), np.isin(case.truth.argmax(axis=0), members)
            assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9


def test_half_precision_trains_and_keeps_its_weights_in_full(tmp_path):
    module = adversarial_module()
    trainer = fit(module, 1, tmp_path, precision="bf16-mixed")
    assert all(torch.isfinite(v) for v in trainer.callback_metrics.values())
    assert {p.dtype for p in module.parameters()} == {torch.float32}


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = adversarial_module()
    fit(whole, 4, tmp_path)
    half = adversarial_module()
    fit(half, 2, tmp_path).save_checkpoint(tmp_path / "half.ckpt")
    resumed = adversarial_module()
    torch.nn.init.zeros_(resumed.stage.network.classify.weight)  # whatever it held before
    trainer = fit(resumed, 4, tmp_path, resume=tmp_path / "half.ckpt")
    assert trainer.global_step == 8
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
