"""Pictures are explained from file to page."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from typer.testing import CliRunner

from gracile.cli import app
from gracile.errors import UsageError
from gracile.explain import classifier_of, explain_pictures
from gracile.explain.run import unframed
from gracile.recipe import recipe_from


class BrightnessNetwork(nn.Module):
    """Two classes: dark, bright."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        bright = self.relu(image * 1).mean((1, 2, 3))
        return torch.stack([-bright, bright], dim=1)


class Gate(nn.Module):
    """Stands for a gate stage: a picture lies in the middle of 64 x 64 zeros, half as large."""

    name = "presence"
    classes = ("absent", "present")
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.classes = ["absent", "present"]
        self.classifier = BrightnessNetwork()

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.float().softmax(dim=1)

    def framed(self, image: torch.Tensor) -> torch.Tensor:
        height, width = (side // 2 for side in image.shape[-2:])
        top, left = (64 - height) // 2, (64 - width) // 2
        small = functional.interpolate(image, (height, width), mode="area")
        return functional.pad(small, (left, 64 - left - width, top, 64 - top - height))


RECIPE = recipe_from(
    {
        "name": "gated",
        "title": "Gated",
        "classes": [{"name": "background", "color": [0, 0, 0]}, {"name": "nerve", "color": [255, 0, 0]}],
        "input": {"channels": 1},
        "stages": [{"kind": "segment", "network": {"name": "refining-unet"}, "losses": [{"name": "dice"}]}],
    }
)


@pytest.fixture
def model() -> SimpleNamespace:
    return SimpleNamespace(pipeline=SimpleNamespace(recipe=RECIPE, stages=[nn.Identity(), Gate()]))


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


def test_a_map_goes_back_from_the_networks_input(model):
    stage = classifier_of(model)
    image = torch.zeros(1, 1, 60, 100)
    image[..., 10:20, 70:90] = 1
    back = unframed(stage, stage.framed(image)[0, 0].numpy(), (60, 100))
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
