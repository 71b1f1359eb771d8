"""A volume's line, tables and page: written, read again, drawn."""

import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from gracile.geometry import centerline_from_mask
from gracile.inference.result_files import volume_result_files, write_result
from gracile.io import read_case_file, read_table
from gracile.measure import measure
from gracile.pages.predictions import ReportWriter
from gracile.recipe import read_recipe
from gracile.result import Result

RECIPE = read_recipe("spinal-cord")
AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])
SHAPE = (24, 26, 12)


def answered(tmp_path, name, found=True, levels=None):
    """A predicted case: its parts as `ReportWriter.add` takes them, its files on disk."""
    path = tmp_path / f"{name}.nii.gz"
    nib.save(nib.Nifti1Image(np.random.default_rng(0).normal(100, 9, SHAPE).astype(np.float32), AFFINE), path)
    case = read_case_file(path, name, wanted=RECIPE.input)
    mask = np.zeros(SHAPE, np.uint8)
    if found:
        mask[8:16, 9:15, 1:11] = 1
    line = centerline_from_mask(mask, AFFINE) if found else None
    result = Result(name, "found" if found else "absent", case.grid, RECIPE.class_names, mask=mask, centerline=line)
    measure(case, result, RECIPE, {"levels": levels} if levels else {})
    files = write_result(result, tmp_path / "out")
    return (
        case,
        result,
        json.loads(
            json.dumps({"name": name, "input": str(path), "kind": "volume", **result.summary(), "files": files})
        ),
    )


@pytest.fixture
def writer(tmp_path):
    return ReportWriter(RECIPE, "model", tmp_path / "out")


def test_line_and_tables_are_written_beside_the_mask(tmp_path):
    record = answered(tmp_path, "a")[2]
    out = tmp_path / "out"
    assert record["files"] == {
        "mask": "a.nii.gz",
        "centerline": "centerline/a.csv",
        "centerline_curve": "centerline/a.mrk.json",
        "centerline_voxels": "centerline/a.nii.gz",
        "cord": "a_cord.csv",
    }
    assert all((out / file).is_file() for file in record["files"].values())
    assert set(record["files"].values()) <= set(volume_result_files("a", out))
    assert nib.load(out / "centerline/a.nii.gz").get_fdata().sum() == 10
    table = read_table(out / "a_cord.csv")
    assert [row["slice"] for row in table] == list(range(1, 11))
    assert table[0]["area_mm2"] == pytest.approx(48, rel=0.01)


def test_levels_are_taken_from_a_folder_by_name(tmp_path):
    labels = np.zeros(SHAPE, np.int16)
    labels[:, :, :6], labels[:, :, 6:] = 3, 2
    (tmp_path / "levels").mkdir()
    nib.save(nib.Nifti1Image(labels, AFFINE), tmp_path / "levels" / "a_labeled.nii.gz")
    result = answered(tmp_path, "a", levels=str(tmp_path / "levels"))[1]
    assert [row["level"] for row in read_table(tmp_path / "out" / "a_cord_levels.csv")] == ["C3", "C2"]
    assert "csa_c2_c3" in {m.name for m in result.measurements}
    result = answered(tmp_path, "b", levels=str(tmp_path / "levels"))[1]
    assert any("no vertebral levels" in flag for flag in result.flags)


def test_the_page_shows_a_sheet_and_the_area_along_the_cord(tmp_path, writer):
    writer.add(*answered(tmp_path, "a"))
    writer.add(*answered(tmp_path, "b", found=False))
    first, second = writer.page.cases
    assert [layer.name for layer in first.layers] == ["cord", "Centerline"]
    assert len(first.figures) == 1
    assert second.base
    assert second.figures == []
    page = writer.write()
    text = page.read_text(encoding="utf-8")
    assert "2 volumes" in text
    assert "Area along the structure" in text
    assert "CSA mean" in text
    assert "mm³" in text
    overlay = Image.open(page.parent / "overlays" / "a.jpg")
    assert overlay.size[0] > 300


def test_a_reused_result_is_drawn_from_its_files(tmp_path, writer):
    case, result, record = answered(tmp_path, "a")
    writer.add(case, result, record)
    again = ReportWriter(RECIPE, "model", tmp_path / "out")
    again.add(None, None, record)
    fresh, reused = writer.page.cases[0], again.page.cases[0]
    assert reused.base == fresh.base
    assert [layer.png for layer in reused.layers] == [layer.png for layer in fresh.layers]
    assert reused.figures[0][0] == fresh.figures[0][0]
    assert reused.figures[0][1].count("L") == fresh.figures[0][1].count("L")
    (tmp_path / "out" / "a_cord.csv").unlink()
    without = ReportWriter(RECIPE, "model", tmp_path / "out")
    without.add(None, None, record)
    assert without.page.cases[0].base == b""
