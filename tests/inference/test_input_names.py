"""The names of inputs among those that came before: the earlier one keeps its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gracile.inference.input_names import free_name, input_key


@pytest.mark.parametrize(
    ("key", "taken", "name"),
    [
        ("/data/s1/t2.nii.gz", {}, "t2"),
        ("/data/s2/t2.nii.gz", {"t2": "/data/s1/t2.nii.gz"}, "s2-t2"),
        ("/data/s2/anat/t2.nii.gz", {"t2": "/data/s1/anat/t2.nii.gz"}, "s2-t2"),
        ("/data/s2/t2.nii.gz", {"t2": "/data/s1/t2.nii.gz", "s2-t2": "/data/s2-t2.nii.gz"}, "data-s2-t2"),
        ("/data/s1/t2.nrrd", {"t2": "/data/s1/t2.nii.gz"}, "t2-nrrd"),
        ("/t2.nii", {"t2": "/t2.nii.gz", "t2-nii": "/t2-nii.nrrd"}, "t2-2"),
    ],
)
def test_a_name_that_is_taken_gets_what_tells_it_apart(key, taken, name):
    assert free_name(key, "t2", taken) == name


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.sampled_from(["x.png", "x.jpg", "y.png"]))))
def test_no_two_inputs_ever_share_a_name(parts):
    taken: dict[str, str] = {}
    for part in dict.fromkeys(parts):
        key = "/" + "/".join(part)
        name = free_name(key, part[-1].split(".")[0], taken)
        assert name not in taken
        taken[name] = key


def test_a_path_is_known_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "else")
    assert input_key("x/../a.png") == input_key("a.png") == str(tmp_path / "a.png")
    assert input_key("link/a.png") == str(tmp_path / "link" / "a.png")
