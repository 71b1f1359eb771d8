"""Which files are predicted, under which names, and which part of them is a job's."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gracile.errors import DataError, UsageError
from gracile.inference import Input, Shard, find_inputs
from tests.inference.clips import frame, write_clip


def touch(*paths: Path) -> list[str]:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return [str(path) for path in paths]


def names(patterns: list[str]) -> list[str]:
    return [entry.name for entry in find_inputs(patterns)]


def test_a_single_input_keeps_its_stem(tmp_path):
    assert names(touch(tmp_path / "left" / "scan.png")) == ["scan"]


def test_a_folder_stands_for_the_pictures_right_in_it(tmp_path):
    touch(tmp_path / "b.png", tmp_path / "a.TIF", tmp_path / "notes.txt", tmp_path / ".hidden.png")
    touch(tmp_path / "deeper" / "c.png")
    assert names([str(tmp_path)]) == ["a", "b"]


def test_a_quoted_pattern_is_expanded(tmp_path):
    touch(tmp_path / "x" / "a.png", tmp_path / "y" / "b.jpg", tmp_path / "y" / "notes.txt")
    assert names([str(tmp_path / "*" / "*")]) == ["a", "b"]
    assert names([str(tmp_path / "**" / "*.jpg")]) == ["b"]


def test_a_file_named_twice_is_predicted_once(tmp_path):
    (path,) = touch(tmp_path / "a.png")
    assert names([path, str(tmp_path), path]) == ["a"]


def test_equal_stems_get_the_folder_that_differs_in_front(tmp_path):
    paths = touch(tmp_path / "errsm_11" / "t2.png", tmp_path / "errsm_12" / "t2.png", tmp_path / "other.png")
    assert names(paths) == ["errsm_11-t2", "errsm_12-t2", "other"]
    deep = touch(tmp_path / "one" / "images" / "t2.png", tmp_path / "two" / "images" / "t2.png")
    assert names(deep) == ["one-t2", "two-t2"]


def test_equal_stems_in_one_folder_get_their_suffix(tmp_path):
    assert names(touch(tmp_path / "a.png", tmp_path / "a.jpg")) == ["a-png", "a-jpg"]


def test_names_that_meet_all_the_same_are_refused(tmp_path):
    paths = touch(tmp_path / "x" / "a.png", tmp_path / "y" / "a.png", tmp_path / "x-a.png")
    with pytest.raises(DataError, match="x-a"):
        names(paths)


def test_what_is_not_there_is_refused_by_name(tmp_path):
    for pattern in ("absent.png", "*.tif"):
        with pytest.raises(DataError, match=pattern.replace("*", r"\*")):
            names([str(tmp_path / pattern)])
    with pytest.raises(DataError, match="no pictures"):
        names([str(tmp_path)])


@given(st.integers(0, 40), st.integers(1, 9))
def test_shards_partition_the_inputs_evenly(total, count):
    inputs = [Input(Path(f"{n}.png"), str(n)) for n in range(total)]
    parts = [Shard(number, count).part(inputs) for number in range(1, count + 1)]
    assert sorted((entry for part in parts for entry in part), key=inputs.index) == inputs
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_shard_is_written_as_two_of_eight():
    assert Shard.parse("2/8") == Shard(2, 8)
    for text in ("0/8", "9/8", "2", "2/", "/8", "a/b", "-1/8", "2/8/1", "1/0", ""):
        with pytest.raises(UsageError, match="2/8"):
            Shard.parse(text)


@pytest.mark.skipif(os.name == "nt", reason="patterns are case-sensitive elsewhere")
def test_a_file_whose_name_looks_like_a_pattern_is_found(tmp_path):
    assert names(touch(tmp_path / "eye[1].png")) == ["eye[1]"]


def test_masks_beside_their_pictures_are_no_pictures(tmp_path):
    for name in ("1_1.tif", "1_1_mask.tif", "face_mask.tif"):
        (tmp_path / name).touch()
    assert [entry.name for entry in find_inputs([str(tmp_path)])] == ["1_1", "face_mask"]


def test_a_folder_of_folders_is_refused_with_the_one_to_name(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    with pytest.raises(DataError, match="It has images/"):
        find_inputs([str(tmp_path)])


def test_pictures_and_videos_are_found_by_content_and_what_is_left_out_is_said(tmp_path, caplog):
    picture = Image.new("RGB", (8, 8))
    for name, kind in (("a.webp", "WEBP"), ("b.jfif", "JPEG"), ("c", "PNG"), ("d.scan", "TIFF"), ("e.jp2", "JPEG2000")):
        picture.save(tmp_path / name, kind)
    write_clip(tmp_path / "x.mp4", [frame()])
    for name in ("f.recorded", "g.ts"):
        (tmp_path / name).write_bytes((tmp_path / "x.mp4").read_bytes())
    (tmp_path / "x.mp4").unlink()
    (tmp_path / "thumbs.db").write_bytes(b"\0" * 40)
    (tmp_path / "notes.txt").write_text("text")
    found = {entry.path.name: entry.kind for entry in find_inputs([str(tmp_path)])}
    assert found == {**dict.fromkeys(["a.webp", "b.jfif", "c", "d.scan", "e.jp2"], "picture"),
                     **dict.fromkeys(["f.recorded", "g.ts"], "video")}  # fmt: skip
    assert caplog.messages == [f"{tmp_path}: left out 1 files that are no pictures or videos, such as thumbs.db"]
    assert [one.kind for one in find_inputs([str(tmp_path / "f.recorded")])] == ["video"]


def test_outputs_of_nnunets_cases_keep_the_cases_names_and_channels_are_no_cases(tmp_path, caplog):
    folder = tmp_path / "Dataset001" / "imagesTs"
    touch(*(folder / f"case{number}_{channel:04d}.png" for number in (1, 2) for channel in (0, 1)))
    assert names([str(folder)]) == ["case1", "case2"]
    assert caplog.messages == ["2 files were left out: only the first channel of each case is read"]
    assert names([str(folder / "case1_0000.png")]) == ["case1"]
    frames = tmp_path / "frames"
    touch(*(frames / f"clip_{number:04d}.png" for number in range(3)))
    assert names([str(frames)]) == ["clip_0000", "clip_0001", "clip_0002"]
