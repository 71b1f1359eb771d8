"""Networks, losses and measures of other packages: found, checked, built, told apart, and refused in words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from gracile.case import Case
from gracile.cli import app
from gracile.errors import RecipeError
from gracile.extensions import ALL_LOSSES, ALL_MEASURES, ALL_NETWORKS, GROUPS
from gracile.geometry import Grid
from gracile.losses import build_loss
from gracile.measure.by_recipe import declared, measure
from gracile.names import LOSSES, MEASURES, NETWORKS
from gracile.networks.anatomy import anatomy_of
from gracile.networks.zoo import build_network
from gracile.recipe import MeasureSpec, Recipe, read_recipe
from gracile.result import Result
from tests.conftest import TINY
from tests.installed import install, plugin_paths, write_metadata

WITH_ALL = [
    *TINY,
    "stages.vessels.network={name: two-scales, options: {width: 8}}",
    "stages.vessels.losses=[{name: brier}, {name: dice}]",
    "measure=[{name: largest-island, options: {at_least: 2}}]",
]
WITH_ALL.remove("stages.vessels.network.options.widths=[8,12,16]")


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/plugin_package, installed."""
    install(monkeypatch, plugin_paths(tmp_path / "site"))


def add(monkeypatch: pytest.MonkeyPatch, site: Path, package: str, what: str, **names: str) -> None:
    """Install a package that adds names; spaces in them are written as ``_``."""
    entries = {name.replace("_", "-"): place for name, place in names.items()}
    install(monkeypatch, [write_metadata(site, package, "1.0", {GROUPS[what]: entries})])


def with_network(name: str) -> Recipe:
    return read_recipe("retina-av", [f"stages.vessels.network={{name: '{name}', options: {{}}}}"])


def test_without_packages_there_are_gracile_s_own() -> None:
    assert dict(ALL_NETWORKS) == NETWORKS
    assert dict(ALL_LOSSES) == LOSSES
    assert dict(ALL_MEASURES) == MEASURES


def test_a_package_s_names_stand_behind_gracile_s_own(plugin: None) -> None:
    for known, own, name in (
        (ALL_NETWORKS, NETWORKS, "two-scales"), (ALL_LOSSES, LOSSES, "brier"),
        (ALL_MEASURES, MEASURES, "largest-island"),
    ):  # fmt: skip
        assert list(known) == [*own, name]
        assert len(known) == len(own) + 1
        assert known[name].summary == "of the package gracile-example 0.1.0"


def test_a_listing_names_them_and_imports_neither_package_nor_torch(tmp_path: Path) -> None:
    script = (
        "import sys; from gracile.cli import app; app(['models', *sys.argv[1:]], standalone_mode=False); "
        "print([name for name in sys.modules if name.split('.')[0] in ('torch', 'gracile_example')])"
    )
    path = os.pathsep.join([*map(str, plugin_paths(tmp_path)), *sys.path])
    for options in ([], ["--json"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *options], capture_output=True, encoding="utf-8", check=True,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        listing, imported = done.stdout.rsplit("\n", 2)[:2]
        assert imported == "[]"
        if options:
            content = json.loads(listing)
            places = {"networks": "two-scales", "losses": "brier", "measures": "largest-island"}
            told = {content[table][name] for table, name in places.items()}
            assert told == {"of the package gracile-example 0.1.0"}
        else:
            for name in ("two-scales", "brier", "largest-island"):
                assert f"  {name:24} of the package gracile-example 0.1.0" in listing


def test_a_recipe_takes_them_and_names_them_where_a_word_is_wrong(plugin: None) -> None:
    assert read_recipe("retina-av", WITH_ALL).stages[0].network.name == "two-scales"
    for wrong, right in (
        ("stages.vessels.network.name=two-scale", "two-scales"),
        ("stages.vessels.losses=[{name: bier}]", "brier"),
        ("measure=[{name: largest-islands}]", "largest-island"),
    ):
        with pytest.raises(RecipeError, match=f"Did you mean .*{right}"):
            read_recipe("retina-av", [*WITH_ALL, wrong])


def test_the_command_line_checks_a_recipe_with_them(plugin: None) -> None:
    settings = [part for setting in WITH_ALL for part in ("--set", setting)]
    outcome = CliRunner().invoke(app, ["recipe", "retina-av", *settings])
    assert outcome.exit_code == 0, outcome.exception
    assert "two-scales" in outcome.output


def test_a_network_and_a_loss_of_a_package_learn(plugin: None) -> None:
    network = build_network("two-scales", 3, 2, dimensions=2, width=8)
    loss = build_loss("brier", {"line": (1,)}, power=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = torch.randn(2, 3, 33, 21)  # odd: padded to the multiple that the class states
        shares = (images[:, :1] > 0).float()
        truth, region = torch.cat([1 - shares, shares], dim=1), torch.ones(2, 1, 33, 21)
        optimizer = torch.optim.Adam(network.parameters(), 0.01)
        values = []
        for _ in range(30):
            answer = network(images)
            assert answer.shape == (2, 2, 33, 21)
            value = loss(answer, truth, region)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            values.append(float(value))
    assert values[-1] < 0.5 * values[0]


def test_which_weights_of_a_package_s_network_are_of_channels_and_classes_is_found(plugin: None) -> None:
    axes = {(axis.weight, axis.of) for axis in anatomy_of(build_network("two-scales", 3, 2)).axes}
    answers = {("network.answer.weight", "classes"), ("network.answer.bias", "classes")}
    assert axes == {("network.fine.0.weight", "channels"), *answers}


def test_a_measure_of_a_package_stands_in_a_prediction(plugin: None, tiny_bundle: Path, fundus_folder: Path, tmp_path: Path) -> None:  # fmt: skip  # noqa: E501
    image = fundus_folder / "images" / "00.png"
    outcome = CliRunner().invoke(
        app,
        ["predict", str(tiny_bundle), str(image), "--out", str(tmp_path / "out"), "--no-report", "--device", "cpu",
         "--set", "measure=[{name: largest-island}]"],
    )  # fmt: skip
    assert outcome.exit_code == 0, outcome.exception
    (record,) = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))["inputs"]
    shares = {one["structure"]: one["value"] for one in record["measurements"] if one["name"] == "largest_island"}
    assert set(shares) == {"artery", "vein", "uncertain"}
    assert all(value is None or 0 < value <= 1 for value in shares.values())


def test_a_measure_s_options_are_those_of_its_class(plugin: None) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[:2, :3], mask[5, 5] = 1, 1
    recipe = read_recipe("structure-2d")
    for at_least, expected in ((1, 6 / 7), (8, None)):
        spec = MeasureSpec(name="largest-island", options={"at_least": at_least})
        case = Case("a", np.zeros((3, 8, 8), np.float32), Grid((8, 8)))
        result = Result("a", "found", case.grid, recipe.class_names, mask=mask)
        measure(case, result, recipe.model_copy(update={"measure": [spec]}), {})
        (found,) = result.measurements
        assert found.value == (None if expected is None else pytest.approx(expected))
    with pytest.raises(RecipeError, match="at_least"):
        declared(MeasureSpec(name="largest-island", options={"atleast": 1}))


def test_an_option_that_is_wrong_is_told(plugin: None) -> None:
    with pytest.raises(RecipeError, match=r"no option 'widht'.*width"):
        build_network("two-scales", 3, 2, widht=8)
    with pytest.raises(RecipeError, match="cannot take 'eight' as its option 'width'"):
        build_network("two-scales", 3, 2, width="eight")
    with pytest.raises(RecipeError, match="no option 'gamma'"):
        build_loss("brier", {"line": (1,)}, gamma=1)


def test_a_network_for_pictures_takes_no_volumes(plugin: None) -> None:
    with pytest.raises(RecipeError, match="'two-scales' does not take volumes"):
        build_network("two-scales", 1, 2, dimensions=3)


def test_gracile_s_names_stay_gracile_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, tmp_path / "a", "other-nets", "network", unet="nowhere:Net", smicnet="nowhere:Net")
    add(monkeypatch, tmp_path / "b", "other-losses", "loss", dice="nowhere:Loss")
    assert ALL_NETWORKS["unet"] is NETWORKS["unet"]
    assert "smicnet" not in ALL_NETWORKS
    assert list(ALL_LOSSES) == list(LOSSES)
    build_network("unet", 1, 2, width=4)
    listing = CliRunner().invoke(app, ["models"]).output
    assert "The network 'unet' of other-nets 1.0 is not used: Gracile has the name." in listing
    assert "The loss 'dice' of other-losses 1.0 is not used: Gracile has the name." in listing


def test_a_name_of_two_packages_is_refused_naming_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("one-package", "another-package"):
        site = tmp_path / package
        groups = {GROUPS[what]: {"mine": "gone:Thing"} for what in ("network", "loss", "measure")}
        install(monkeypatch, [write_metadata(site, package, "1.0", groups)])
    both = "'mine' is added by several packages: another-package 1.0 and one-package 1.0. Uninstall all but one"
    for setting in ("stages.vessels.losses=[{name: mine}]", "measure=[{name: mine}]"):
        with pytest.raises(RecipeError, match=both):
            read_recipe("retina-av", [setting])
    with pytest.raises(RecipeError, match=both):
        with_network("mine")
    with pytest.raises(RecipeError, match=both):
        build_network("mine", 1, 2)
    with pytest.raises(RecipeError, match=both):
        build_loss("mine", {"line": (1,)})
    listing = CliRunner().invoke(app, ["models"])
    assert listing.exit_code == 0
    assert "another-package 1.0 and one-package 1.0" in listing.output
    read_recipe("retina-av")  # what does not use it is not disturbed


BROKEN = {
    "absent": ("broken_absent.nets:Net", "ModuleNotFoundError: No module named 'broken_absent'"),
    "raising": ("broken_raising:Net", "ValueError: the license has expired"),
    "nameless": ("broken_empty:Net", "has no attribute 'Net'"),
    "senseless": ("broken_empty", "ValueError|AttributeError"),
    "constant": ("broken_empty:SIZE", "is no class"),
    "torchless": ("broken_torchless:Net", r"it needs torch.*pip install 'gracile\[train\]'"),
    "function": ("broken_empty:build", "is no "),
    "odd": ("broken_empty:Odd", r"'cube'.*, and there are image and volume"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("what", GROUPS)
def test_a_package_that_is_at_fault_is_told_when_it_is_used_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    (tmp_path / "broken_raising.py").write_text("raise ValueError('the license\\nhas expired')", encoding="utf-8")
    (tmp_path / "broken_torchless.py").write_text("raise ModuleNotFoundError('No', name='torch')", encoding="utf-8")
    (tmp_path / "broken_empty.py").write_text(
        "from torch import nn\nfrom gracile.measure.base import Measure\nSIZE = 3\ndef build(*_): return None\n"
        "class Odd(nn.Module):\n    inputs = ('cube',)\n",
        encoding="utf-8",
    )
    place, said = BROKEN[name]
    add(monkeypatch, tmp_path, "broken-package", what, **{name: place})
    listing = CliRunner().invoke(app, ["models"])
    assert f"{name:24} of the package broken-package 1.0" in listing.output
    if (name, what) == ("odd", "loss"):
        pytest.skip("losses have no inputs")
    uses = {
        "network": lambda: build_network(name, 1, 2, dimensions=2),
        "loss": lambda: build_loss(name, {"line": (1,)}),
        "measure": lambda: read_recipe("structure-2d", [f"measure=[{{name: {name}}}]"]),
    }
    if what == "measure" and name == "function":
        uses["measure"] = lambda: declared(MeasureSpec(name=name))
    with pytest.raises(RecipeError, match=said) as told:
        uses[what]()
    assert name in str(told.value)
    assert "broken-package 1.0" in str(told.value)
    assert "\n" not in str(told.value)
