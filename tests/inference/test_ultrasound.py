"""An ultrasound picture goes from file to measurements in mm and a page, and a new pixel size is a new answer."""

import json

import numpy as np
import pytest
import torch

from gracile.inference import Options, find_inputs, predict
from gracile.io import write_png
from gracile.learning.learners import build_learner
from gracile.pipeline import Pipeline
from gracile.recipe import read_recipe


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    recipe = read_recipe(
        "structure-2d",
        ["input.region=scan", "input.channels=1", "measure=[{name: ultrasound}]", "prepare.diameter=64",
         "stages.segment.network.options.widths=[8,12,16]"],
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Pipeline(recipe, [build_learner(spec, recipe).applied() for spec in recipe.stages])


def test_from_file_to_millimeters(pipeline, tmp_path):
    image = np.random.default_rng(0).integers(20, 200, (120, 160)).astype(np.uint8)
    image[:20] = 0
    write_png(tmp_path / "in" / "a.png", image)

    def run() -> tuple[dict, str]:
        out = tmp_path / "out"
        summary = predict(pipeline, {"name": "x"}, find_inputs([str(tmp_path / "in")]), out, Options(), lambda *_: None)
        assert not summary.failed
        (record,) = json.loads((out / "predictions.json").read_text())["inputs"]
        return record, "reused" if summary.reused else "answered"

    first, how = run()
    assert how == "answered"
    assert run()[1] == "reused"
    (tmp_path / "in" / "a.json").write_text('{"pixel_spacing_mm": [0.1, 0.1]}')
    second, how = run()
    assert how == "answered"
    values = [{m["name"]: m for m in record["measurements"]} for record in (first, second)]
    assert [v["area"]["unit"] for v in values] == ["px2", "mm2"]
    assert values[1]["area"]["value"] == pytest.approx(values[0]["area"]["value"] * 0.01)
    assert values[1]["depth"]["unit"] == "mm"
    assert [round(place["row"]) for place in first["marks"]["skin"]] == [20] * len(first["marks"]["skin"])
