"""Uploads in DICOM are told by what they hold, whatever they are called."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from gracile.serve.checking import CheckingEngine
from tests.io.dicom.objects import bare, image, written
from tests.io.dicom.test_folders import LAS, REPORT, VALUES, enhanced, without_image
from tests.volumes_on_disk import write_series

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 40, 60)).astype(np.uint8)


@pytest.mark.parametrize(
    ("dataset", "group", "size", "frames"),
    [
        (image(FRAMES[0]), "picture", [40, 60], 1),
        (image(FRAMES, NumberOfFrames=5, FrameTime="40"), "video", [40, 60], 5),
        (enhanced(list(range(8))), "volume", [5, 6, 8], 1),
    ],
)
@pytest.mark.parametrize("write", [written, bare])
def test_a_file_is_a_picture_a_clip_or_a_volume(tmp_path, write, dataset, group, size, frames):
    write(tmp_path / "upload", dataset)
    seen = CheckingEngine([])({"source": str(tmp_path / "upload")}, lambda news: None)
    assert (seen["group"], seen["size"], seen["frames"]) == (group, size, frames)


def test_an_archive_of_a_whole_study_is_read_as_the_series_that_is_meant(tmp_path):
    write_series(tmp_path / "study/a", VALUES, LAS, number=3)
    write_series(tmp_path / "study/b", VALUES[..., :3], LAS, number=7)
    written(tmp_path / "study/report", without_image(REPORT))
    with zipfile.ZipFile(tmp_path / "upload", "w") as archive:
        for path in (tmp_path / "study").rglob("*"):
            if path.is_file():
                archive.write(path, path.relative_to(tmp_path))
    seen = CheckingEngine([])({"source": str(tmp_path / "upload"), "series": "3"}, lambda news: None)
    assert (seen["group"], seen["size"]) == ("volume", [5, 6, 8])
    assert len(list(Path(seen["path"]).iterdir())) == 8
