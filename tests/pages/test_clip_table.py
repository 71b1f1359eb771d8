"""The table of a clip is read back whole in meaning and bounded in size."""

import csv

import pytest

from gracile.errors import DataError
from gracile.pages.clip_table import POINTS, read_clip_table

COLUMNS = {"area": ["area_px_a"], "open": ["p_x", "p_y"]}


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "time_s", "class", "probability", "p_x", "p_y", "area_px_a"])
        writer.writerows(rows)
    return path


def row(index, area=0, x=0.25, y=0.25, begin=0.0):
    return [index, f"{begin + index / 10:.6f}", "a" if area else "absent", f"{x:.4f}", f"{x:.4f}", f"{y:.4f}", area]


def read(path, **more):
    return read_clip_table(path, more.pop("columns", COLUMNS), more.pop("thresholds", {}), ["area_px_a"], **more)


def test_a_short_clip_is_kept_frame_by_frame(tmp_path):
    table = read(write(tmp_path / "t.csv", [row(i, area=i * i, begin=5.0) for i in range(4)]))
    assert table.frames == 4
    assert table.series["area"].seconds == pytest.approx([5.0, 5.1, 5.2, 5.3])
    assert table.series["area"].values == [0, 1, 4, 9]
    assert table.series["open"].values == [0.5] * 4


def test_a_long_clip_keeps_its_peaks_and_not_its_length(tmp_path):
    rows = [row(i, area=7) for i in range(10_000)]
    rows[4321], rows[8765] = row(4321, area=999), row(8765, area=1)
    table = read(write(tmp_path / "t.csv", rows))
    area = table.series["area"]
    assert len(area.values) <= 2 * POINTS
    assert area.seconds == sorted(area.seconds)
    assert area.seconds[area.values.index(999)] == pytest.approx(432.1)
    assert area.seconds[area.values.index(1)] == pytest.approx(876.5)


def test_the_frames_to_show_are_spread_and_hold_the_one_with_the_largest_area(tmp_path):
    rows = [row(i, begin=2.0) for i in range(60)]
    rows[17] = row(17, area=30, x=0.75, begin=2.0)
    moments = read(write(tmp_path / "t.csv", rows)).moments
    assert [moment.index for moment in moments] == [5, 15, 17, 25, 35, 45, 55]
    (largest,) = [moment for moment in moments if moment.largest]
    assert (largest.index, largest.seconds, largest.since_first) == (17, pytest.approx(3.7), pytest.approx(1.7))
    assert largest.words == "a 0.75"
    assert moments[0].words == "absent 0.25"
    few = read(write(tmp_path / "few.csv", [row(i) for i in range(3)])).moments
    assert [moment.index for moment in few] == [0, 1, 2]
    assert not any(moment.largest for moment in few)


def test_an_opening_counts_every_frame(tmp_path):
    rows = [row(i, x=0.6 if i < 2500 else 0.1) for i in range(10_000)]
    opening = read(write(tmp_path / "t.csv", rows), thresholds={"open": 0.85}).openings["open"]
    assert (opening.frames, opening.open) == (10_000, 2500)
    assert len(opening.inside) <= POINTS
    assert sum(opening.inside) / len(opening.inside) == pytest.approx(0.25, abs=0.01)
    assert opening.inside[0]
    assert not opening.inside[-1]


def test_a_probability_at_the_threshold_is_open(tmp_path):
    opening = read(write(tmp_path / "t.csv", [row(0)]), thresholds={"open": 0.5}).openings["open"]
    assert opening.inside == [True]


def test_a_frame_that_failed_is_a_gap_and_an_absent_column_no_series(tmp_path):
    rows = [row(0, area=3), [1, "0.1", "failed", "", "", "", ""], row(2, area=4)]
    table = read(write(tmp_path / "t.csv", rows), columns={**COLUMNS, "dice": ["dice_a"]})
    assert table.series["area"].values == [3, None, 4]
    assert "dice" not in table.series
    assert table.moments[1].words == "failed"


@pytest.mark.parametrize("text", ["", "frame,time_s\n0,x\n", "a,b\n1,2\n", "frame,time_s,class\n0,1\n\0"])
def test_what_is_no_such_table_is_refused(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    if text:
        with pytest.raises(DataError, match="no table of frames"):
            read(tmp_path / "t.csv")
    with pytest.raises(DataError):
        read(tmp_path / "absent.csv")
