"""Folds of every kind of recipe: gates with masks, kinds of frames alone, landmarks."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from gracile.api import load, train
from gracile.api.experiments import folds as module
from gracile.bundle import read_bundle
from gracile.io.predictions_file import read_predictions
from tests.api.test_few_shot import FAST
from tests.learning.test_gate_training import QUICK, frame
from tests.stages.test_landmark_windows import head
from tests.volumes_on_disk import write_nifti

CLASSIFIER = """
name: frames
title: Frames
classes: [{name: background, color: [0, 0, 0]}, {name: nerve, color: [255, 220, 0]}]
input: {kind: image, channels: 1}
prepare: {diameter: 48, margin: 0, intensity: zscore}
stages:
  - kind: gate
    name: presence
    network: {name: "timm:resnet10t"}
    structures: [nerve]
    size: [48, 48]
    crossfit: 0
train: {epochs: 1, batch_size: 4, average_weights: 0}
trainer: {precision: 32-true, threads: 1, graphs: false, workers: 0}
protocol: classification
"""


@pytest.fixture(autouse=True)
def _nothing_is_alike(monkeypatch):
    monkeypatch.setattr(module, "near_duplicates", lambda cases, recipe: [])


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "folds.csv").open() as file:
        return list(csv.DictReader(file))


def write_frames(folder: Path, count: int) -> Path:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for seed in range(count):
        image, mask = frame(seed, seed % 3 > 0)
        Image.fromarray(image).save(folder / "images" / f"{seed:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{seed:02d}.png")
    return folder


@pytest.mark.slow
def test_gates_are_calibrated_without_the_held_back_and_joined(tmp_path):
    data = write_frames(tmp_path / "data", 12)
    settings = [*QUICK, "stages.presence.train.epochs=2", "stages.presence.crossfit=2", "measure=[]",
                "protocol=gated-segmentation"]  # fmt: skip
    run = tmp_path / "run"
    bundle = read_bundle(train("nerve-ultrasound", data, run, settings=settings, folds=2))
    rows = rows_of(run)
    assert len(rows) == 12
    for number, member in enumerate(bundle.members, start=1):
        assert list((run / f"fold{number}" / "presence").glob("crossfit*"))
        figures = member.card["validation"]["presence"]
        assert 0 < figures["calibrated_on"] <= sum(row["fold"] != str(number) for row in rows)
    records = read_predictions(run / "held-back" / "predictions.json")["inputs"]
    assert all(record["gates"].keys() == {"nerve"} for record in records)
    thresholds = [float(member.weights["presence"]["threshold"]) for member in bundle.members]
    gate = load(run, device="cpu").pipeline.stages[0]
    assert gate.threshold == pytest.approx(sum(thresholds) / 2)


def test_kinds_of_frames_are_scored_without_masks(tmp_path):
    for seed in range(8):
        kind = tmp_path / "data" / ("present" if seed % 2 else "absent")
        kind.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame(seed, seed % 2 > 0)[0]).save(kind / f"{seed}.png")
    (tmp_path / "frames.yaml").write_text(CLASSIFIER)
    run = tmp_path / "run"
    train(tmp_path / "frames.yaml", tmp_path / "data", run, folds=2)
    assert {row["truth"] for row in rows_of(run)} == {"absent", "present"}
    assert (run / "index.html").stat().st_size > 10_000
    assert not (run / "choices.json").exists()
    assert load(run, device="cpu")(tmp_path / "data" / "present" / "1.png").gates.keys() == {"nerve"}


def test_landmarks_are_scored_and_averaged(tmp_path):
    lines = ["case,label,ras_x_mm,ras_y_mm,ras_z_mm"]
    for seed in range(4):
        case = head(seed)
        write_nifti(tmp_path / "data" / "volumes" / f"{case.id}.nii.gz", case.image[0], case.grid.affine)
        lines += [f"{case.id},{n},{','.join(str(float(v)) for v in p)}" for n, p in case.points.items()]
    (tmp_path / "data" / "landmarks.csv").write_text("\n".join(lines))
    run = tmp_path / "run"
    train("cochlea-landmarks-published", tmp_path / "data", run, settings=FAST, folds=2, final=True)
    assert [row["case"] for row in rows_of(run)] == ["head0", "head1", "head2", "head3"]
    assert (run / "held-back" / "head3.mrk.json").is_file()
    assert (run / "index.html").stat().st_size > 10_000
    model = load(run, device="cpu")
    found = model(tmp_path / "data" / "volumes" / "head0.nii.gz")
    assert [one.name for one in found.landmarks] == model.recipe.landmark_names
    assert (run / "final" / "bundle" / "bundle.json").is_file()
