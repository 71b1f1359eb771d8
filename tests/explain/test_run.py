"""Pictures are explained from file to page."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from gracile.bundle import Bundle
from gracile.cli import app
from gracile.errors import UsageError
from gracile.explain import explain_pictures, run
from gracile.learning.learners import build_learner
from gracile.learning.learners.gate import framed
from gracile.recipe import recipe_from


class BrightnessNetwork(nn.Module):
    """Two classes: dark, bright."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        bright = self.relu(image * 1).mean((1, 2, 3))
        return torch.stack([-bright, bright], dim=1)


RECIPE = recipe_from(
    {
        "name": "gated",
        "title": "Gated",
        "classes": [{"name": "background", "color": [0, 0, 0]}, {"name": "nerve", "color": [255, 0, 0]}],
        "input": {"channels": 1},
        "stages": [
            {"kind": "gate", "network": {"name": "timm:resnet10t"}, "structures": ["nerve"], "size": [64, 64]},
            {"kind": "segment", "network": {"name": "refining-unet"}, "losses": [{"name": "dice"}]},
        ],
    }
)


@pytest.fixture
def model(monkeypatch) -> Bundle:
    learner = build_learner(RECIPE.stages[0], RECIPE).eval()
    learner.classifier = BrightnessNetwork()
    monkeypatch.setattr(run, "classifier_of", lambda bundle, device: learner)
    return Bundle(recipe=RECIPE, weights={}, card={})


@pytest.fixture
def inputs(tmp_path):
    image = np.full((60, 100), 40, np.uint8)
    image[10:20, 70:90] = 250
    Image.fromarray(image).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    return [(tmp_path / "a.png", "a"), (tmp_path / "b.png", "b")]


def test_overlays_sheets_and_a_page_are_written(model, inputs, tmp_path):
    out = tmp_path / "out"
    explained = explain_pictures(model, inputs, out, "gradcam", target="present")
    assert "b" in explained.failed
    overlay = np.array(Image.open(out / "a-gradcam.png")).astype(int)
    assert overlay.shape == (60, 100, 3)
    colored = overlay[..., 0] - overlay[..., 2] > 20
    rows, columns = np.nonzero(colored)
    assert abs(rows.mean() - 14.5) < 2
    assert abs(columns.mean() - 79.5) < 2
    assert (out / "a-features.png").is_file()
    page = explained.report.read_text()
    assert "present" in page
    assert "a-features.png" in page


def test_a_map_goes_back_from_the_networks_input():
    image = torch.zeros(1, 1, 60, 100)
    image[..., 10:20, 70:90] = 1
    back = run.unframed(framed(image, (64, 64))[0, 0].numpy(), (60, 100))
    rows, columns = np.nonzero(back > 0.5)
    assert (rows.mean(), columns.mean()) == pytest.approx((14.5, 79.5), abs=0.6)


def test_a_wrong_class_method_or_layer_ends_the_run(model, inputs, tmp_path):
    for change, message in (
        ({"target": "nerve"}, "absent, present"),
        ({"method": "lime"}, "gradcam"),
        ({"layer": "rely"}, "Did you mean relu"),
    ):
        with pytest.raises(UsageError, match=message):
            explain_pictures(model, inputs, tmp_path / "out", **change)


def test_a_recipe_without_gate_has_nothing_to_explain(tiny_bundle, inputs, tmp_path):
    outcome = CliRunner().invoke(app, ["explain", str(tiny_bundle), str(inputs[0][0]), "--out", str(tmp_path / "x")])
    assert isinstance(outcome.exception, UsageError)
    assert "no gate" in str(outcome.exception)
