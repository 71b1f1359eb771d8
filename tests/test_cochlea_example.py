"""The real cochlea, end to end: its points are read, learned, found by scanning, and written for 3D Slicer."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch

from gracile import api
from gracile.inference import Options
from gracile.io import read_points, read_volume
from gracile.learning.learners import build_learner
from gracile.pipeline import Pipeline
from gracile.recipe import read_recipe
from gracile.transforms import prepare

SETTINGS = [
    "landmarks=[{name: F-1}, {name: F-2}]",
    "stages.windows.network={name: smicnet-unpadded, options: {width: 8, depth: 2, hidden: 32, dropout: 0}}",
    "stages.windows.size=33",
    "stages.windows.planes=[axial, coronal, sagittal]",
    "stages.windows.spacing_mm=[0.25, 0.25, 0.25]",
    "stages.windows.sampler={per_case: 768, rotation: [5, 5, 20], shift: 2, gap: 3, reach: 20}",
    "stages.windows.scan={mode: auto, step: 2, reach_mm: 3}",
    "train={epochs: 10, batch_size: 32, learning_rate: 0.01, validation: 0, average_weights: 0.8, weight_decay: 0}",
    "trainer={workers: 0, threads: 1, precision: 32-true}",
    "measure=[{name: landmarks, options: {distances: {a-value: [F-1, F-2]}}}]",
]


@pytest.mark.slow
@pytest.mark.real
def test_the_cochlea_is_read_scanned_and_written_for_slicer(real_data, tmp_path):
    folder = real_data / "landmarks" / "cochlea-example"
    volume, truth = folder / "cochlea_L.nii.gz", folder / "MdlDvLc_AvPt.fcsv"
    if not volume.is_file():
        pytest.skip("GRACILE_DATA has no cochlea")
    (tmp_path / "data.csv").write_text(f"image,points\n{volume},{truth}\n")
    bundle = api.train("cochlea-landmarks-published", tmp_path / "data.csv", tmp_path / "run", settings=SETTINGS)
    out = tmp_path / "out"
    summary = api.predict(bundle, volume, out, options=Options(probabilities=True))
    (record,) = json.loads(summary.predictions.read_text())["inputs"]
    assert record["status"] == "found"
    true = read_points(truth)
    written = np.array([entry["point_mm"] for entry in record["landmarks"]])
    assert np.linalg.norm(written - true.points_mm, axis=1).max() < 2.0
    for kind in ("landmarks", "landmarks_fcsv", "landmarks_table"):
        back = read_points(out / record["files"][kind])
        assert back.labels == true.labels
        np.testing.assert_allclose(back.points_mm, written, atol=1e-4)
    with (out / "cochlea_L_landmarks.csv").open() as file:
        assert {"label", "ras_x_mm", "probability"} <= set(next(csv.reader(file)))
    for name, point in zip(true.labels, written, strict=True):
        heat = nib.load(out / record["files"][f"probability of {name}"])
        np.testing.assert_allclose(heat.affine, nib.load(volume).affine)
        warmest = np.unravel_index(heat.get_fdata().argmax(), heat.shape)
        assert np.linalg.norm(heat.affine[:3, :3] @ warmest + heat.affine[:3, 3] - point) < 4.0
    (length,) = [m for m in record["measurements"] if m["name"] == "a-value"]
    assert length["value"] == pytest.approx(np.linalg.norm(written[0] - written[1]), abs=1e-3)
    near = ",".join(str(value) for value in true.points_mm[1] + 0.5)
    api.predict(bundle, volume, tmp_path / "near", options=Options(near=near), report=False)
    found = read_points(tmp_path / "near" / "cochlea_L.mrk.json").by_label()
    assert np.linalg.norm(found["F-2"] - true.points_mm[1]) < 2.0
    scored = api.evaluate(
        out, tmp_path / "data.csv", "landmarks", recipe=tmp_path / "run" / "recipe.yaml", windows=bundle,
        report=tmp_path / "page.html",
    )  # fmt: skip
    assert scored.summary["found"]["mean"] == 1.0
    assert [row["class"] for row in scored.details["windows"]["classes"]] == ["F-1", "F-2", "background"]
    assert scored.details["windows"]["averages"][0]["f1"] > 0.6


@pytest.mark.real
def test_the_published_network_pads_the_small_volume_and_says_so(real_data, tmp_path):
    folder = real_data / "landmarks" / "cochlea-example"
    weights = real_data.parent / "reference" / "smicnet" / "model_5volumes.h5"
    if not folder.is_dir() or not weights.is_file():
        pytest.skip("there is no cochlea, or no published weights")
    from gracile.learning.import_smicnet import import_smicnet

    bundle = import_smicnet(weights, tmp_path / "bundle")
    result = api.load(bundle, settings=["stages.windows.scan={step: 8}"])(folder / "cochlea_L.nii.gz")
    assert any("padded" in flag for flag in result.flags)
    assert [part.name for part in result.landmarks] == ["apex", "basal", "round-window"]
    lengths = {m.name: m for m in result.measurements}
    assert lengths["cochlear-duct-length"].value is None
    assert "lateral-wall" in lengths["cochlear-duct-length"].note


@pytest.mark.real
def test_the_cochlea_fits_the_sizes_of_the_default_recipe(real_data):
    folder = real_data / "landmarks" / "cochlea-example"
    if not (folder / "cochlea_L.nii.gz").is_file():
        pytest.skip("GRACILE_DATA has no cochlea")
    recipe = read_recipe("cochlea-landmarks", ["landmarks=[{name: F-1}, {name: F-2}]", "measure=[]"])
    case = read_volume(folder / "cochlea_L.nii.gz", "cochlea")
    case.points = read_points(folder / "MdlDvLc_AvPt.fcsv").by_label()
    prepared = prepare(case, recipe)[0]
    stages = [build_learner(spec, recipe) for spec in recipe.stages]
    for stage, spec in zip(stages, recipe.stages, strict=True):
        sample = stage.samples([prepared], seed=0)[0]
        assert sample["image"].std() > 0.1
        if spec.kind == "landmark-refine":
            assert (sample["place"].abs() * spec.spacing_mm <= spec.reach_mm).all()
        else:
            assert ((sample["places"] > 0) & (sample["places"] < torch.tensor(spec.patch))).all()
    result = Pipeline(recipe, [stage.applied() for stage in stages])(case, keep_probabilities=True)
    assert [landmark.name for landmark in result.landmarks] == ["F-1", "F-2"]
    assert {heat.shape for heat in result.landmark_maps.values()} == {case.grid.shape}
