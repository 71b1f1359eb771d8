"""Names tell which volume is the label of which."""

from pathlib import Path

import pytest

from gracile.io.label_names import MANUAL, METHOD, UNSAID, label_rank, ranked_labels


@pytest.mark.parametrize(
    ("image", "label", "rank"),
    [
        ("t2", "t2_seg", UNSAID),
        ("t2", "t2_seg-manual", MANUAL),
        ("t2", "t2_seg_manual", MANUAL),
        ("t2", "t2_seg-propseg", METHOD),
        ("t2", "t2_mask", UNSAID),
        ("sub-01_T2w", "sub-01_T2w_seg", UNSAID),
        ("sub-01_T2w", "sub-01_T2w_label-SC_seg", UNSAID),
        ("sub-01_T2w", "sub-01_label-SC_T2w_seg", UNSAID),
        ("sub-01_acq-sag_T2w", "sub-01_acq-sag_T2w_label-SC_desc-manual_mask", MANUAL),
        ("sub-01_acq-sag_T2w", "acq-sag_sub-01_T2w_seg-manual", MANUAL),
        ("t2", "t2", None),
        ("t2", "t1_seg", None),
        ("t2", "t2_landmarks_C2_T2", None),
        ("t2", "t2_seg-manual_labeled", None),
        ("t2s", "t2s_gmseg_manual", None),
        ("t2s", "t2s_uncropped", None),
        ("sub-01_T2w", "sub-01_T2w_labels-disc-manual", None),
        ("sub-01_T2w", "sub-01_T2w_label-disc", None),
        ("sub-01_T2w", "sub-01_T1w_seg", None),
        ("sub-01_ses-2_T2w", "sub-01_T2w_seg", None),
    ],
)
def test_what_a_name_says_of_another(image, label, rank):
    assert label_rank(Path(f"{image}.nii.gz"), Path(f"{label}.nii.gz")) == rank


def test_wanted_endings_are_taken_in_their_order_and_nothing_else():
    wanted = ["gmseg_manual", "label-GM_seg"]
    image = Path("t2s.nii")
    assert [label_rank(image, Path(f"t2s_{end}.nii"), wanted) for end in ("gmseg_manual", "seg_label-GM", "seg")] == [
        0, 1, None,
    ]  # fmt: skip


def test_slicers_segmentations_are_labels():
    assert label_rank(Path("t2.nrrd"), Path("t2.seg.nrrd")) == UNSAID


def test_a_folder_of_everything_is_sorted_out():
    names = [
        "t2s", "t2s_seg", "t2s_seg-deepseg", "t2s_gmseg_manual", "t2s_uncropped", "t2s_uncropped_seg", "t2s_seg_manual",
        "atlas",
    ]  # fmt: skip
    files = [Path(f"{name}.nii.gz") for name in names]
    found = {image.name.removesuffix(".nii.gz"): labels for image, labels in ranked_labels(files, files).items()}
    assert set(found) == {"t2s", "t2s_gmseg_manual", "t2s_uncropped", "atlas"}
    assert [label.name for _, label in found["t2s"]] == [
        "t2s_seg_manual.nii.gz", "t2s_seg.nii.gz", "t2s_seg-deepseg.nii.gz",
    ]  # fmt: skip
    assert [label.name for _, label in found["t2s_uncropped"]] == ["t2s_uncropped_seg.nii.gz"]
