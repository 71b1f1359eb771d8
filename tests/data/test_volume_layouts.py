"""Data sets of volumes as people lay them out are found, or refused with the reason."""

from pathlib import Path

import numpy as np
import pytest

from gracile.data import check_data, find_cases, fingerprint, labeled, read_case
from gracile.errors import DataError
from gracile.recipe import Recipe, read_recipe, recipe_from
from tests.volumes_on_disk import write_nifti, write_series

SHAPE = (4, 5, 6)
RAS = np.diag([1.0, 1.0, 2.0, 1.0])
LABEL = np.zeros(SHAPE, np.uint8)
LABEL[1:3, 2, 1:5] = 1


def volume_recipe(**input: object) -> Recipe:
    """A recipe of volumes with the classes background and cord."""
    return recipe_from(
        {
            "name": "cord",
            "title": "Cord",
            "classes": [{"name": "background", "color": [0, 0, 0]}, {"name": "cord", "color": [255, 0, 0]}],
            "input": {"kind": "volume", "channels": 1, **input},
            "stages": [{"kind": "segment-volume", "network": {"name": "unet-3d"}, "losses": [{"name": "dice"}]}],
        }
    )


@pytest.fixture
def recipe() -> Recipe:
    return volume_recipe()


def image(path: Path, seed: int | None = None, affine: np.ndarray = RAS) -> Path:
    seed = sum(map(ord, str(path))) if seed is None else seed
    return write_nifti(path, np.random.default_rng(seed).integers(0, 99, SHAPE).astype(np.int16), affine)


def label(path: Path, values: np.ndarray = LABEL, affine: np.ndarray = RAS) -> Path:
    return write_nifti(path, values, affine)


def found(source: Path, recipe: Recipe) -> list[tuple[str, str, str | None]]:
    """(id, subject, label's name) of each case."""
    return [(c.id, c.subject, c.label.name if c.label else None) for c in find_cases(source, recipe)]


def test_nii_beside_mask(tmp_path, recipe):
    for name in ("Sub001_contrast001", "Sub001_contrast002", "Sub002_contrast001"):
        image(tmp_path / "nii" / f"{name}.nii")
        label(tmp_path / "mask" / f"{name}_seg.nii")
    assert found(tmp_path, recipe) == [
        ("Sub001_contrast001", "Sub001", "Sub001_contrast001_seg.nii"),
        ("Sub001_contrast002", "Sub001", "Sub001_contrast002_seg.nii"),
        ("Sub002_contrast001", "Sub002", "Sub002_contrast001_seg.nii"),
    ]
    case = read_case(find_cases(tmp_path, recipe)[0], recipe)
    assert case.image.shape == (1, *SHAPE)
    np.testing.assert_array_equal(case.truth, LABEL)


@pytest.mark.parametrize("end", ["seg", "seg-manual", "label-SC_seg", "label-SC_mask"])
def test_bids(tmp_path, recipe, end):
    for person in ("sub-01", "sub-02"):
        image(tmp_path / person / "anat" / f"{person}_T2w.nii.gz")
        image(tmp_path / person / "anat" / f"{person}_T1w.nii.gz")
        labels = tmp_path / "derivatives" / "labels" / person / "anat"
        label(labels / f"{person}_T2w_{end}.nii.gz")
        label(labels / f"{person}_T2w_labels-disc-manual.nii.gz")
        label(tmp_path / "derivatives" / "other" / person / "anat" / f"{person}_T2w_{end}.nii.gz")
    (tmp_path / "participants.tsv").touch()
    assert found(tmp_path, recipe) == [
        ("sub-01_T2w", "sub-01", f"sub-01_T2w_{end}.nii.gz"),
        ("sub-02_T2w", "sub-02", f"sub-02_T2w_{end}.nii.gz"),
    ]


def test_bids_with_sessions_other_orders_and_a_missing_label(tmp_path, recipe):
    for person, session in (("sub-01", "ses-1"), ("sub-01", "ses-2"), ("sub-02", "ses-1")):
        image(tmp_path / person / session / "anat" / f"{person}_{session}_acq-ax_T2w.nii.gz")
    labels = tmp_path / "derivatives" / "labels"
    label(labels / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T2w_acq-ax_label-SC_seg.nii.gz")
    label(labels / "sub-01" / "ses-2" / "anat" / "sub-01_label-SC_ses-2_acq-ax_T2w_seg.nii.gz")
    cases = find_cases(tmp_path, recipe)
    assert [(case.subject, case.label is not None) for case in cases] == [
        ("sub-01", True), ("sub-01", True), ("sub-02", False),
    ]  # fmt: skip
    assert [case.id for case in labeled(cases)] == ["sub-01_ses-1_acq-ax_T2w", "sub-01_ses-2_acq-ax_T2w"]


def test_several_labels_of_one_rank_are_not_chosen_between_unless_named(tmp_path, recipe):
    image(tmp_path / "sub-01" / "anat" / "sub-01_T2w.nii.gz")
    for end in ("label-SC_seg", "label-GM_seg"):
        label(tmp_path / "derivatives" / "labels" / "sub-01" / "anat" / f"sub-01_T2w_{end}.nii.gz")
    with pytest.raises(DataError, match=r"label-GM_seg.*label-SC_seg") as caught:
        find_cases(tmp_path, recipe)
    assert "input.labels" in caught.value.remedy
    chosen = volume_recipe(labels=["seg-manual", "label-SC_seg"])
    assert found(tmp_path, chosen) == [("sub-01_T2w", "sub-01", "sub-01_T2w_label-SC_seg.nii.gz")]


def test_nnunet(tmp_path, recipe):
    for name in ("cord_001", "cord_002"):
        image(tmp_path / "imagesTr" / f"{name}_0000.nii.gz")
        label(tmp_path / "labelsTr" / f"{name}.nii.gz")
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "cord": 1}}')
    assert found(tmp_path, recipe) == [(n, n, f"{n}.nii.gz") for n in ("cord_001", "cord_002")]
    image(tmp_path / "imagesTr" / "cord_002_0001.nii.gz")
    with pytest.raises(DataError, match=r"CASE_0000\.nii\.gz"):
        find_cases(tmp_path, recipe)


def test_a_folder_for_each_case(tmp_path, recipe, caplog):
    for person in ("errsm_11", "errsm_18"):
        image(tmp_path / person / "t2.nii.gz")
        label(tmp_path / person / "t2_seg-manual.nii.gz")
        label(tmp_path / person / "t2_landmarks_C2_T2.nii.gz")
    label(tmp_path / "errsm_18" / "t2_seg-propseg.nii.gz")
    assert found(tmp_path, recipe) == [
        ("errsm_11-t2", "errsm_11", "t2_seg-manual.nii.gz"),
        ("errsm_18-t2", "errsm_18", "t2_seg-manual.nii.gz"),
    ]
    assert "t2_seg-manual.nii.gz is taken, not t2_seg-propseg.nii.gz" in caplog.text
    report = check_data(tmp_path, recipe)
    assert not report.errors
    assert any("not t2_seg-propseg.nii.gz" in problem.message for problem in report.problems)
    assert ("errsm_18-t2", "errsm_18", "t2_seg-propseg.nii.gz") in found(
        tmp_path, volume_recipe(labels=["seg-propseg"])
    )


def test_a_single_folder_of_volumes_and_labels(tmp_path, recipe):
    for name in ("sub-01_T2w", "sub-02_T2w"):
        image(tmp_path / f"{name}.nii.gz")
        label(tmp_path / f"{name}_seg.nii.gz")
    assert found(tmp_path, recipe) == [(n, n[:6], f"{n}_seg.nii.gz") for n in ("sub-01_T2w", "sub-02_T2w")]


def test_images_may_be_dicom_series(tmp_path, recipe):
    values = np.random.default_rng(0).integers(0, 99, SHAPE).astype(np.int16)
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    for name in ("a", "b.1"):
        write_series(tmp_path / "images" / name, values, affine)
        label(tmp_path / "labels" / f"{name}.nii.gz", affine=affine)
    cases = find_cases(tmp_path, recipe)
    assert [(case.id, case.label.name) for case in cases] == [("a", "a.nii.gz"), ("b.1", "b.1.nii.gz")]
    np.testing.assert_array_equal(read_case(cases[0], recipe).truth, LABEL)
    table = tmp_path / "table.csv"
    table.write_text("image,label,subject\nimages/a,labels/a.nii.gz,anna\n")
    assert found(table, recipe) == [("a", "anna", "a.nii.gz")]
    before = fingerprint(cases, recipe.input)
    slices = sorted((tmp_path / "images" / "a").iterdir())
    slices[3].write_bytes(slices[3].read_bytes() + b"\0\0")
    after = fingerprint(cases, recipe.input)
    assert [before["files"][id] == after["files"][id] for id in ("a", "b.1")] == [False, True]
    assert after["sizes"] == {"4 x 5 x 6": 2}


def test_a_training_part_inside_stands_for_the_set(tmp_path, recipe):
    for part in ("training", "testing"):
        image(tmp_path / part / "nii" / "a.nii")
        label(tmp_path / part / "mask" / "a_seg.nii")
    (case,) = find_cases(tmp_path, recipe)
    assert case.image == tmp_path / "training" / "nii" / "a.nii"


def test_pictures_are_no_data_of_a_recipe_of_volumes(tmp_path, recipe):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    with pytest.raises(DataError, match=r"matches no layout.*BIDS"):
        find_cases(tmp_path, recipe)


def test_a_recipe_of_pictures_names_a_volume_for_what_it_is(tmp_path):
    image(tmp_path / "a.nii.gz")
    table = tmp_path / "table.csv"
    table.write_text("image,label\na.nii.gz,a.nii.gz\n")
    pictures = read_recipe("structure-2d")
    (case,) = find_cases(table, pictures)
    with pytest.raises(DataError, match="is a volume, and this recipe takes pictures"):
        read_case(case, pictures)


def test_a_region_of_a_volume_is_turned_to_it(tmp_path, recipe):
    image(tmp_path / "a.nii")
    label(tmp_path / "region.nii", LABEL[::-1] * 7, RAS @ np.array([[-1, 0, 0, 3], *np.eye(4)[1:]]))
    (tmp_path / "table.csv").write_text("image,label,region\na.nii,,region.nii\n")
    (case,) = find_cases(tmp_path / "table.csv", recipe)
    np.testing.assert_array_equal(read_case(case, recipe).region, LABEL > 0)


def test_a_check_finds_what_is_wrong_with_volumes(tmp_path, recipe):
    shifted, turned = RAS.copy(), np.diag([-1.0, 1.0, 2.0, 1.0])
    shifted[0, 3] = 4
    turned[0, 3] = 3
    good = image(tmp_path / "s1" / "good.nii.gz")
    label(tmp_path / "s1" / "good_seg.nii.gz", LABEL[::-1], turned)
    image(tmp_path / "s2" / "shape.nii.gz")
    between = RAS.copy()
    between[0, 3] = 0.5
    label(tmp_path / "s2" / "shape_seg.nii.gz", np.ones((4, 5, 7), np.uint8), between)
    image(tmp_path / "s3" / "place.nii.gz", affine=np.diag([-0.5, 0.5, 4.0, 1.0]))
    label(tmp_path / "s3" / "place_seg.nii.gz")
    image(tmp_path / "s4" / "value.nii.gz")
    label(tmp_path / "s4" / "value_seg.nii.gz", LABEL * 9)
    image(tmp_path / "s5" / "empty.nii.gz")
    label(tmp_path / "s5" / "empty_seg.nii.gz", LABEL * 0)
    (tmp_path / "s6").mkdir()
    (tmp_path / "s6" / "copy.nii.gz").write_bytes(good.read_bytes())
    label(tmp_path / "s6" / "copy_seg.nii.gz")
    image(tmp_path / "s7" / "bad.nii.gz").write_bytes(b"bad")
    label(tmp_path / "s7" / "bad_seg.nii.gz")
    image(tmp_path / "s8" / "alone.nii.gz")
    image(tmp_path / "s9" / "off.nii.gz")
    label(tmp_path / "s9" / "off_seg.nii.gz", affine=shifted)
    report = check_data(tmp_path, recipe)
    said = {(Path(p.file).name, p.severity): p.message for p in report.problems}
    for name, severity, reason in (
        ("good_seg.nii.gz", "warning", "turned"),
        ("shape_seg.nii.gz", "error", "4 x 5 x 7 voxels"),
        ("place_seg.nii.gz", "error", "voxels are 1 x 1 x 2 mm, not 0.5 x 0.5 x 4 mm"),
        ("off_seg.nii.gz", "error", "4.0 mm away"),
        ("value_seg.nii.gz", "error", "9 (8 voxels)"),
        ("empty_seg.nii.gz", "warning", "empty"),
        ("copy.nii.gz", "warning", "same"),
        ("bad.nii.gz", "error", "NIfTI"),
        ("alone.nii.gz", "warning", "no label"),
    ):
        assert reason in said[name, severity], name
    assert len(report.errors) == 5
    assert report.cases == report.subjects == 9
    assert report.spacings == {"0.5 x 0.5 x 4": 1, "1 x 1 x 2": 6}
    assert report.orientations == {"LAS": 1, "RAS": 6}
    assert "Voxels in mm: 0.5 x 0.5 x 4 (1), 1 x 1 x 2 (6). Axes: LAS (1), RAS (6)." in report.summary()


@pytest.mark.real
def test_real_folders_of_spinal_cords(real_data, recipe):
    cases = {case.subject: case.label.name for case in find_cases(real_data / "spinal-cord" / "errsm-t2", recipe)}
    assert cases == {
        **dict.fromkeys(("errsm_11", "errsm_18", "errsm_21", "errsm_23"), "t2_seg-manual.nii.gz"),
        "errsm_30": "t2_seg.nii.gz",
    }
    several = {case.id: case.label.name for case in find_cases(real_data / "spinal-cord" / "sct-testing", recipe)}
    assert several == {
        "mt1": "mt1_seg.nii.gz", "t1w": "t1w_seg-manual.nii.gz", "t2": "t2_seg-manual.nii.gz", "t2s": "t2s_seg.nii.gz",
    }  # fmt: skip
    report = check_data(real_data / "spinal-cord" / "errsm-t2", recipe)
    assert not report.errors
    assert report.orientations == {"PSR": 5}
