"""Few-shot curves: any recipe, any sizes, the same test cases each time, resumable, extendable."""

import json

import pytest

from gracile.api import few_shot
from gracile.api.experiments.few_shot import _drawn, _pool
from gracile.data import CaseFiles
from gracile.errors import DataError, UsageError
from tests.conftest import TINY, write_fundus_folder
from tests.stages.test_landmark_windows import SETTINGS, head
from tests.volumes_on_disk import write_nifti

FAST = [
    *SETTINGS,
    "stages.windows.sampler.per_case=12",
    "train={epochs: 1, batch_size: 6, validation: 0, average_weights: 0}",
    "trainer.precision=32-true",
    "trainer.threads=1",
    "trainer.graphs=false",
]


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Four drawn volumes with a table of their points."""
    folder = tmp_path_factory.mktemp("heads")
    rows = ["case,label,ras_x_mm,ras_y_mm,ras_z_mm"]
    for seed in range(4):
        case = head(seed)
        write_nifti(folder / "volumes" / f"{case.id}.nii.gz", case.image[0], case.grid.affine)
        rows += [f"{case.id},{n},{','.join(str(float(v)) for v in p)}" for n, p in case.points.items()]
    (folder / "landmarks.csv").write_text("\n".join(rows))
    return folder


def test_a_curve_of_landmarks_is_written_and_extended(heads, tmp_path):
    options = {"test": "head3", "order": "head2,head0,head1", "settings": FAST, "notes": ["Heads are drawn."]}
    first = few_shot("cochlea-landmarks-published", heads, tmp_path, shots=[1], repeats=2, **options)
    assert [(row["shots"], row["repeat"], row["cases"]) for row in first.rows] == [
        (1, 1, ["head2"]), (1, 2, ["head2"])
    ]  # fmt: skip
    before = (tmp_path / "001-shots-1" / "bundle" / "bundle.json").stat().st_mtime_ns
    both = few_shot("cochlea-landmarks-published", heads, tmp_path, shots=[1, 2], repeats=1, **options)
    assert [(row["shots"], row["repeat"]) for row in both.rows] == [(1, 1), (1, 2), (2, 1)]
    assert both.rows[2]["cases"] == ["head2", "head0"]
    assert (tmp_path / "001-shots-1" / "bundle" / "bundle.json").stat().st_mtime_ns == before
    assert {"found", "missed", "within_1_mm"} <= set(both.rows[0])
    assert len(json.loads((tmp_path / "few_shot.json").read_text())["rows"]) == 3
    assert (tmp_path / "few_shot.csv").read_text().startswith("shots,repeat,minutes,")
    assert "Few-shot curve" in both.report.read_text()
    for page in (both.report, tmp_path / "001-shots-1" / "report.html"):
        assert "Heads are drawn." in page.read_text()
    assert (tmp_path / "001-shots-1" / "predictions" / "head3.mrk.json").is_file()
    with pytest.raises(UsageError, match="another test"):
        few_shot(
            "cochlea-landmarks-published",
            heads,
            tmp_path,
            shots=[1],
            **{**options, "test": "head3,head1", "order": "head2"},
        )


def test_recipes_of_pictures_have_curves_too(tmp_path):
    data = write_fundus_folder(tmp_path / "data", 3)
    settings = [*TINY, "train.epochs=1", "stages.vessels.sampler.per_case=2"]
    curve = few_shot("retina-av", data, tmp_path / "out", test="00", shots=[1], settings=settings)
    (row,) = curve.rows
    assert len(row["cases"]) == 1
    assert 0 <= row["f1"] <= 1


def files(*ids: str, subject: str = "") -> list[CaseFiles]:
    from pathlib import Path

    return [CaseFiles(id, Path(f"{id}.png"), None, None, subject or id) for id in ids]


def test_drawn_sets_grow_within_a_repeat_and_differ_between_repeats():
    pool = files(*"abcdefgh")
    for seed in (0, 1):
        assert _drawn(pool, 5, seed)[:3] == _drawn(pool, 3, seed)
    assert _drawn(pool, 8, 0) != _drawn(pool, 8, 1)


def test_a_subject_is_on_one_side():
    both = files("a1", "a2", subject="a")
    with pytest.raises(DataError, match="both sides: a"):
        _pool(both, both[:1], "")


@pytest.mark.parametrize(
    ("shots", "repeats", "error", "message"),
    [([0], 1, UsageError, "sizes of 1"), ([], 1, UsageError, "sizes"), ([4], 1, DataError, "3 cases to train on")],
)
def test_sizes_that_make_no_sense_are_refused(heads, tmp_path, shots, repeats, error, message):
    with pytest.raises(error, match=message):
        few_shot(
            "cochlea-landmarks-published", heads, tmp_path, test="head3", shots=shots, repeats=repeats, settings=FAST
        )
