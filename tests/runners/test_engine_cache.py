"""What engines keep lies in the user's cache folder and stays small."""

import os

from gracile.names import cache_root
from gracile.runners.engine_cache import cache_for


def fill(folder, size, age):
    (folder / "blob").write_bytes(bytes(size))
    os.utime(folder, (1_000_000 - age, 1_000_000 - age))


def test_what_was_asked_for_longest_ago_goes_first(cache_home):
    folders = [cache_for("openvino", version, key) for version, key in (("1", "a"), ("2", "b"), ("2", "c"))]
    for age, folder in zip((30, 10, 20), folders, strict=True):
        fill(folder, 100, age)
    new = cache_for("openvino", "2", "d", largest=250)
    assert new.is_dir()
    assert [folder.exists() for folder in folders] == [False, True, True]
    assert not folders[0].parent.exists()
    assert cache_for("openvino", "2", "c", largest=150) == folders[2]
    assert [folder.exists() for folder in folders] == [False, False, True]


def test_what_is_asked_for_stays_even_if_it_is_too_large(cache_home):
    own = cache_for("openvino", "1", "a")
    fill(own, 100, 0)
    assert cache_for("openvino", "1", "a", largest=10) == own
    assert (own / "blob").exists()


def test_the_folder_is_the_user_s(monkeypatch, tmp_path, cache_home):
    assert cache_root() == cache_home / "gracile"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_root() == tmp_path / "home" / ".cache" / "gracile"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == tmp_path / "home" / ".cache" / "gracile"
