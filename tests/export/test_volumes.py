"""Models of volumes for other programs: what is exported gives Gracile's own answers, without Gracile."""

import ast
import json
import re
import runpy
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from gracile.bundle import read_bundle
from gracile.errors import BundleError, UsageError
from gracile.evaluation.metrics import dice
from gracile.export.contract import cascade_of, contract_of
from gracile.export.monai_bundle import export_monai
from gracile.export.volume_folder import EXAMPLES, export_volume
from gracile.export.volume_parity import beside_gracile, run_example
from gracile.geometry import Grid
from gracile.names import PACKAGE, docs_page
from gracile.recipe import read_recipe
from gracile.transforms.turning import turned
from gracile.transforms.volume import Orientation
from tests.volumes_on_disk import oblique_affines

MOST_LINES = 150
ALLOWED = {"json", "sys", "itertools", "pathlib", "nibabel", "numpy", "onnxruntime"}


@pytest.fixture(scope="module")
def cord(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cord's model, exported; read only."""
    return export_volume(read_bundle("spinal-cord"), "cord", tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def skull(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The skull's model, exported; read only."""
    return export_volume(read_bundle("skull-landmarks"), "skull", tmp_path_factory.mktemp("exported"))


@pytest.fixture(params=["cord", "skull"])
def exported(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


def read_mask(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def turned_and_scaled(source: Path, target: Path, codes: str, scales: tuple[float, float, float]) -> Path:
    """The same voxels with their axes in another order, and voxels of other sizes."""
    image = nib.load(source)
    turn = ornt_transform(nib.io_orientation(image.affine), axcodes2ornt(codes))
    affine = image.affine @ inv_ornt_aff(turn, image.shape) @ np.diag([*scales, 1.0])
    nib.save(nib.Nifti1Image(apply_orientation(np.asarray(image.dataobj), turn), affine), target)
    return target


def test_the_example_gives_the_cord_of_the_golden_case(cord: Path, tmp_path: Path) -> None:
    run_example(cord, cord / "case" / "volume.nii.gz", tmp_path / "mask.nii.gz")
    own, other = (nib.load(path) for path in (cord / "case" / "mask.nii.gz", tmp_path / "mask.nii.gz"))
    assert (np.asarray(own.dataobj) == np.asarray(other.dataobj)).mean() >= 0.9999
    assert np.asarray(own.dataobj).sum() > 1000
    assert np.allclose(own.affine, other.affine)
    assert other.get_data_dtype() == np.uint8


def test_the_example_gives_the_cord_in_another_orientation_and_spacing(cord: Path, tmp_path: Path) -> None:
    """And in a part that is shorter than a tile of the column."""
    nib.save(nib.load(cord / "case" / "volume.nii.gz").slicer[:, 15:], tmp_path / "part.nii.gz")
    volume = turned_and_scaled(tmp_path / "part.nii.gz", tmp_path / "a.nii.gz", "PIR", (1.3, 0.7, 1.1))
    (case,) = beside_gracile(read_bundle("spinal-cord"), cord, [volume])
    assert case.own is not None
    assert case.exported is not None
    assert (case.own == case.exported).mean() >= 0.9999
    assert dice(case.own > 0, case.exported > 0) >= 0.999
    assert case.own.sum() > 1000


def test_the_example_finds_no_cord_in_noise(cord: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(100, 10, (24, 30, 20)).astype(np.int16)
    nib.save(nib.Nifti1Image(noise, np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "noise.nii.gz")
    (case,) = beside_gracile(read_bundle("spinal-cord"), cord, [tmp_path / "noise.nii.gz"])
    assert case.own is not None
    assert case.exported is not None
    assert not case.own.any()
    assert not case.exported.any()


def test_the_example_gives_the_points_of_the_golden_case(skull: Path, tmp_path: Path) -> None:
    run_example(skull, skull / "case" / "volume.nii.gz", tmp_path / "points.json")
    own, other = (json.loads(path.read_text()) for path in (skull / "case" / "points.json", tmp_path / "points.json"))
    assert list(other["points"]) == list(own["points"])
    assert sum(place is not None for place in own["points"].values()) == 45
    for name, place in own["points"].items():
        assert np.linalg.norm(np.subtract(place, other["points"][name])) <= 0.02 * 0.18


def test_the_example_gives_the_points_in_another_orientation_and_spacing(skull: Path, tmp_path: Path) -> None:
    """At another size of the head; part of it is cut off, so that the shape places points and some are outside."""
    whole = nib.load(skull / "case" / "volume.nii.gz")
    nib.save(whole.slicer[:, :110], tmp_path / "part.nii.gz")
    volume = turned_and_scaled(tmp_path / "part.nii.gz", tmp_path / "a.nii.gz", "SLA", (0.9, 1.1, 1.05))
    (case,) = beside_gracile(read_bundle("skull-landmarks"), skull, [volume])
    found = [name for name, place in case.own_points.items() if place is not None]
    assert 10 < len(found) < 45
    assert case.points_voxels is not None
    assert case.points_voxels <= 0.02


@pytest.mark.parametrize("name", EXAMPLES.values())
@given(affine=oblique_affines(), codes=st.sampled_from(["LAS", "RAS", "PIR"]))
@settings(max_examples=50)
def test_an_example_turns_volumes_as_gracile_does(name: str, affine: np.ndarray, codes: str) -> None:
    """However they are tilted."""
    example = runpy.run_path(str(PACKAGE / "export" / "examples" / name))
    values = np.arange(24).reshape(2, 3, 4)
    orientation = Orientation.to(codes, Grid(values.shape, affine))
    turned, its_affine = example["turned_to"](codes, values, affine)
    assert np.array_equal(turned, orientation.apply(values))
    assert np.allclose(its_affine, orientation.oriented.affine)


def test_openvino_s_folder_says_the_same(tmp_path: Path) -> None:
    folder = export_volume(read_bundle("spinal-cord"), "cord", tmp_path, "openvino")
    assert not list(folder.glob("*.onnx"))
    assert "onnxruntime" not in (folder / "example.py").read_text()
    run_example(folder, folder / "case" / "volume.nii.gz", tmp_path / "mask.nii.gz")
    own, other = read_mask(folder / "case" / "mask.nii.gz"), read_mask(tmp_path / "mask.nii.gz")
    assert (own == other).mean() >= 0.999
    assert dice(own > 0, other > 0) >= 0.999


@pytest.mark.parametrize("name", EXAMPLES.values())
def test_an_example_is_short_and_needs_little(name: str) -> None:
    """Of its lines, those with code count: not its docstring, comments and empty lines."""
    path = PACKAGE / "export" / "examples" / name
    tree = ast.parse(path.read_text())
    described = range(tree.body[0].lineno, (tree.body[0].end_lineno or 0) + 1)
    lines: set[int] = set()
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    with path.open() as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type not in silent:
                lines.update(range(token.start[0], token.end[0] + 1))
    assert len(lines - set(described)) <= MOST_LINES
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= ALLOWED


def names_in(content: object) -> set[str]:
    """All keys of a contract; those of `sha256` and of stages are names of files."""
    if isinstance(content, dict):
        deeper = (part for key, part in content.items() if key not in ("sha256", "networks"))
        return set(content).union(*map(names_in, deeper))
    return set().union(*map(names_in, content)) if isinstance(content, list) else set()


def test_the_contract_has_every_value_that_the_example_reads(exported: Path) -> None:
    content = json.loads((exported / "contract.json").read_text())
    steps = {step["step"] for step in content["steps"]}
    known = names_in(content) | steps
    if (exported / "tables.npz").exists():
        with np.load(exported / "tables.npz") as tables:
            known |= set(tables.files)
    read = set(re.findall(r'\["([a-z_-]+)"\]', (exported / "example.py").read_text()))
    assert len(read) > 20
    assert read <= known


def test_the_page_explains_every_field(exported: Path) -> None:
    content = json.loads((exported / "contract.json").read_text())
    page = Path(docs_page("export-contract.md")).read_text(encoding="utf-8")
    explained = set(re.findall(r"`([a-z0-9_]+)`", page))
    assert names_in(content) - {"images", "numbers"} <= explained
    assert all(f"**{step['step']}**" in page for step in content["steps"])
    assert (exported / "export-contract.md").read_text(encoding="utf-8") == page


def test_the_contract_has_the_weights_and_settings_of_the_bundle() -> None:
    bundle = read_bundle("skull-landmarks", ["stages.refine.passes=3"])
    locate, refine = contract_of(bundle).content["steps"][2:]
    assert refine["passes"] == 3
    stored = bundle.weights["locate"]["nowhere"]
    assert np.array_equal(np.array(locate["nowhere_logits"], dtype=stored.dtype), stored)


def test_views_are_turned_and_mirrored_as_gracile_does() -> None:
    contract = contract_of(read_bundle("spinal-cord"))
    views = contract.content["steps"][4]["views"]
    assert [(view["mirrored"], view["turned_degrees"]) for view in views] == [
        (mirrored, degrees) for degrees in (0, -10, 10) for mirrored in (False, True)
    ]
    volume = np.random.default_rng(0).normal(size=(64, 64, 3)).astype(np.float32)
    for view, both in zip(
        views, zip(contract.tables["view_pixels"], contract.tables["view_shares"], strict=True), strict=True
    ):
        there, back = zip(*both, strict=True)
        flip = -1 if view["mirrored"] else 1
        seen = turned(volume[None], view["turned_degrees"])[0][::flip]
        assert np.allclose(gathered(volume, *there), seen, atol=1e-5)
        assert np.allclose(gathered(seen, *back), turned(seen[None, ::flip], -view["turned_degrees"])[0], atol=1e-5)


def gathered(volume: np.ndarray, pixels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return np.einsum("kpz,kp->pz", volume.reshape(-1, volume.shape[-1])[pixels], shares).reshape(volume.shape)


def without(field: str) -> Callable[[dict], None]:
    def damage(content: dict) -> None:
        for step in content["steps"]:
            step.pop(field, None)

    return damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without("presence"), "presence"),
        (lambda content: content.update(cascade="heat-and-patches"), "another kind"),
        (lambda content: content.update(format=2), "another version"),
        (lambda content: content["steps"][1].update(low_percentile="one"), "cannot be used"),
        (lambda content: content["steps"][0].update(axes_run_to="LAX"), "cannot be used"),
    ],
)
def test_an_example_refuses_a_contract_that_is_damaged_or_foreign(
    cord: Path, tmp_path: Path, damage: Callable[[dict], None], said: str
) -> None:
    content = json.loads((cord / "contract.json").read_text())
    damage(content)
    assert said in refusal(cord, tmp_path, json.dumps(content))


def test_the_landmarks_example_refuses_the_contract_of_a_cord(cord: Path, skull: Path, tmp_path: Path) -> None:
    assert "another kind" in refusal(skull, tmp_path, (cord / "contract.json").read_text())


def test_an_example_refuses_several_volumes_in_one_file(exported: Path, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 8, 2), np.int16), np.eye(4)), tmp_path / "two.nii.gz")
    with pytest.raises(BundleError, match="cannot reshape"):
        run_example(exported, tmp_path / "two.nii.gz", tmp_path / "answer")


def test_an_example_refuses_what_is_no_contract(cord: Path, tmp_path: Path) -> None:
    assert "cannot be used" in refusal(cord, tmp_path, '{"format": 1')


def refusal(folder: Path, tmp_path: Path, contract: str) -> str:
    """What the example says of a folder whose contract was changed: one sentence."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "contract.json").write_text(contract)
    command = [sys.executable, "example.py", ".", "case/volume.nii.gz", "mask.nii.gz"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not (copy / "mask.nii.gz").exists()
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


def test_an_example_that_fails_is_told_in_its_own_words(cord: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="No such file"):
        run_example(cord, tmp_path / "none.nii.gz", tmp_path / "mask.nii.gz")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("input.channels=3", "input.channels is 3"),
        ("prepare.intensity=zscore", "prepare.intensity is not percentile"),
        ("stages.cord.decision.rule=foreground-first", "decision.rule"),
        ("stages.cord.decision.smallest=5", "decision.smallest"),
        ("stages.cord.decision.largest_only=together", "decision.largest_only is not the same for each class"),
        ("stages.centerline.spacing_mm=[2,2,0]", "spacing_mm"),
    ],
)
def test_a_setting_that_the_example_does_not_know_is_refused(setting: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        contract_of(read_bundle("spinal-cord", [setting]))


def test_another_cascade_is_refused_with_what_can_be_exported() -> None:
    with pytest.raises(UsageError, match="centerline then segment-volume or landmark-heat then landmark-refine"):
        cascade_of(read_recipe("cochlea-landmarks-published"))


@pytest.mark.parametrize("name", ["skull-landmarks", "retina-av"])
def test_a_monai_bundle_is_made_of_masks_of_volumes_alone(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="delineate in volumes"):
        export_monai(read_bundle(name), name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_monai_runs_the_bundle(tmp_path: Path) -> None:
    """By the function that `python -m monai.bundle run` calls, which needs the package fire to read its arguments."""
    folder = export_monai(read_bundle("spinal-cord"), "cord", tmp_path)
    (tmp_path / "volumes").mkdir()
    shutil.copy(folder / "models" / "case" / "volume.nii.gz", tmp_path / "volumes" / "someone.nii.gz")
    run = "import monai.bundle; monai.bundle.run(config_file='configs/inference.json', "
    run += "meta_file='configs/metadata.json', dataset_dir='../volumes', output_dir='../masks')"
    subprocess.run([sys.executable, "-c", run], cwd=folder, check=True, capture_output=True)
    own, other = (
        nib.load(p) for p in (folder / "models" / "case" / "mask.nii.gz", tmp_path / "masks" / "someone.nii.gz")
    )
    assert (np.asarray(own.dataobj) == np.asarray(other.dataobj)).mean() >= 0.9999
    assert np.allclose(own.affine, other.affine)
    metadata = json.loads((folder / "configs" / "metadata.json").read_text())
    outputs = metadata["network_data_format"]["outputs"]
    assert outputs["pred"]["channel_def"] == {"0": "background", "1": "cord"}
