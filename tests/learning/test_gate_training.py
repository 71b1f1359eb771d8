"""A gate learns from masks, class folders or a table, is calibrated, and is left out where the data cannot teach it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gracile.api import explain, load, predict, train
from gracile.bundle import read_bundle
from gracile.data import check_data
from gracile.errors import DataError, RecipeError
from gracile.learning.learners import build_learner
from gracile.learning.phases import Phases
from gracile.networks.weights import tensors_of
from gracile.recipe import PhaseSpec, read_recipe
from gracile.trust import GateScores

QUICK = [
    "prepare.diameter=48",
    "stages.presence.network={name: 'timm:resnet10t'}",
    "stages.presence.size=[48, 48]",
    "stages.presence.train={epochs: 12, batch_size: 8, learning_rate: 0.003}",
    "stages.presence.augment={rotation: 0, elastic: 0, scale: 0}",
    "stages.structures.network.options.width=16",
    "stages.structures.sampler.patch=[48,48]",
    "train.epochs=2",
    "train.average_weights=0",
    "train.validation=0.3",
    "trainer.precision=32-true",
    "trainer.threads=1",
    "trainer.graphs=false",
    "trainer.workers=0",
]


def frame(seed: int, there: bool) -> tuple[np.ndarray, np.ndarray]:
    """Speckle, and a bright disc with its mask where the nerve is there."""
    random = np.random.default_rng(seed)
    image = random.normal(70, 12, (60, 64))
    rows, columns = np.indices(image.shape)
    disc = np.hypot(rows - random.integers(20, 40), columns - random.integers(20, 44)) < 9
    mask = disc & there
    return (image + 90 * mask).clip(0, 255).astype(np.uint8), mask.astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 frames, a third of them without nerve."""
    out = tmp_path_factory.mktemp("frames")
    for name in ("images", "masks"):
        (out / name).mkdir()
    for seed in range(24):
        image, mask = frame(seed, seed % 3 > 0)
        Image.fromarray(image).save(out / "images" / f"{seed:02d}.png")
        Image.fromarray(mask).save(out / "masks" / f"{seed:02d}.png")
    return out


@pytest.fixture(scope="module")
def bundle(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("nerve-ultrasound", folder, tmp_path_factory.mktemp("run") / "run", settings=QUICK)


@pytest.mark.slow
def test_a_gate_learned_from_masks_tells_empty_frames(bundle, tmp_path):
    card = read_bundle(bundle).card
    figures = card["validation"]["presence"]
    assert {"temperature", "threshold", "recall", "false_alarm_rate", "validation_accuracy"} <= figures.keys()
    assert figures["chosen"].endswith("validation_loss")
    assert "gate" not in card
    for seed in range(100, 104):
        Image.fromarray(frame(seed, seed % 2 > 0)[0]).save(tmp_path / f"{seed}.png")
    predict(bundle, tmp_path, tmp_path / "out", report=False)
    records = json.loads((tmp_path / "out" / "predictions.json").read_text())["inputs"]
    presence = [record["gates"]["nerve"] for record in records]
    assert min(presence[1::2]) > max(presence[0::2])
    for record in records:
        assert record["gate_decisions"]["nerve"] == (record["gates"]["nerve"] >= figures["threshold"])


@pytest.mark.parametrize("method", ["gradcam", "guided", "saliency"])
def test_what_a_gate_looked_at_is_explained(bundle, folder, tmp_path, method):
    explained = explain(bundle, folder / "images" / "01.png", tmp_path / "out", method=method)
    assert not explained.failed
    picture = np.array(Image.open(explained.overlays["01"]))
    assert picture.shape == (60, 64, 3)
    assert explained.report.stat().st_size > 5_000


def test_a_gate_with_one_kind_of_frame_is_left_out_and_said(folder, tmp_path, caplog):
    cases = ",".join(f"{seed:02d}" for seed in range(24) if seed % 3)
    bundle = train("nerve-ultrasound", folder, tmp_path / "run", settings=QUICK, cases=cases)
    assert "is not trained" in caplog.text
    loaded = read_bundle(bundle)
    assert [stage.name for stage in loaded.recipe.stages] == ["structures"]
    assert loaded.card["gate"].startswith("none: every training frame is of one kind, present")
    result = load(bundle, device="cpu")(folder / "images" / "00.png")
    assert any(note.startswith("not gated: every training frame") for note in result.notes)


@pytest.mark.parametrize("source", ["folders", "table"])
def test_kinds_of_frames_come_from_class_folders_or_a_table(folder, tmp_path, source):
    kinds = ["Tendon", "Nerve"]
    pictures = sorted((folder / "images").iterdir())
    if source == "folders":
        data = tmp_path / "frames"
        for number, path in enumerate(pictures):
            (data / kinds[number % 3 > 0]).mkdir(parents=True, exist_ok=True)
            (data / kinds[number % 3 > 0] / path.name).write_bytes(path.read_bytes())
    else:
        data = tmp_path / "frames.csv"
        data.write_text("image,class\n" + "".join(f"{p},{kinds[n % 3 > 0]}\n" for n, p in enumerate(pictures)))
    settings = [*QUICK, "stages.presence.classes=[Tendon, Nerve]", "stages.presence.present=[Nerve]",
                "stages.presence.train.epochs=2"]  # fmt: skip
    masks = tmp_path / "masks"
    for name in ("images", "masks"):
        (masks / name).mkdir(parents=True)
        for seed in (1, 2, 4, 5):
            (masks / name / f"m{seed}.png").write_bytes((folder / name / f"{seed:02d}.png").read_bytes())
    bundle = train("nerve-ultrasound", [data, masks], tmp_path / "run", settings=settings)
    result = load(bundle, device="cpu")(pictures[0])
    assert result.gates.keys() == {"Tendon", "Nerve"}
    assert sum(result.gates.values()) == pytest.approx(1.0, abs=1e-5)
    assert sum(result.gate_decisions.values()) == 1


def test_without_masks_the_segmenter_says_what_it_needs(folder, tmp_path):
    table = tmp_path / "frames.csv"
    pictures = sorted((folder / "images").iterdir())
    table.write_text("image,class\n" + "".join(f"{p},{n % 2}\n" for n, p in enumerate(pictures)))
    with pytest.raises(DataError, match="structures"):
        train("nerve-ultrasound", table, tmp_path / "run", settings=[*QUICK, "stages.presence.train.epochs=1"])


def test_phases_freeze_the_trunk_then_free_it_at_a_lower_rate():
    recipe = read_recipe("nerve-ultrasound", QUICK)
    stage = build_learner(recipe.stages[0], recipe)
    phases = Phases(stage, [PhaseSpec(share=0.2, start="head"), PhaseSpec(share=0.8, start="layer4", rate=0.1)])
    stage.train()
    assert phases.enter(0.0) == 1.0
    learning = {name for name, p in stage.named_parameters() if p.requires_grad}
    assert learning == {"classifier.fc.weight", "classifier.fc.bias"}
    assert not stage.classifier.bn1.training if hasattr(stage.classifier, "bn1") else True
    assert phases.enter(0.19) == 1.0
    assert phases.enter(0.2) == 0.1
    learning = {name for name, p in stage.named_parameters() if p.requires_grad}
    assert all("layer4" in name or ".fc." in name for name in learning)
    assert any("layer4" in name for name in learning)
    half = Phases(stage, [PhaseSpec(share=1, start=0.5)])
    half.enter(0.0)
    frozen = [p.requires_grad for p in stage.parameters()]
    assert 0.3 < sum(frozen) / len(frozen) < 0.7
    with pytest.raises(RecipeError, match="layer4"):
        Phases(stage, [PhaseSpec(share=1, start="layr4")])


def test_frozen_layers_keep_their_weights_through_a_training(folder, tmp_path):
    phases = "{epochs: 1, batch_size: 8, phases: [{share: 1.0, start: head}]}"
    settings = [*QUICK, "train.validation=0", "stages.presence.crossfit=0", f"stages.presence.train={phases}"]
    recipe = read_recipe("nerve-ultrasound", settings)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.train.seed)
        before = build_learner(recipe.stages[0], recipe).bundle_state()
    bundle = read_bundle(train("nerve-ultrasound", folder, tmp_path / "run", settings=settings))
    after = tensors_of(bundle.weights["presence"])
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved <= {"classifier.fc.weight", "classifier.fc.bias", "log_prior"}
    assert "classifier.fc.weight" in moved


def test_where_nothing_is_held_back_the_gate_is_calibrated_on_frames_that_others_did_not_learn(
    folder, tmp_path, caplog
):
    settings = [*QUICK, "train.validation=0", "stages.presence.train.epochs=3", "stages.presence.crossfit=2"]
    bundle = train("nerve-ultrasound", folder, tmp_path / "run", settings=settings)
    card = read_bundle(bundle).card
    figures = card["validation"]["presence"]
    assert figures["calibrated_on"] == 24
    assert figures["recall"] >= 0.95
    assert card["gate_promises"]["presence"]["promise"]["people"] == 16
    assert "needs 19 people, and 16 showed" in card["gate_promises"]["presence"]["in_words"]
    assert "each counts as a person" in caplog.text
    assert list(card)[-3:] == ["limits", "ordinary", "unlike"]
    kept = GateScores.from_card(card["gate_scores"]["presence"], ["absent", "present"])
    assert (kept.frames, kept.targets.sum()) == (24, 16)
    page = (tmp_path / "run" / "calibration.html").read_text()
    assert "Recall against false alarms" in page
    assert "A measured trade" in page
    text = (bundle / "card.md").read_text()
    assert "A measured trade, nothing is promised" in text
    assert "logit of present" not in text
    assert {p.name for p in (tmp_path / "run" / "presence").glob("crossfit*")} == {"crossfit0", "crossfit1"}
    uncalibrated = [*settings, "stages.presence.crossfit=0", "stages.presence.train.epochs=1"]
    bundle = train("nerve-ultrasound", folder, tmp_path / "other", settings=uncalibrated)
    assert "threshold" not in read_bundle(bundle).card["validation"]["presence"]


def test_masks_that_are_all_empty_are_refused(folder, tmp_path):
    cases = ",".join(f"{seed:02d}" for seed in range(0, 24, 3))
    with pytest.raises(DataError, match="Every mask is empty"):
        train("nerve-ultrasound", folder, tmp_path / "run", settings=QUICK, cases=cases)


def test_a_kind_of_frame_with_one_image_is_learned_or_refused_with_the_reason(folder, tmp_path):
    cases = ",".join(["00", *(f"{seed:02d}" for seed in range(24) if seed % 3)])
    settings = [*QUICK, "train.validation=0", "stages.presence.train.epochs=1"]
    bundle = train("nerve-ultrasound", folder, tmp_path / "run", settings=settings, cases=cases)
    figures = read_bundle(bundle).card["validation"]["presence"]
    assert figures["calibrated_on"] in {11, 12}  # the part with the only empty frame cannot be judged by others


def test_frames_for_a_gate_are_no_errors_of_the_data(folder, tmp_path):
    recipe = read_recipe("nerve-ultrasound")
    assert not check_data(folder, recipe).errors
    report = check_data(folder, read_recipe("structure-2d"))
    assert not report.errors
    assert len(report.problems) == 8  # the empty masks, to be looked at
    data = tmp_path / "frames"
    for kind in ("absent", "present"):
        (data / kind).mkdir(parents=True)
        (data / kind / f"{kind}.png").write_bytes((folder / "images" / f"0{len(kind) % 3}.png").read_bytes())
    assert not check_data(data, recipe).errors


def test_an_interrupted_training_is_an_interrupt(folder, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("gracile.learning.module.StageModule.on_train_batch_start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train("nerve-ultrasound", folder, tmp_path / "run", settings=QUICK)
