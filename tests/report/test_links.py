"""A link leads from its page to the file, wherever both lie and by whatever name the page's folder is opened."""

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import pytest

from gracile.report import relative_link


def followed(link, page):
    """The file that a browser opens which shows the page under this path."""
    return Path(os.fsdecode(unquote_to_bytes(urlsplit(urljoin(Path(page).absolute().as_uri(), link)).path)))


def make(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"picture")
    return path


@pytest.mark.parametrize("page", ["report.html", "pages/report.html", "a/b c/report #1.html"])
@pytest.mark.parametrize("image", ["01.png", "images/01.png", "my images/50 % #1?.png", "b:c/ö.png"])
def test_a_link_is_relative_and_leads_to_the_file(tmp_path, page, image):
    target = make(tmp_path / image)
    link = relative_link(target, tmp_path / page)
    assert not urlsplit(link).scheme
    assert followed(link, tmp_path / page) == target


def test_paths_may_be_typed_from_the_folder_one_is_in(tmp_path, monkeypatch):
    make(tmp_path / "data" / "01.png")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert relative_link(Path("../data/01.png"), Path("scores.html")) == "../data/01.png"
    assert relative_link(tmp_path / "data" / "01.png", Path("pages/scores.html")) == "../../data/01.png"


def test_a_name_that_is_no_unicode_is_escaped(tmp_path):
    target = make(tmp_path / os.fsdecode(b"\xff.png"))
    assert relative_link(target, tmp_path / "report.html") == "%FF.png"


def test_a_folder_behind_a_symbolic_link_is_reached_by_both_its_names(tmp_path):
    target = make(tmp_path / "store" / "images" / "01.png")
    (tmp_path / "far" / "away").mkdir(parents=True)
    short = tmp_path / "far" / "away" / "short"
    short.symlink_to(tmp_path / "store")
    for typed, page in (
        (short / "images" / "01.png", short / "report.html"),
        (target, short / "report.html"),
        (short / "images" / "01.png", tmp_path / "report.html"),
    ):
        link = relative_link(typed, page)
        for opened in (page, page.parent.resolve() / page.name):
            assert followed(link, opened).samefile(target), (typed, opened)
    assert relative_link(short / "images" / "01.png", short / "report.html") == "images/01.png"


def test_a_file_that_links_elsewhere_keeps_its_own_name(tmp_path):
    stored = make(tmp_path / "objects" / "5f2a")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "01.png").symlink_to(stored)
    assert relative_link(tmp_path / "images" / "01.png", tmp_path / "report.html") == "images/01.png"


def test_a_step_up_behind_a_symbolic_link_is_that_of_the_disk(tmp_path):
    target = make(tmp_path / "store" / "01.png")
    (tmp_path / "store" / "inner").mkdir()
    (tmp_path / "short").symlink_to(tmp_path / "store" / "inner")
    link = relative_link(tmp_path / "short" / ".." / "01.png", tmp_path / "report.html")
    assert followed(link, tmp_path / "report.html") == target
