"""Labels in the codings that people have are read as class indices, or refused with what is wrong in them."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from gracile.errors import DataError
from gracile.io import colorize, overlay, read_labels, write_labels


@dataclass(frozen=True)
class Entry:
    name: str
    colors: tuple[tuple[int, int, int], ...] = ()
    values: tuple[int, ...] = ()


VESSELS = (
    Entry("background", ((0, 0, 0),)),
    Entry("artery", ((255, 0, 0),)),
    Entry("vein", ((0, 0, 255),)),
    Entry("crossing", ((0, 255, 0), (255, 255, 255))),
)
BINARY = (Entry("background"), Entry("nerve"))
COLORS = [entry.colors[0] for entry in VESSELS]


def save(path, array, **options):
    Image.fromarray(np.asarray(array)).save(path, **options)
    return path


def test_a_label_of_several_pages_is_refused(tmp_path):
    pages = [Image.fromarray(np.full((6, 5), value, np.uint8)) for value in (0, 1, 2)]
    for name in ("a.tif", "a.gif"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
        with pytest.raises(DataError, match="3 frames or pages; a mask has one"):
            read_labels(tmp_path / name, VESSELS)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3)))
def test_labels_survive_writing_and_reading_in_each_coding(tmp_path, labels):
    write_labels(tmp_path / "index.png", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "index.png", VESSELS), labels)
    colors = np.moveaxis(colorize(labels, COLORS), 0, -1)
    save(tmp_path / "color.png", np.ascontiguousarray(colors))
    np.testing.assert_array_equal(read_labels(tmp_path / "color.png", VESSELS), labels)
    save(tmp_path / "gray_rgb.png", np.repeat(labels[..., None], 3, axis=-1))
    np.testing.assert_array_equal(read_labels(tmp_path / "gray_rgb.png", VESSELS), labels)
    save(tmp_path / "deep.tif", labels.astype(np.uint16))
    np.testing.assert_array_equal(read_labels(tmp_path / "deep.tif", VESSELS), labels)


def test_second_color_of_a_class_and_nearly_declared_colors_count(tmp_path):
    colors = [[[255, 255, 255], [230, 20, 15], [10, 5, 240], [3, 2, 1]]]
    path = save(tmp_path / "a.png", np.array(colors, np.uint8))
    assert read_labels(path, VESSELS).tolist() == [[3, 1, 2, 0]]


def test_black_and_white_color_map_is_not_taken_for_indices(tmp_path):
    path = save(tmp_path / "a.png", np.array([[[0] * 3, [255] * 3]], np.uint8))
    assert read_labels(path, VESSELS).tolist() == [[0, 3]]


def test_undeclared_color_is_named_with_its_count(tmp_path):
    colors = np.zeros((4, 4, 3), np.uint8)
    colors[0, :3] = (200, 0, 200)
    with pytest.raises(DataError, match=r"\(200, 0, 200\) \(3 pixels\).*1 artery"):
        read_labels(save(tmp_path / "a.png", colors), VESSELS)


def test_unknown_value_is_named_with_its_count_and_the_known_classes(tmp_path):
    labels = np.zeros((4, 4), np.uint8)
    labels[1, :2] = 7
    with pytest.raises(DataError, match=r"bad\.png.* 7 \(2 pixels\).*2 vein"):
        read_labels(save(tmp_path / "bad.png", labels), VESSELS)


def test_255_is_a_mask_with_two_classes_only(tmp_path):
    path = save(tmp_path / "a.png", np.array([[0, 255]], np.uint8))
    assert read_labels(path, BINARY).tolist() == [[0, 1]]
    with pytest.raises(DataError, match=r"255 \(1 pixels\)"):
        read_labels(path, VESSELS)


@pytest.mark.parametrize("values", [[0, 1, 255], [0, 7, 255], [0, 7], [0, 128]])
def test_mixed_binary_values_are_refused(tmp_path, values):
    with pytest.raises(DataError, match=r"no class.*--set 'classes=\["):
        read_labels(save(tmp_path / "a.png", np.array([values], np.uint8)), BINARY)


@pytest.mark.parametrize("value", [0, 1, 255])
def test_uniform_binary_masks(tmp_path, value):
    path = save(tmp_path / "a.png", np.full((3, 3), value, np.uint8))
    assert (read_labels(path, BINARY) == (value > 0)).all()


def test_1_bit_mask(tmp_path):
    assert read_labels(save(tmp_path / "a.png", np.array([[True, False]])), BINARY).tolist() == [[1, 0]]


def palette_file(path, indices, colors):
    picture = Image.fromarray(np.array(indices, np.uint8), mode="P")
    picture.putpalette([value for color in colors for value in color])
    picture.save(path)
    return path


def test_palette_is_read_by_declared_colors_and_otherwise_by_index(tmp_path):
    declared = palette_file(tmp_path / "a.png", [[0, 1, 2]], [(255, 0, 0), (0, 0, 0), (0, 0, 255)])
    assert read_labels(declared, VESSELS).tolist() == [[1, 0, 2]]
    foreign = palette_file(tmp_path / "b.png", [[0, 1, 2]], [(0, 0, 0), (128, 0, 0), (0, 128, 0)])
    assert read_labels(foreign, VESSELS).tolist() == [[0, 1, 2]]
    binary = palette_file(tmp_path / "c.gif", [[0, 1]], [(255, 255, 255), (0, 0, 0)])
    assert read_labels(binary, BINARY).tolist() == [[1, 0]]


def test_transparent_pixels_of_a_color_map_are_background(tmp_path):
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0]]], np.uint8)
    assert read_labels(save(tmp_path / "a.png", pixels), VESSELS).tolist() == [[1, 0]]


def test_write_labels_refuses_what_does_not_fit(tmp_path):
    for labels in (np.full((2, 2), 256), np.full((2, 2), -1), np.zeros((2, 2)), np.zeros((1, 2, 2), np.uint8)):
        with pytest.raises(DataError):
            write_labels(tmp_path / "a.png", labels)


def test_overlay_paints_classes_and_leaves_the_background(tmp_path):
    image = np.full((1, 1, 3), 100, np.uint8)
    picture = overlay(image, np.array([[0, 1, 2]]), COLORS, alpha=0.5)
    assert picture[:, 0].T.tolist() == [[100, 100, 100], [178, 50, 50], [50, 50, 178]]
    assert (image == 100).all()
    with pytest.raises(DataError, match="class 9"):
        overlay(image, np.array([[0, 1, 9]]), COLORS)
    with pytest.raises(DataError, match="size"):
        overlay(image, np.zeros((2, 2), np.uint8), COLORS)


def test_several_label_values_may_be_one_class(tmp_path):
    classes = [Entry("background", values=(0, 1, 6)), Entry("tool", values=(5,))]
    write_labels(tmp_path / "labels.png", np.array([[0, 1, 5], [6, 5, 0]], np.uint8))
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.png", classes), [[0, 0, 1], [0, 1, 0]])
    write_labels(tmp_path / "mask.png", np.array([[0, 1]], np.uint8))
    np.testing.assert_array_equal(read_labels(tmp_path / "mask.png", classes, recoded=False), [[0, 1]])
    write_labels(tmp_path / "other.png", np.array([[0, 3]], np.uint8))
    with pytest.raises(DataError, match=r"3 \(1 pixels\)"):
        read_labels(tmp_path / "other.png", classes)


def disk(size=96, middle=40, radius=23.0):
    rows, columns = np.indices((size, size))
    return np.clip(radius + 0.5 - np.hypot(rows - middle, columns - middle), 0, 1)


@pytest.mark.parametrize("quality", [90, 60, 40, 25, 15])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_mask_of_any_quality_is_cut_at_half_and_said(tmp_path, quality, channels):
    whole = disk() >= 0.5
    picture = np.uint8(whole * 255)
    notes = []
    path = save(tmp_path / "a.jpg", picture if channels == 1 else np.stack([picture] * 3, -1), quality=quality)
    wrong = read_labels(path, BINARY, notes=notes) != whole
    assert wrong.mean() < 0.005
    assert notes == ["the label is a JPEG: it was cut at half"]


@pytest.mark.parametrize("soft", [disk(), disk() * 0.9999])
def test_a_mask_of_fractions_is_cut_at_half_and_said(tmp_path, soft):
    notes = []
    labels = read_labels(save(tmp_path / "a.tif", soft.astype(np.float32)), BINARY, notes=notes)
    np.testing.assert_array_equal(labels, soft.astype(np.float32) >= 0.5)
    assert notes == ["the label is soft: it was cut at half"]


def test_an_antialiased_mask_is_cut_at_half_and_a_third_class_is_none(tmp_path):
    soft = np.uint8(np.rint(disk() * 255))
    np.testing.assert_array_equal(read_labels(save(tmp_path / "a.png", soft), BINARY), soft > 127)
    soft[60:90, 60:90] = 128
    with pytest.raises(DataError, match="that no class has"):
        read_labels(save(tmp_path / "b.png", soft), BINARY)


def test_whole_masks_are_read_without_a_note(tmp_path):
    notes = []
    read_labels(save(tmp_path / "a.png", np.uint8((disk() >= 0.5) * 255)), BINARY, notes=notes)
    read_labels(save(tmp_path / "b.tif", np.float32(disk() >= 0.5)), BINARY, notes=notes)
    assert notes == []


def test_a_jpeg_of_several_classes_is_refused_as_that(tmp_path):
    labels = np.zeros((32, 32), np.uint8)
    labels[8:20, 8:20] = 90
    Image.fromarray(labels).save(tmp_path / "a.jpg", quality=40)
    with pytest.raises(DataError, match="is a JPEG, whose compression changes label values"):
        read_labels(tmp_path / "a.jpg", VESSELS)


def test_what_is_cut_at_half_without_notes_is_logged_and_a_programs_own_mask_is_never_cut(tmp_path, caplog):
    soft = np.zeros((16, 16), np.float32)
    soft[4:12, 4:12] = 0.9
    Image.fromarray(soft).save(tmp_path / "a.tif")
    assert read_labels(tmp_path / "a.tif", BINARY).sum() == 64
    assert caplog.messages == [f"{tmp_path / 'a.tif'}: the label is soft: it was cut at half"]
    with pytest.raises(DataError, match="fractional"):
        read_labels(tmp_path / "a.tif", BINARY, recoded=False)
