"""Each class over all cases, with the number of cases that stand behind each mean."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import gracile
from gracile.cli import app
from gracile.errors import UsageError


def write(path, *squares):
    mask = np.zeros((24, 24), np.uint8)
    for label, (row, column) in squares:
        mask[row : row + 6, column : column + 6] = label
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


@pytest.fixture
def folders(tmp_path):
    """Three pictures of two classes: both found, the vein missed, no vein on either side."""
    write(tmp_path / "labels" / "a.png", (1, (2, 2)), (2, (12, 12)))
    write(tmp_path / "run" / "a.png", (1, (2, 3)), (2, (12, 12)))
    write(tmp_path / "labels" / "b.png", (1, (2, 2)), (2, (12, 12)))
    write(tmp_path / "run" / "b.png", (1, (2, 2)))
    write(tmp_path / "labels" / "c.png", (1, (2, 2)))
    write(tmp_path / "run" / "c.png", (1, (2, 2)))
    return tmp_path


def score(folders, **more):
    return gracile.evaluate(folders / "run", folders / "labels", "segmentation", recipe="retina-av", **more)


def test_a_mean_says_how_many_cases_it_is_of(folders):
    scored = score(folders)
    vein = scored.details["by_class"]["vein"]
    assert (vein["dice"]["mean"], vein["dice"]["cases"]) == (0.5, 2)
    assert (vein["hd95_px"]["mean"], vein["hd95_px"]["cases"]) == (0, 1)
    assert (vein["missed"]["total"], vein["absent"]["total"]) == (1, 1)
    rates, sizes = (next(row for row in rows if row["class"] == "vein") for rows in scored.tables.values())
    assert (rates["cases"], rates["dice"], rates["missed"], rates["absent"]) == (2, 0.5, 1, 1)
    assert (sizes["both"], sizes["hd95 px"], sizes["area error %"]) == (1, 0, -50)
    assert any("4 times a class was on neither side" in note for note in scored.notes)  # the crossing thrice
    assert score(folders, absent="count").details["by_class"]["vein"]["dice"]["mean"] == pytest.approx(2 / 3)


def test_the_command_takes_tolerance_and_absent_and_says_them(folders):
    command = ["evaluate", folders / "run", folders / "labels", "--protocol", "segmentation", "--recipe", "retina-av"]
    more = ["--tolerance", "0.5", "--absent", "count", "--json", folders / "s.json", "--report", folders / "r.html"]
    outcome = CliRunner().invoke(app, [str(part) for part in (*command, *more)])
    assert outcome.exit_code == 0, outcome.output
    assert "tolerance of 0.5 pixels" in " ".join(outcome.output.split())
    assert "by class" in outcome.output
    written = json.loads((folders / "s.json").read_text())
    assert (written["details"]["tolerance"], written["details"]["absent"]) == (0.5, "count")
    page = (folders / "r.html").read_text()
    assert "By class" in page
    assert "tolerance of 0.5 pixels" in page


def test_a_wider_tolerance_forgives_more(folders):
    narrow, wide = (
        score(folders, tolerance=tolerance).details["by_class"]["artery"]["normalized_surface_distance"]["mean"]
        for tolerance in (0, 1)
    )
    assert narrow < wide == 1


def test_options_of_another_protocol_are_refused(folders):
    with pytest.raises(UsageError, match="knows no absent"):
        gracile.evaluate(folders / "run", folders / "labels", "gated-segmentation", recipe="retina-av", absent="count")
    with pytest.raises(UsageError, match="0 or more"):
        score(folders, tolerance=-1)
    with pytest.raises(UsageError, match="'leave-out' or 'count'"):
        score(folders, absent="skip")


def test_a_missing_prediction_counts_as_zero_also_of_an_absent_class(folders):
    (folders / "run" / "c.png").unlink()
    vein = score(folders, missing="worst").details["by_class"]["vein"]
    assert (vein["dice"]["mean"], vein["dice"]["cases"]) == (pytest.approx(1 / 3), 3)
    assert vein["area_error_percent"]["mean"] == -50


def test_subjects_of_a_data_set_are_the_groups_of_the_intervals(folders):
    rows = [f"labels/{name}.png,labels/{name}.png,{person}" for name, person in (("a", 1), ("b", 2), ("c", 2))]
    (folders / "data.csv").write_text("image,label,subject\n" + "\n".join(rows) + "\n")
    scored = gracile.evaluate(folders / "run", folders / "data.csv", "segmentation", recipe="retina-av")
    table = folders / "groups.csv"
    table.write_text("name,group\na.png,1\nb.png,2\nc.png,2\n")
    assert scored.summary["dice"] == score(folders, groups=table).summary["dice"]
    assert scored.summary["dice"] != score(folders).summary["dice"]
    assert any("by subject (2 in the data set)" in note for note in scored.notes)
