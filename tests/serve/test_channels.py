"""A case of several files through the whole service: sent together, looked at, predicted and shown."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

import gracile
from gracile.client import Client, ServerError
from gracile.recipe import ClassSpec, InputSpec
from gracile.serve.app import create_app
from gracile.serve.checking import CheckingEngine
from gracile.serve.drawing import build_scene
from gracile.serve.jobs import JobStore
from gracile.serve.models import served_models
from gracile.serve.results_folder import read_results
from gracile.serve.scene import CaseFiles
from gracile.serve.settings import ServeSettings
from tests.serve.conftest import listening
from tests.two_channels import draw, random_bundle, recipe_of, suffix, write_data, write_image

KINDS = pytest.mark.parametrize("kind", ["volume", "image"])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        kind: random_bundle(recipe_of(kind, "input.shown=t2"), folder / f"my-{kind}") for kind in ("volume", "image")
    }


@pytest.fixture(scope="module")
def client(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    jobs = tmp_path_factory.mktemp("jobs")
    settings = ServeSettings(tuple(map(str, models.values())), folder=jobs)
    with listening(create_app(settings, JobStore(jobs, 3600), threads=1)) as address:
        yield Client(address)


def files(folder: Path, kind: str) -> list[Path]:
    return sorted((write_data(folder, kind, 1) / "imagesTr").iterdir())


@KINDS
def test_the_files_of_a_case_are_one_upload_and_what_is_missing_is_named(client, tmp_path, kind):
    paths = files(tmp_path, kind)
    result = client.predict(paths, f"my-{kind}", out=tmp_path / "out")
    assert result["status"] in ("found", "absent")
    assert result["name"] == f"p0{suffix(kind)}"
    (mask,) = (path for path in map(Path, result["files"]) if "-mask" in path.name)
    shape = nibabel.load(mask).shape if kind == "volume" else Image.open(mask).size[::-1]
    assert shape == draw(kind, 0)[2].shape
    record = next(path for path in map(Path, result["files"]) if path.name.endswith("-record.json")).read_text()
    assert "case_0001" not in record, "the server's own places are nobody's business"
    with pytest.raises(ServerError, match=r"lacks channel 2 \(t2\)"):
        client.predict(paths[0], f"my-{kind}")
    with pytest.raises(ServerError, match="has 3 channels, and the recipe takes 2"):
        client.predict([*paths, paths[0]], f"my-{kind}")


def test_a_server_tells_which_files_its_models_take(client):
    assert {model["name"]: model["channels"] for model in client.models()} == {
        name: ["channel 1 (t1)", "channel 2 (t2)"] for name in ("my-volume", "my-image")
    }


def test_a_model_of_one_file_takes_one(tmp_path):
    (model,) = served_models([str(random_bundle(recipe_of("volume", channels=1, names=()), tmp_path / "one"))])
    assert model.channels == []


def look(folder: Path, wanted: InputSpec) -> dict:
    return CheckingEngine([])(
        {"source": str(folder / "upload"), "wanted": wanted.model_dump(mode="json")}, lambda n: None
    )


def test_an_archive_that_somebody_packed_is_taken_by_the_numbers_in_it(tmp_path):
    paths = files(tmp_path, "image")
    with zipfile.ZipFile(tmp_path / "upload", "w") as archive:
        for path in reversed(paths):
            archive.write(path, f"scans/Doe Jane/{path.name}")
            archive.writestr(f"__MACOSX/._{path.name}", b"x")
        archive.writestr("scans/readme.txt", b"two channels")
    seen = look(tmp_path, recipe_of("image").input)
    assert [Path(seen["path"]).name, *(Path(path).name for path in seen["channels"])] == [
        "case_0000.png",
        "case_0001.png",
    ]
    assert Path(seen["path"]).read_bytes() == paths[0].read_bytes()
    assert (seen["group"], seen["size"]) == ("picture", [40, 48])


@pytest.mark.parametrize("packed", [False, True])
def test_one_file_that_holds_all_channels_is_taken(tmp_path, packed):
    values = np.zeros((20, 30, 2), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig")
    if packed:  # as the page does with a name that ends in a number
        with zipfile.ZipFile(tmp_path / "upload", "w") as archive:
            archive.write(tmp_path / "a.tif", "0000")
    else:
        (tmp_path / "a.tif").rename(tmp_path / "upload")
    seen = look(tmp_path, recipe_of("image").input)
    assert (seen["group"], seen["size"], seen.get("channels", [])) == ("picture", [20, 30], [])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a_0001.png"], r"lacks channel 1 \(t1\)"),
        (["readme.png"], r"lacks channel 1 \(t1\) and channel 2 \(t2\)"),
        (["a_0000.png", "b_0000.png", "a_0001.png"], "channel 1 twice"),
        (["a_0000.png", "a_0001.txt"], "none of the kinds"),
    ],
)
def test_what_is_no_case_of_the_model_is_refused(tmp_path, names, said):
    content = files(tmp_path, "image")[0].read_bytes()
    with zipfile.ZipFile(tmp_path / "upload", "w") as archive:
        for name in names:
            archive.writestr(name, b"words" if name.endswith(".txt") else content)
    with pytest.raises(gracile.errors.DataError, match=said):
        look(tmp_path, recipe_of("image").input)


def test_channels_of_other_sizes_are_refused_before_they_wait(tmp_path):
    paths = [files(tmp_path, "image")[0], write_image(tmp_path / "b.png", np.zeros((30, 30)))]
    with zipfile.ZipFile(tmp_path / "upload", "w") as archive:
        for number, path in enumerate(paths):
            archive.write(path, f"{number:04d}")
    with pytest.raises(gracile.errors.DataError, match="30 x 30 pixels"):
        look(tmp_path, recipe_of("image").input)


@KINDS
def test_the_viewer_shows_the_channel_that_the_recipe_names(models, tmp_path, kind):
    paths = files(tmp_path, kind)
    gracile.predict(models[kind], tmp_path / "imagesTr", tmp_path / "out", report=False)
    results = read_results(tmp_path / "out")
    (record,) = results.records
    shown = {}
    for name in ("t1", "t2"):
        cache = tmp_path / name
        cache.mkdir()
        wanted = InputSpec(**{**results.wanted, "shown": name})
        classes = [ClassSpec(**spec) for spec in results.classes]
        scene = build_scene(CaseFiles(record, classes, results.folder, results.source(record), None, cache, wanted))
        assert not [flag for flag in scene.content["flags"] if "shown" in flag]
        shown[name] = Path(scene.files["image" if kind == "volume" else "base"]["path"])
    for name, path in zip(("t1", "t2"), paths, strict=True):
        if kind == "volume":
            first, second = (np.asarray(nibabel.load(one).dataobj) for one in (shown[name], path))
            np.testing.assert_allclose(first, second, rtol=1e-5)
        else:
            drawn, stored = (np.asarray(Image.open(one).convert("L"), float) for one in (shown[name], path))
            assert abs(drawn - stored).mean() < 6, "but for the JPEG"
