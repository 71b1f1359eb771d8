"""Pictures as people have them come in as 8-bit gray or RGB, or are refused with the reason."""

import struct
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
import tifffile
from PIL import Image

from gracile.errors import DataError
from gracile.io import read_image, read_region, write_png

RNG_SEED = 7


def random_picture(*shape, high=256, dtype=np.uint8):
    return np.random.default_rng(RNG_SEED).integers(0, high, shape).astype(dtype)


def write_16_bit_png(path, pixels):
    """A 16-bit RGB PNG, which Pillow cannot write."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_lossless_formats_keep_every_value(tmp_path, suffix, shape):
    pixels = random_picture(*shape)
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(pixels).save(path)
    image, notes = read_image(path)
    expected = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    assert image.dtype == np.uint8
    assert notes == []
    np.testing.assert_array_equal(image, expected)


def test_16_bit_gray_is_scaled_by_its_full_range(tmp_path):
    Image.fromarray(np.array([[0, 257, 65535]], np.uint16)).save(tmp_path / "a.png")
    image, notes = read_image(tmp_path / "a.png")
    assert image.tolist() == [[[0, 1, 255]]]
    assert any("65535" in note for note in notes)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_12_bit_values_in_a_16_bit_file_are_recognized_and_noted(tmp_path, name):
    pixels = random_picture(6, 5, 3, high=4096, dtype=np.uint16)
    pixels[0, 0] = 4095
    if name.endswith("png"):
        write_16_bit_png(tmp_path / name, pixels)
    else:
        tifffile.imwrite(tmp_path / name, pixels, photometric="rgb")
    image, notes = read_image(tmp_path / name)
    np.testing.assert_array_equal(image, np.rint(pixels * (255 / 4095)).astype(np.uint8).transpose(2, 0, 1))
    assert any("12-bit" in note for note in notes)


def test_16_bit_file_with_8_bit_values_is_not_blackened(tmp_path):
    Image.fromarray(np.array([[0, 9, 200]], np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0].tolist() == [[[0, 9, 200]]]


def test_planar_16_bit_tif_has_its_channels_first(tmp_path):
    pixels = random_picture(3, 6, 5, high=65536, dtype=np.uint16)
    pixels[:, 0, 0] = 65535
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], np.rint(pixels / 257).astype(np.uint8))


def test_float_tif_is_read_from_0_to_1_only(tmp_path):
    tifffile.imwrite(tmp_path / "good.tif", np.array([[0.0, 0.5, 1.0]], np.float32))
    assert read_image(tmp_path / "good.tif")[0].tolist() == [[[0, 128, 255]]]
    for name, value in (("large", 3.0), ("negative", -0.1), ("nan", np.nan)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.array([[0.0, value]], np.float32))
        with pytest.raises(DataError, match=name):
            read_image(tmp_path / f"{name}.tif")


def test_opaque_alpha_is_dropped_silently_and_transparency_laid_over_black(tmp_path):
    pixels = random_picture(4, 4, 4)
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(tmp_path / "opaque.png")
    image, notes = read_image(tmp_path / "opaque.png")
    np.testing.assert_array_equal(image, pixels[..., :3].transpose(2, 0, 1))
    assert notes == []
    pixels[0, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    image, notes = read_image(tmp_path / "clear.png")
    assert (image[:, 0] == 0).all()
    assert (image[:, 1:] == pixels[1:, :, :3].transpose(2, 0, 1)).all()
    assert any("transparent" in note for note in notes)


def test_1_bit_and_palette_pictures_have_the_values_one_sees(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.png")
    assert read_image(tmp_path / "bits.png")[0].tolist() == [[[255, 0]]]
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.save(tmp_path / "palette.gif")
    assert read_image(tmp_path / "palette.gif")[0][:, 0].T.tolist() == [[10, 20, 30], [200, 100, 50]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "tif8", "tif16"])
def test_orientation_is_obeyed(tmp_path, orientation, kind):
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :8] = 240  # bright top left corner
    undo = {  # stored picture that each orientation turns upright
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }
    stored = np.ascontiguousarray(undo[orientation])
    path = tmp_path / f"turned.{kind[:3]}"
    if kind == "tif16":
        tifffile.imwrite(path, stored.astype(np.uint16) * 257, extratags=[(274, "H", 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(stored).save(path, exif=exif)
    image, notes = read_image(path)
    assert image.shape == (1, 16, 32)
    assert np.abs(image[0].astype(int) - upright).max() < 20
    assert bool(notes) or orientation == 1


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".gif", ".bmp"])
def test_truncated_file_is_an_error_with_its_name(tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    Image.fromarray(random_picture(64, 64)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut") as caught:
        read_image(path)
    assert caught.value.remedy


def test_empty_absent_and_foreign_files_are_errors(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(DataError, match=r"empty\.png is empty"):
        read_image(tmp_path / "empty.png")
    with pytest.raises(DataError, match=r"absent\.png cannot be opened"):
        read_image(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("no picture at all")
    with pytest.raises(DataError, match=r"text\.png cannot be read as an image \(it is of no kind that is known\)"):
        read_image(tmp_path / "text.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(DataError, match=r"folder\.png is a folder, and one picture is needed"):
        read_image(tmp_path / "folder.png")
    (tmp_path / "clip.png").write_bytes(b"RIFF\0\0\0\0AVI " + bytes(200))
    with pytest.raises(DataError, match=r"clip\.png is a video, and one picture is needed"):
        read_image(tmp_path / "clip.png")


def test_absurd_size_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "bomb.png"
    write_16_bit_png(path, random_picture(2, 2, 3, dtype=np.uint16))
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 30_000, 30_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path.write_bytes(bytes(data))
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(DataError, match="300 megapixels"):
        read_image(path)
    assert before == Image.MAX_IMAGE_PIXELS


def test_five_channels_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "five.tif", random_picture(8, 9, 5), photometric="minisblack", planarconfig="contig")
    with pytest.raises(DataError, match="5 channels"):
        read_image(tmp_path / "five.tif")


def test_further_pages_are_noted(tmp_path):
    first, second = random_picture(5, 5), np.zeros((5, 5), np.uint8)
    Image.fromarray(first).save(tmp_path / "a.tif", save_all=True, append_images=[Image.fromarray(second)])
    image, notes = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image[0], first)
    assert any("2 frames or pages" in note for note in notes)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("thumbnail_first", [True, False])
def test_a_thumbnail_in_a_tiff_is_no_page(tmp_path, kind, thumbnail_first):
    picture, thumbnail = random_picture(40, 30, dtype=kind), random_picture(10, 8, dtype=kind)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in (thumbnail, picture) if thumbnail_first else (picture, thumbnail):
            file.write(page)
    image, notes = read_image(tmp_path / "a.tif")
    assert image.shape == (1, 40, 30)
    if kind == np.uint8:
        np.testing.assert_array_equal(image[0], picture)
    assert any("thumbnails" in note for note in notes)
    assert not any("pages" in note for note in notes)
    assert read_region(tmp_path / "a.tif").shape == (40, 30)


def test_a_mask_of_transparency_in_a_tiff_is_no_page(tmp_path):
    picture = random_picture(12, 16, 3)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(picture, photometric="rgb")
        file.write(np.ones((12, 16), bool), photometric="mask", subfiletype=4)
    image, notes = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image, picture.transpose(2, 0, 1))
    assert notes == []


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_pages_of_about_one_size_are_flagged_and_the_first_is_read(tmp_path, kind):
    pages = [random_picture(40, 30, dtype=kind), np.zeros((42, 33), kind), np.zeros((9, 9), kind)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in pages:
            file.write(page)
    image, notes = read_image(tmp_path / "a.tif")
    assert image.shape == (1, 40, 30)
    assert notes[0] == "the file has 2 frames or pages; the first was read"


def test_a_region_of_several_pages_is_refused(tmp_path):
    page = Image.fromarray(random_picture(5, 5))
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(DataError, match="2 frames or pages; a mask has one"):
        read_region(tmp_path / "a.tif")


def region_file(path, coding, inside):
    if coding == "palette 0/1, nearly black":
        picture = Image.fromarray(inside.astype(np.uint8), mode="P")
        picture.putpalette([0, 0, 0, 1, 1, 1])
    elif coding == "palette 0/1, all black":
        picture = Image.fromarray(inside.astype(np.uint8), mode="P")
        picture.putpalette([0, 0, 0, 0, 0, 0])
    elif coding == "palette, white first":
        picture = Image.fromarray((~inside).astype(np.uint8), mode="P")
        picture.putpalette([255, 255, 255, 0, 0, 0])
    elif coding == "gray 0/1":
        picture = Image.fromarray(inside.astype(np.uint8))
    elif coding == "gray 0/255":
        picture = Image.fromarray(inside.astype(np.uint8) * 255)
    elif coding == "RGB, one channel":
        picture = Image.fromarray(np.stack([np.zeros_like(inside), inside, np.zeros_like(inside)], -1) * np.uint8(255))
    else:
        picture = Image.fromarray(inside)
    picture.save(path)


@pytest.mark.parametrize(
    ("coding", "suffix"),
    [
        ("palette 0/1, nearly black", ".png"),
        ("palette 0/1, all black", ".png"),
        ("palette, white first", ".gif"),
        ("gray 0/1", ".gif"),
        ("gray 0/255", ".gif"),
        ("gray 0/255", ".jpg"),
        ("RGB, one channel", ".tif"),
        ("1 bit", ".png"),
    ],
)
def test_region_is_what_lies_above_zero_in_any_coding(tmp_path, coding, suffix):
    inside = np.zeros((24, 32), bool)
    inside[8:16, 8:24] = True
    region_file(tmp_path / f"fov{suffix}", coding, inside)
    region = read_region(tmp_path / f"fov{suffix}")
    assert region.dtype == bool
    np.testing.assert_array_equal(region, inside)


@pytest.mark.parametrize("shape", [(4, 6), (1, 4, 6), (3, 4, 6)])
def test_written_png_is_read_back(tmp_path, shape):
    array = random_picture(*shape)
    write_png(tmp_path / "new" / "a.png", array)
    np.testing.assert_array_equal(read_image(tmp_path / "new" / "a.png")[0], array.reshape(-1, 4, 6))


def test_png_refuses_what_is_no_8_bit_picture(tmp_path):
    for array in (np.zeros((4, 4), np.float32), np.zeros((4, 4, 3), np.uint8), np.zeros((2, 4, 4), np.uint8)):
        with pytest.raises(DataError, match="uint8"):
            write_png(tmp_path / "a.png", array)
    assert list(tmp_path.iterdir()) == []


def test_a_length_that_the_file_does_not_have_takes_no_memory(tmp_path):
    write_png(tmp_path / "whole.png", np.arange(64, dtype=np.uint8).reshape(8, 8))
    content = bytearray((tmp_path / "whole.png").read_bytes())
    at = content.index(b"IDAT") - 4
    content[at : at + 4] = (0x7FFFFFF0).to_bytes(4, "big")
    (tmp_path / "claims.png").write_bytes(bytes(content))
    tracemalloc.start()
    with suppress(DataError):
        read_image(tmp_path / "claims.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
