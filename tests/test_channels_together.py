"""Two channels on the whole way: checked, trained, predicted, scored, compared, fine-tuned, tried with few cases."""

import json
from pathlib import Path

import numpy as np
import pytest

import gracile
from gracile.bundle import read_bundle
from gracile.errors import GracileError
from tests.two_channels import recipe_of, suffix, write_data, write_image

pytestmark = pytest.mark.slow
KINDS = pytest.mark.parametrize("kind", ["volume", "image"])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    for kind in ("volume", "image"):
        write_data(folder / kind, kind, 4)
        write_data(folder / kind, kind, 2, "Ts", first=10)
    return {kind: folder / kind for kind in ("volume", "image")}


@pytest.fixture(scope="module")
def runs(data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind that has learned a little of one case: enough to find the blob."""
    folder = tmp_path_factory.mktemp("runs")
    for kind, source in data.items():
        recipe = recipe_of(kind, "train.epochs=12", "train.learning_rate=0.01", "input.shown=t2")
        gracile.train(recipe, source, folder / kind)
    return {kind: folder / kind for kind in data}


@KINDS
def test_what_is_learned_of_two_channels_is_found_and_scored(data, runs, tmp_path, kind):
    out = tmp_path / "out"
    summary = gracile.predict(runs[kind], data[kind] / "imagesTs", out)
    assert not summary.failed
    recipe = recipe_of(kind)
    report = tmp_path / "report.html"
    scores = gracile.evaluate(
        out, data[kind] / "labelsTs", "segmentation", recipe=recipe, images=data[kind] / "imagesTs", report=report
    )
    assert scores.summary["dice"]["mean"] > 0.7
    assert report.stat().st_size > 10_000


@KINDS
def test_both_channels_are_looked_at(data, runs, kind, tmp_path):
    """Without what the second one shows, the answer is another."""
    model = gracile.load(runs[kind], settings=[])
    paths = [data[kind] / "imagesTs" / f"p10_000{number}{suffix(kind)}" for number in range(2)]
    shape = np.asarray(model(paths).mask).shape
    flat = write_image(tmp_path / f"flat{suffix(kind)}", np.random.default_rng(0).normal(140, 6, shape))
    assert (np.asarray(model(paths).mask) != np.asarray(model([paths[0], flat]).mask)).any()


@KINDS
def test_the_card_knows_the_cases_by_all_their_channels(data, runs, tmp_path, kind):
    gracile.predict(runs[kind], data[kind] / "imagesTr", tmp_path / "out", report=False)
    known = json.loads((tmp_path / "out/predictions.json").read_text())["inputs"]
    assert all(record["learned"] for record in known)
    gracile.predict(runs[kind], data[kind] / "imagesTs", tmp_path / "new", report=False)
    new = json.loads((tmp_path / "new/predictions.json").read_text())["inputs"]
    assert not any(record["learned"] for record in new)


@KINDS
def test_a_model_of_one_channel_is_fine_tuned_on_two_and_compared_by_name(data, tmp_path, kind):
    one = recipe_of(kind, channels=1, names=("t1",))
    source = tmp_path / "one"
    for part in ("imagesTr", "labelsTr"):
        (source / part).mkdir(parents=True)
        for path in (data[kind] / part).iterdir():
            if not path.name.endswith(f"_0001{suffix(kind)}"):
                (source / part / path.name).write_bytes(path.read_bytes())
    before = gracile.train(one, source, tmp_path / "before")
    two = recipe_of(kind, "train.validation=0.25", "train.learning_rate=0.0001")
    after = gracile.train(two, data[kind], tmp_path / "after", start=before)
    (carried,) = read_bundle(after).card["fine_tuning"][:1]
    assert "carried over" in carried
    said = " ".join(read_bundle(after).card["fine_tuning"])
    assert "new channel (channel 2 (t2))" in said
    compared = json.loads((tmp_path / "after/comparison/comparison.json").read_text())
    assert compared["before"]["weights"] != compared["after"]["weights"]
    assert (tmp_path / "after/comparison/before").is_dir(), "the model before answers by its own channel"


@KINDS
def test_few_shots_are_tried_with_all_channels(data, tmp_path, kind):
    tried = gracile.few_shot(recipe_of(kind), data[kind], tmp_path / "few", shots=[1], repeats=1, test="p3")
    assert tried.rows[0]["dice"] is not None


@KINDS
def test_an_export_is_refused_in_a_sentence(data, runs, tmp_path, kind):
    with pytest.raises(GracileError) as caught:
        gracile.export(runs[kind], "onnx", tmp_path / "out", cases=data[kind] / "imagesTs")
    assert {"volume": "its stages are segment-volume", "image": "2 channels of their own"}[kind] in str(caught.value)
