"""What the viewer draws is of bounded size."""

from pathlib import Path

from gracile.serve.drawn import DrawnCases


def draw(drawn: DrawnCases, index: int, size: int = 100) -> Path:
    place = drawn.place("scene", index)
    place.mkdir(exist_ok=True)
    (place / "scene.json").write_bytes(b"x" * size)
    drawn.keep(place)
    return place


def test_what_was_not_looked_at_for_longest_goes_first(tmp_path: Path) -> None:
    drawn = DrawnCases(tmp_path, most_bytes=350)
    for index in range(3):
        draw(drawn, index)
    drawn.place("scene", 0)  # looked at again
    draw(drawn, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene-0", "scene-2", "scene-3"]


def test_their_number_is_bounded_too_and_the_last_one_stays_however_large(tmp_path: Path) -> None:
    drawn = DrawnCases(tmp_path, most_bytes=150, most_folders=2)
    for index in range(5):
        draw(drawn, index)
    last = draw(drawn, 9, 10_000)
    assert last.is_dir()
    assert len(list(tmp_path.iterdir())) == 2
