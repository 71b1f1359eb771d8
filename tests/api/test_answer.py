"""What a model answers shows itself in a notebook and writes the files that a run writes."""

import numpy as np
import pytest

import gracile
from gracile.case import Case
from gracile.io import read_labels, read_picture
from gracile.names import demo_folder

PICTURE = demo_folder("ultrasound")


@pytest.fixture(scope="module")
def model() -> gracile.Model:
    return gracile.load("nerve-ultrasound", device="cpu")


@pytest.fixture(scope="module")
def answer(model: gracile.Model) -> gracile.Answer:
    return model(sorted(PICTURE.glob("*.png"))[0])


def test_it_is_a_result_with_its_case_and_its_recipe(answer, model):
    assert isinstance(answer, gracile.Result)
    assert answer.status == "found"
    assert answer.recipe is model.recipe
    assert answer.case.grid.shape == answer.mask.shape


def test_the_overlay_has_the_pictures_size_and_shows_the_classes(answer):
    overlay = np.asarray(answer.overlay())
    assert overlay.shape == (*answer.mask.shape, 3)
    plain = np.broadcast_to(answer.case.image[:1].transpose(1, 2, 0), overlay.shape)
    changed = np.abs(overlay.astype(int) - plain).max(axis=-1) > 40
    assert changed[answer.mask > 0].mean() > 0.5
    assert changed[answer.mask == 0].mean() < 0.05


def test_the_table_has_the_rows_of_a_runs_measurements(answer):
    rows = answer.table()
    assert rows
    assert all(list(row) == ["case", "structure", "measure", "value", "unit", "note"] for row in rows)
    assert {row["structure"] for row in rows if row["measure"] == "area"} == {"nerve", "vessel"}


def test_a_notebook_shows_the_picture_the_flags_and_the_numbers(answer):
    shown = answer._repr_html_()
    assert "data:image/jpeg;base64," in shown
    assert "<td>area</td>" in shown
    assert "Not a medical device" in shown
    assert "found" in repr(answer)


def test_what_a_notebook_shows_is_escaped(model):
    image = read_picture(sorted(PICTURE.glob("*.png"))[0], "x").image
    shown = model(Case.from_array(image[0], id="<script>alert(1)</script>"))._repr_html_()
    assert "<script>" not in shown


def test_nothing_found_is_said_and_drawn_as_the_bare_picture(model):
    black = model(np.zeros((200, 300), np.uint8))
    assert black.status == "absent"
    assert black.reason in black._repr_html_()


def test_save_writes_the_mask_that_a_run_writes(answer, tmp_path):
    (mask,) = [file for file in answer.save(tmp_path / "new") if file.suffix == ".png"]
    assert (read_labels(mask, answer.recipe.classes, recoded=False) == answer.mask).all()


@pytest.mark.parametrize(
    ("folder", "words"), [(None, "save() cannot use None as folder"), ("/proc/new", "/proc/new/"), ("", "")]
)
def test_save_says_why_it_cannot(answer, folder, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{answer.case_id}.png").mkdir()
    with pytest.raises(gracile.GracileError) as told:
        answer.save(folder)
    assert words in str(told.value)


def test_a_volume_shows_a_sheet():
    volume = next(demo_folder("spinal-cord").glob("*.nii.gz"))
    answer = gracile.load("spinal-cord", device="cpu")(volume)
    assert min(answer.overlay().size) > 200
    assert "data:image/jpeg" in answer._repr_html_()
