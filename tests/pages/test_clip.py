"""A video in the report: frames, curves, speed and links, the same for a fresh and for a reused answer."""

import re
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gracile.geometry import Grid
from gracile.inference import Options, VideoOptions, find_inputs, predict
from gracile.io.video_writing import write_video
from gracile.learning.learners import build_learner
from gracile.pages import case_page
from gracile.pages.predictions import ReportWriter
from gracile.pipeline import Pipeline
from gracile.recipe import read_recipe
from gracile.result import Result

TINY = [
    "prepare.diameter=64",
    "stages.presence.network={name: 'timm:resnet10t'}",
    "stages.presence.size=[32, 32]",
    "stages.structures.network.options={width: 16}",
]
FRAMES, DARK, LARGEST = 30, range(10), 22


class Bright(Pipeline):
    """Finds what is brighter than half; its gate says 0.9 where there is anything, else 0.2. No network is asked."""

    def __call__(self, case, *, keep_probabilities=False, signed=None):
        bright = case.image.mean(axis=0) / 255
        mask = (bright > 0.5).astype(np.uint8)
        return Result(
            case.id, "found" if mask.any() else "absent", Grid(mask.shape), self.recipe.class_names, mask=mask,
            gates={"tool": 0.9 if mask.any() else 0.2},
            seconds={"prepare": 0.001, "presence": 0.002, "structures": 0.006, "restore": 0.001},
        )  # fmt: skip


@pytest.fixture(scope="module")
def pipeline():
    recipe = read_recipe("surgical-tool", TINY)
    pipeline = Bright(recipe, [build_learner(spec, recipe).applied() for spec in recipe.stages])
    pipeline.stages[0].threshold = 0.31
    return pipeline


def frame(index):
    image = np.full((48, 64, 3), 30, np.uint8)
    if index not in DARK:
        image[10:30, 20 : (44 if index == LARGEST else 36)] = 220
    return image


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clips" / "a clip #1.avi"
    with write_video(path, (48, 64), Fraction(10), Fraction(1, 10)) as writer:
        for index in range(FRAMES):
            writer.write(frame(index), index)
    return path


def reported(pipeline, patterns, out, **more):
    writer = ReportWriter(pipeline.recipe, "model", out)
    inputs = find_inputs([str(pattern) for pattern in patterns])
    predict(pipeline, {"name": "model"}, inputs, out, Options(video=VideoOptions(**more)), writer.add)
    return writer, writer.write()


def test_a_video_shows_spread_frames_and_the_one_with_the_largest_area(pipeline, clip, tmp_path):
    writer, page = reported(pipeline, [clip], tmp_path / "out")
    (case,) = writer.page.cases
    assert [still.caption for still in case.stills] == [
        "0.20 s: absent 0.20", "0.70 s: absent 0.20", "1.20 s: tool 0.90", "1.70 s: tool 0.90",
        "2.20 s: tool 0.90, largest area", "2.70 s: tool 0.90",
    ]  # fmt: skip
    assert [still.chosen for still in case.stills] == [False] * 4 + [True, False]
    painted = np.asarray(Image.open(BytesIO(case.base))).astype(int)
    assert painted.shape == (48, 64, 3)
    inside = painted[20, 40]  # only the largest one reaches there, in the structure's green
    assert inside[1] - inside[0] > 25
    text = page.read_text(encoding="utf-8")
    assert text.count('class="still"') == 6
    assert "1 video, model" in text


def test_the_curves_tell_the_gate_its_threshold_and_where_it_is_open(pipeline, clip, tmp_path):
    writer, page = reported(pipeline, [clip], tmp_path / "out")
    figures = dict(writer.page.cases[0].figures)
    gate = figures["Gate presence: probability; open in 67 % of the frames"]
    assert "threshold 0.310" in gate
    (band,) = re.findall(r'class="open" d="([^"]+)"', gate)
    left, right = map(float, re.search(r"M([\d.]+) \d+H([\d.]+)", band).groups())
    assert ((left - 56) / 490, (right - 56) / 490) == pytest.approx((9.5 / 29, 1), abs=0.01)
    assert "tool from 0.2000 to 0.9000" in gate
    assert "tool from 0 to" in figures["Area in pixels"]
    assert "Dice with the truth" not in figures
    assert page.read_text(encoding="utf-8").count("chart timeline") == 2


def test_frames_per_second_and_the_steps_shares_are_told(pipeline, clip, tmp_path):
    writer, page = reported(pipeline, [clip], tmp_path / "out")
    (table,) = writer.page.cases[0].tables
    assert re.fullmatch(r"Answered at [\d.\u202f]+ frames/s; the video has 10", table.caption)
    assert [row[0] for row in table.rows] == [
        "decode", "prepare", "presence", "structures", "restore", "paint", "encode"
    ]  # fmt: skip
    assert table.rows[3][1] == "6.0"
    assert sum(int(row[2].removesuffix(" %")) for row in table.rows) == pytest.approx(100, abs=4)
    text = page.read_text(encoding="utf-8")
    assert "Answered at" in text
    assert "total" not in text[text.index('id="case-1"') : text.index("<footer")]  # steps run at once: no sum of them


def links(page):
    return re.findall(r'<a href="([^#"][^"]*)"', page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("suffix", ["mp4", "avi"])
def test_links_lead_from_the_page_to_the_files(pipeline, clip, tmp_path, suffix):
    from urllib.parse import unquote

    _, page = reported(pipeline, [clip], tmp_path / "out", format=suffix)
    targets = [(page.parent / unquote(link)).resolve() for link in links(page)]
    assert targets == [tmp_path / "out" / f"a clip #1.{end}" for end in (suffix, "csv")]
    assert all(target.is_file() for target in targets)


def test_a_reused_answer_is_shown_as_the_fresh_one_was(pipeline, clip, tmp_path):
    fresh, _ = reported(pipeline, [clip], tmp_path / "out")
    again, _ = reported(pipeline, [clip], tmp_path / "out")
    assert again.page.cases == fresh.page.cases


def test_an_answer_whose_files_are_gone_keeps_its_numbers(pipeline, clip, tmp_path):
    out = tmp_path / "out"
    record = {}
    inputs = find_inputs([str(clip)])
    predict(pipeline, {"name": "model"}, inputs, out, Options(), lambda case, result, found: record.update(found))
    (out / "a clip #1.csv").write_text("nothing")
    writer = ReportWriter(pipeline.recipe, "model", out)
    writer.add(None, None, record)
    assert (writer.page.cases[0].base, writer.page.cases[0].stills, writer.page.cases[0].figures) == (b"", [], [])
    assert "Answered at" in writer.write().read_text(encoding="utf-8")


def test_truth_adds_its_curve(pipeline, clip, tmp_path):
    (tmp_path / "truth").mkdir()
    for index in range(FRAMES):
        Image.fromarray((frame(index)[..., 0] > 128).astype(np.uint8) * 5).save(tmp_path / "truth" / f"{index:03d}.png")
    writer, _ = reported(pipeline, [clip], tmp_path / "out", truth=tmp_path / "truth")
    assert "tool from" in dict(writer.page.cases[0].figures)["Dice with the truth"]
    assert Image.open(BytesIO(writer.page.cases[0].base)).size == (128, 48)  # the truth beside it


def test_the_page_keeps_a_limited_number_of_videos_with_pictures(pipeline, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(case_page, "PICTURES", 1)
    for name in ("b.avi", "c.avi"):
        (clip.parent / name).write_bytes(clip.read_bytes())
    Image.fromarray(frame(15)).save(clip.parent / "d.png")
    writer, page = reported(pipeline, [clip.parent], tmp_path / "out")
    assert sum(bool(case.base) for case in writer.page.cases) == 1
    assert (
        sum(bool(case.stills) for case in writer.page.cases)
        == sum(bool(case.figures) for case in writer.page.cases)
        <= 1
    )
    text = page.read_text(encoding="utf-8")
    assert "3 videos and 1 picture, model" in text
    assert "Pictures are shown of 1 cases" in text
    assert len(links(page)) == 7


def test_a_gate_that_tells_kinds_apart_adds_up_those_that_open_it(tmp_path):
    from gracile.pages.clip import add_clip_pictures
    from gracile.report import ReportCase

    recipe = read_recipe("nerve-video")
    rows = [f"{i},{i / 10},Nerve,0.5,0.2,0.3,0.5,0" for i in range(5)]
    table = "frame,time_s,class,probability,p_General field,p_Tendon,p_Nerve,area_px_nerve\n" + "\n".join(rows)
    (tmp_path / "a.csv").write_text(table + "\n")
    with write_video(tmp_path / "a.mp4", (48, 64), Fraction(10), Fraction(1, 10)) as writer:
        for index in range(5):
            writer.write(frame(index), index)
    gate = {"name": "stage", "present": ["Tendon", "Nerve"], "others": ["General field"], "threshold": 0.79}
    record = {"files": {"video": "a.mp4", "frames": "a.csv"}, "seconds": {}, "clip": {"gates": [gate]}}
    entry = ReportCase("a", "absent")
    add_clip_pictures(entry, record, recipe, Path(tmp_path))
    chart = dict(entry.figures)["Gate stage: probability; open in 100 % of the frames"]
    assert "Tendon + Nerve from 0.8000 to 0.8000" in chart
    assert "General field from 0.2000" in chart
    smoothed = ReportCase("a", "absent")
    add_clip_pictures(smoothed, {**record, "seconds": {"smooth": 0.1}}, recipe, Path(tmp_path))
    assert "smoothed, at the threshold in 100 %" in smoothed.figures[0][0]
