"""DICOM files as inputs: pictures, clips, enhanced volumes and series are told by what they hold."""

import json

import numpy as np
from pydicom.uid import generate_uid

from gracile.inference import find_inputs, predict
from gracile.inference.options import Options
from gracile.recipe import read_recipe
from tests.inference.clips import SETTINGS, Bright, frame, measured
from tests.io.dicom.objects import image, written
from tests.io.dicom.test_folders import REPORT, SEGMENTATION, enhanced, without_image

FRAMES = np.stack([frame(bright=index != 2)[..., 0] for index in range(5)])


def test_a_multi_frame_file_is_predicted_as_a_video(tmp_path):
    written(tmp_path / "clip.dcm", image(FRAMES, NumberOfFrames=5, FrameTime="50"))
    inputs = find_inputs([str(tmp_path / "clip.dcm")])
    assert [(one.name, one.kind) for one in inputs] == [("clip", "video")]
    pipeline = Bright(read_recipe("structure-2d", SETTINGS))
    predict(pipeline, {"name": "bright"}, inputs, tmp_path / "out", Options(), lambda *told: None)
    (record,) = json.loads((tmp_path / "out/predictions.json").read_text())["inputs"]
    assert measured(record, "frames") == 5
    assert measured(record, "frames_found") == 4
    assert {"clip.mp4", "clip.csv"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_a_folder_of_pictures_is_told_by_content(tmp_path):
    written(tmp_path / "a.dcm", image(FRAMES[0]))
    written(tmp_path / "1.2.840.7", image(FRAMES[0]))
    written(tmp_path / "clip.dcm", image(FRAMES, NumberOfFrames=5))
    written(tmp_path / "report.dcm", without_image(REPORT))
    written(tmp_path / "seg.dcm", image(FRAMES[0], SOPClassUID=SEGMENTATION))
    written(tmp_path / "DICOMDIR", without_image(generate_uid()))
    (tmp_path / "damaged.dcm").write_bytes(b"no DICOM")
    found = [(one.name, one.kind) for one in find_inputs([str(tmp_path)])]
    assert found == [("1.2.840.7", "picture"), ("a", "picture"), ("clip", "video"), ("damaged", "picture")]


def test_several_enhanced_files_are_several_volumes(tmp_path):
    for name in ("a.dcm", "b.dcm"):
        written(tmp_path / name, enhanced(list(range(8))))
    found = find_inputs([str(tmp_path / "*.dcm")], "volume")
    assert [(one.name, one.kind) for one in found] == [("a", "volume"), ("b", "volume")]
