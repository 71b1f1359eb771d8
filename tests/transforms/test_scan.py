"""The scan is found among what else a machine shows, its skin line where the echoes begin."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from gracile.case import Case
from gracile.errors import DataError
from gracile.recipe import recipe_from
from gracile.transforms import find_scan, find_skin_line, prepare, why_not_ultrasound

HEIGHT, WIDTH = 600, 800


def speckle(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Echoes that fade with depth, from about 120 to 12."""
    random = np.random.default_rng(seed)
    grain = ndimage.gaussian_filter(random.rayleigh(1.0, shape), 1.2)
    return (grain * np.linspace(100, 10, shape[0])[:, None]).clip(1, 255)


def screen(region: np.ndarray, surround: int = 0, seed: int = 0) -> np.ndarray:
    """A machine's screen ``(1, height, width)``: the scan, words, a ruler, a gray bar and a flat panel of buttons."""
    picture = Image.new("L", (WIDTH, HEIGHT), surround)
    draw = ImageDraw.Draw(picture)
    for line, text in enumerate(("MUSCULOSKELETAL", "L12-4", "37 Hz", "Gn 60", "MI 0,6   TIS 0,1")):
        draw.text((8, 60 + 20 * line), text, fill=200)
    for row in range(80, 560, 40):
        draw.line((770, row, 785, row), fill=230)
    for row in range(100, 240):
        draw.line((750, row, 760, row), fill=255 - row)
    draw.rectangle((0, 580, WIDTH, HEIGHT), fill=90)
    draw.text((20, 584), "FREEZE    PRINT    DEPTH", fill=220)
    image = np.array(picture, dtype=np.float64)
    rows = np.flatnonzero(region.any(axis=1))
    echoes = np.zeros_like(image)
    echoes[rows[0] : rows[-1] + 1] = speckle((int(np.ptp(rows)) + 1, WIDTH), seed)
    return np.where(region, echoes, image).astype(np.uint8)[None]


def rectangle() -> np.ndarray:
    region = np.zeros((HEIGHT, WIDTH), bool)
    region[80:520, 180:700] = True
    return region


def sector(inner: float = 130) -> np.ndarray:
    """The fan of a curved probe."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    row, column = rows - 0.0, columns - 420.0
    radius = np.hypot(row, column)
    return (radius > inner) & (radius < 540) & (np.abs(np.arctan2(column, row)) < np.deg2rad(32))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("surround", [0, 2, 30])
def test_a_rectangular_scan_is_found_on_its_screen(surround):
    assert overlap(find_scan(screen(rectangle(), surround)), rectangle()) > 0.97


@pytest.mark.parametrize("surround", [0, 30])
def test_a_fan_is_found_on_its_screen(surround):
    found = find_scan(screen(sector(), surround))
    assert overlap(found, sector()) > 0.9
    assert not found[80, 200]  # beside the fan's narrow top


def test_the_dark_deep_part_belongs_to_the_scan():
    region = rectangle()
    image = screen(region)
    shadow = np.zeros_like(region)
    shadow[260:520, 180:450] = True
    image[0, shadow] = np.random.default_rng(1).integers(0, 3, shadow.sum())
    assert overlap(find_scan(image), region) > 0.97


def test_an_echo_free_depth_belongs_to_the_scan_on_a_screen_that_is_not_quite_black():
    image = screen(rectangle(), surround=2)
    image[0, 400:520, 180:700] = 0
    assert overlap(find_scan(image), rectangle()) > 0.97


def test_the_borders_of_a_scan_are_found_to_a_pixel_of_the_search():
    rows, columns = (np.flatnonzero(find_scan(screen(rectangle())).any(axis=axis)) for axis in (1, 0))
    step = 2
    assert np.abs(np.array([rows[0], rows[-1], columns[0], columns[-1]]) - [80, 519, 180, 699]).max() <= step


def test_a_lossy_picture_gives_the_same_scan():
    noisy = screen(rectangle()).astype(int) + np.random.default_rng(2).integers(0, 2, (1, HEIGHT, WIDTH))
    smooth = ndimage.uniform_filter(noisy[0], 2)
    assert overlap(find_scan(smooth.clip(0, 255).astype(np.uint8)[None]), rectangle()) > 0.95


def test_a_picture_that_is_all_scan_is_all_scan():
    assert find_scan(speckle((300, 400)).astype(np.uint8)[None]).all()
    assert find_scan(np.zeros((1, 50, 60), np.uint8)).all()
    assert find_scan(np.repeat(speckle((120, 160)).astype(np.uint8)[None], 3, axis=0)).all()


def test_words_alone_are_no_scan():
    image = screen(rectangle())
    image[0][rectangle()] = 0
    image[0, 580:] = 0
    assert find_scan(image).all()


@pytest.mark.parametrize("gel", [0, 25])
def test_the_skin_line_lies_below_black_rows_and_a_thin_line_of_the_probe(gel):
    region = rectangle()
    image = screen(region)
    skin = 80 + gel
    image[0, 80:skin, 180:700] = 0
    if gel:
        image[0, 82:84, 180:700] = 160
    line = find_skin_line(image, region)
    assert np.isnan(line[:180]).all()
    assert np.isnan(line[700:]).all()
    assert np.abs(line[180:700] - skin).max() <= 4


def test_the_skin_line_follows_a_fan_and_passes_over_gaps():
    region = sector()
    image = screen(region)
    gap = np.zeros_like(region)
    gap[:, 400:425] = True
    image[0, gap] = 0
    line = find_skin_line(image, region)
    columns = np.arange(380, 461)
    expected = np.sqrt(130**2 - (columns - 420.0) ** 2)
    assert np.abs(line[columns] - expected).max() <= 8


def test_no_echo_gives_no_skin_line():
    assert np.isnan(find_skin_line(np.zeros((1, 40, 50), np.uint8), np.ones((40, 50), bool))).all()
    assert np.isnan(find_skin_line(np.zeros((1, 40, 50), np.uint8), np.zeros((40, 50), bool))).all()


def test_colors_are_told_and_a_tint_or_a_small_doppler_box_is_not():
    gray = np.repeat(speckle((200, 300)).astype(np.uint8)[None], 3, axis=0)
    region = np.ones((200, 300), bool)
    assert why_not_ultrasound(gray, region) == ""
    assert why_not_ultrasound(gray[:1], region) == ""
    tinted = (gray * np.array([1.0, 0.93, 0.85])[:, None, None]).astype(np.uint8)
    assert why_not_ultrasound(tinted, region) == ""
    doppler = gray.copy()
    doppler[:, 60:100, 100:150] = np.array([220, 30, 20])[:, None, None]
    assert why_not_ultrasound(doppler, region) == ""
    colored = np.random.default_rng(0).integers(0, 256, (3, 200, 300)).astype(np.uint8)
    assert "colors" in why_not_ultrasound(colored, region)


def scan_recipe(**input):
    return recipe_from(
        {
            "name": "nerve",
            "title": "Nerve",
            "classes": [{"name": "background", "color": [0, 0, 0]}, {"name": "nerve", "color": [255, 0, 0]}],
            "input": {"channels": 1, "region": "scan", **input},
            "stages": [{"kind": "segment", "network": {"name": "refining-unet"}, "losses": [{"name": "dice"}]}],
        }
    )


def test_a_recipe_of_scans_sees_the_scan_alone():
    prepared, region = prepare(Case("a", *_image_and_grid(screen(rectangle()))), scan_recipe())
    assert overlap(region, rectangle()) > 0.97
    assert prepared.image.shape[1] < HEIGHT
    assert prepared.flags == []


def test_a_colored_picture_is_flagged_and_refused_when_that_is_chosen():
    colored = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    prepared, _ = prepare(Case.from_array(colored), scan_recipe())
    assert any("may be no ultrasound image: it has colors" in flag for flag in prepared.flags)
    with pytest.raises(DataError, match="no ultrasound image"):
        prepare(Case.from_array(colored), scan_recipe(wrong_kind="refuse"))
    assert prepare(Case.from_array(colored), scan_recipe(), allow_wrong_kind=True)[0].flags == []


def test_a_given_region_is_taken():
    region = np.zeros((HEIGHT, WIDTH), bool)
    region[100:200, 200:300] = True
    image, grid = _image_and_grid(screen(rectangle()))
    assert (prepare(Case("a", image, grid, region=region), scan_recipe())[1] == region).all()


def _image_and_grid(image: np.ndarray):
    from gracile.geometry import Grid

    return image, Grid(image.shape[1:])


# Box of the scan (top, left, bottom, right) and row of the skin line, read off the pictures by eye.
SEEN = {
    "usgra-seg/images/0003.png": ((66, 0, 400, 512), 68),
    "usgra-seg/images/0083.png": ((0, 71, 478, 437), 0),
    "usgra-seg/images/0107.png": ((0, 0, 478, 515), 0),
    "usgra-seg/images/0123.png": ((84, 0, 486, 740), 86),
    "usgra-seg/images/0182.png": ((105, 0, 367, 534), 114),
    "uns-original-sample/images/1_1.png": ((0, 0, 420, 580), 0),
}


@pytest.mark.real
@pytest.mark.parametrize("name", SEEN)
def test_real_scans(name, real_data):
    path = real_data / "nerve-ultrasound" / name
    if not path.is_file():
        pytest.skip(f"GRACILE_DATA has no {name}")
    image = np.array(Image.open(path))
    picture = np.moveaxis(image, -1, 0) if image.ndim == 3 else image[None]
    (top, left, bottom, right), skin = SEEN[name]
    box = np.zeros(picture.shape[1:], bool)
    box[top:bottom, left:right] = True
    found = find_scan(picture)
    assert overlap(found, box) > 0.96
    assert np.nanmedian(find_skin_line(picture, found)) == pytest.approx(skin, abs=6)


@pytest.mark.real
def test_a_real_screen(real_data):
    path = real_data / "nerve-ultrasound" / "clips" / "brachial-plexus.mp4"
    if not path.is_file():
        pytest.skip("GRACILE_DATA has no brachial-plexus.mp4")
    av = pytest.importorskip("av")
    with av.open(str(path)) as clip:
        frames = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    box = np.zeros(frames[0].shape[:2], bool)
    box[78:503, 192:727] = True
    for frame in (frames[0], frames[len(frames) // 2], frames[-1]):
        picture = np.moveaxis(frame, -1, 0)
        found = find_scan(picture)
        assert overlap(found, box) > 0.97
        assert np.nanmedian(find_skin_line(picture, found)) == pytest.approx(78, abs=3)
