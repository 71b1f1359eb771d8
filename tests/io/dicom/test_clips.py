"""Loops of ultrasound machines and endoscopes are videos, as MP4 is."""

import numpy as np
import pytest
from pydicom.uid import MPEG4HP41, JPEGLosslessSV1

from gracile.errors import DataError
from gracile.io.dicom.clips import is_clip
from gracile.io.video import open_video
from tests.inference.clips import frame, write_clip
from tests.io.dicom.jpeg_lossless_frames import encode
from tests.io.dicom.objects import compressed, image, written
from tests.io.dicom.test_pictures import us_region

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 40, 60)).astype(np.uint8)


@pytest.mark.parametrize(
    ("tags", "seconds"),
    [
        ({"FrameTime": "40"}, 0.04),
        ({"FrameTime": "33.33"}, 0.03333),
        ({"CineRate": "50"}, 0.02),
        ({"RecommendedDisplayFrameRate": "10"}, 0.1),
        ({"FrameTime": "0"}, 0.04),
        ({}, 0.04),
    ],
)
def test_frames_come_with_the_times_of_the_header(tmp_path, tags, seconds):
    path = written(tmp_path / "clip.dcm", image(FRAMES, NumberOfFrames=5, **tags))
    assert is_clip(path)
    with open_video(path) as video:
        found = list(video)
    assert video.size == (40, 60)
    assert float(video.rate) == pytest.approx(1 / seconds, rel=1e-3)
    np.testing.assert_allclose([one.seconds for one in found], np.arange(5) * seconds, atol=1e-3)
    for one, pixels in zip(found, FRAMES, strict=True):
        np.testing.assert_array_equal(one.image, np.repeat(pixels[..., None], 3, axis=-1))
    assert not video.flaws


def test_colors_and_the_place_of_the_scan_are_kept(tmp_path):
    colors = np.random.default_rng(1).integers(0, 256, (3, 40, 60, 3)).astype(np.uint8)
    tags = {"SequenceOfUltrasoundRegions": [us_region()]}
    path = written(tmp_path / "clip", image(colors, "RGB", NumberOfFrames=3, **tags))
    with open_video(path) as video:
        np.testing.assert_array_equal(next(iter(video)).image, colors[0])
        assert video.region is not None
        assert video.region[5:35, 10:50].all()
        assert video.region.sum() == 30 * 40


def test_frames_that_break_off_are_left_out_and_told(tmp_path):
    frames = [encode(pixels, 8) for pixels in FRAMES]
    frames[3] = frames[3][:200]
    path = written(tmp_path / "clip.dcm", compressed(image(FRAMES, NumberOfFrames=5), frames, JPEGLosslessSV1))
    with open_video(path) as video:
        found = list(video)
    assert len(found) == 4
    assert any("left out: frame 4 of 5" in flaw for flaw in video.flaws)


@pytest.mark.parametrize("claim", [{"NumberOfFrames": 2_000_000_000}, {"Rows": 65535, "Columns": 65535}])
def test_a_size_that_the_file_cannot_hold_is_refused_before_memory_is_taken(tmp_path, claim):
    frames = [encode(pixels, 8) for pixels in FRAMES]
    path = written(tmp_path / "a.dcm", compressed(image(FRAMES, NumberOfFrames=5), frames, JPEGLosslessSV1, **claim))
    with pytest.raises(DataError, match=r"claims 2000000000 frames|65535 x 65535 x 1 samples"):
        open_video(path)


def test_a_picture_is_no_clip(tmp_path):
    assert not is_clip(written(tmp_path / "a.dcm", image(FRAMES[0])))
    (tmp_path / "b.dcm").write_bytes(b"no DICOM")
    assert not is_clip(tmp_path / "b.dcm")


def test_a_video_in_a_dicom_file_is_decoded_as_a_video(tmp_path):
    write_clip(tmp_path / "clip.mp4", [frame(index != 2) for index in range(5)])
    content = (tmp_path / "clip.mp4").read_bytes()
    dataset = compressed(image(FRAMES, NumberOfFrames=5), content, MPEG4HP41)
    path = written(tmp_path / "clip.dcm", dataset)
    assert is_clip(path)
    with open_video(path) as video:
        found = [one.image[20, 30].mean() > 128 for one in video]
    assert found == [True, True, False, True, True]
    with pytest.raises(DataError, match="holds a video that cannot be read"):
        open_video(written(path, compressed(dataset, b"no video", MPEG4HP41)))
