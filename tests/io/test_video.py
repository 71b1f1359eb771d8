"""Videos in: what decodes is kept with its times, what is broken is said. Videos out: times, sizes, nothing half."""

from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from gracile.errors import DataError, UsageError
from gracile.io.video import _upright, open_video
from gracile.io.video_writing import write_video

RATE = Fraction(10)


def pictures(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Gray frames, each 8 levels lighter than the one before, with a red square in the upper left corner."""
    frames = [np.full((height, width, 3), 40 + 8 * index, np.uint8) for index in range(count)]
    for frame in frames:
        frame[:16, :16] = (220, 20, 20)
    return frames


def write_clip(path: Path, frames: list[np.ndarray], times: list[int] | None = None, **options) -> Path:
    """A clip by PyAV alone: ``times`` in milliseconds, else one frame every tenth of a second."""
    codec = "mjpeg" if path.suffix == ".avi" else "libx264"
    layout = {"options": options["layout"]} if "layout" in options else {}
    with av.open(str(path), "w", **layout) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv444p"
        stream.gop_size = 5
        if times:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if "ratio" in options:
            stream.codec_context.sample_aspect_ratio = options["ratio"]
        if "turned" in options:
            stream.set_display_rotation(options["turned"])
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = times[index] if times else index
            frame.time_base = Fraction(1, 1000) if times else 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read(source: Path) -> tuple[list[np.ndarray], list[float], list[str]]:
    with open_video(source) as video:
        frames = list(video)
        assert all(frame.image.shape == (*video.size, 3) for frame in frames)
        assert all(frame.image.dtype == np.uint8 for frame in frames)
    return [f.image for f in frames], [round(f.seconds, 6) for f in frames], video.flaws


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi", ".mkv"])
def test_a_clip_gives_all_frames_in_order_with_their_times(tmp_path, suffix):
    images, times, flaws = read(write_clip(tmp_path / f"clip{suffix}", pictures(12)))
    assert times == [index / 10 for index in range(12)]
    for image, drawn in zip(images, pictures(12), strict=True):
        assert abs(int(image[40, 40, 0]) - int(drawn[40, 40, 0])) <= 3
        assert np.abs(image[8, 8].astype(int) - drawn[8, 8]).max() <= 12
    assert not flaws


def test_times_that_vary_are_kept(tmp_path):
    milliseconds = [0, 20, 140, 150, 400, 410, 900]
    _, times, flaws = read(write_clip(tmp_path / "clip.mp4", pictures(7), milliseconds))
    assert times == [value / 1000 for value in milliseconds]
    assert not flaws


def test_odd_sizes_are_read_as_they_are(tmp_path):
    images, _, _ = read(write_clip(tmp_path / "clip.mp4", pictures(3, 47, 61)))
    assert images[0].shape == (47, 61, 3)


@pytest.mark.parametrize(("degrees", "corner"), [(90, (-8, 8)), (-90, (8, -8)), (180, (-8, -8))])
def test_the_rotation_of_a_phone_is_obeyed(tmp_path, degrees, corner):
    images, _, _ = read(write_clip(tmp_path / "clip.mp4", pictures(3), turned=degrees))
    assert images[0].shape == ((48, 64, 3) if degrees == 180 else (64, 48, 3))
    assert images[0][corner][0] > 180
    assert images[0][corner][1] < 60


@pytest.mark.parametrize("mirrored", product((-1, 1), repeat=2))
@pytest.mark.parametrize("aside", [False, True])
def test_a_display_matrix_of_any_of_the_eight_kinds_is_obeyed(mirrored, aside):
    (a, b), (c, d) = matrix = np.diag(mirrored)[:, :: -1 if aside else 1]
    image = np.arange(6).reshape(2, 3, 1)
    shown = _upright(image, matrix)
    places = np.array([[a * x + c * y, b * x + d * y] for y in range(2) for x in range(3)])
    places -= places.min(axis=0)
    for value, (column, row) in enumerate(places):
        assert shown[row, column, 0] == value


@pytest.mark.parametrize(("ratio", "size"), [(Fraction(2), (48, 128)), (Fraction(1, 2), (96, 64))])
def test_pixels_are_made_square(tmp_path, ratio, size):
    path = write_clip(tmp_path / "clip.mp4", pictures(3), ratio=ratio)
    with open_video(path) as video:
        assert video.size == size
        assert [frame.image.shape for frame in video] == [(*size, 3)] * 3
        assert any("made square" in note for note in video.notes)


def test_of_several_videos_in_a_file_the_largest_is_taken(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("mpeg4", rate=10) for _ in range(2)]
        for stream, (width, height) in zip(streams, ((32, 16), (64, 48)), strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for stream in streams:
            image = np.zeros((stream.height, stream.width, 3), np.uint8)
            for packet in (*stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")), *stream.encode(None)):
                container.mux(packet)
    with open_video(path) as video:
        assert video.size == (48, 64)


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_a_truncated_clip_gives_what_is_there_and_says_so(tmp_path, suffix):
    random = np.random.default_rng(0)
    noise = [random.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(20)]
    path = write_clip(tmp_path / f"clip{suffix}", noise, layout={"movflags": "faststart"} if suffix == ".mp4" else {})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    _, times, flaws = read(path)
    assert 5 <= len(times) < 16
    assert times == [index / 10 for index in range(len(times))]
    assert any("truncated" in flaw for flaw in flaws)


def test_a_recording_that_was_not_ended_is_said(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", pictures(20))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="index is missing"):
        open_video(path)


def test_damage_in_the_middle_costs_some_frames_not_the_rest(tmp_path):
    path = write_clip(tmp_path / "clip.avi", pictures(20))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(content)
    _, times, flaws = read(path)
    assert len(times) >= 15
    assert times[-1] == 1.9
    assert flaws or len(times) == 20


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "clip.mov"])
def test_a_file_without_a_byte_or_without_sense_is_refused(tmp_path, name):
    path = tmp_path / name
    path.touch()
    with pytest.raises(DataError, match="zero bytes"):
        open_video(path)
    path.write_bytes(b"no video at all" * 100)
    with pytest.raises(DataError, match="cannot be read as a video"):
        open_video(path)
    with pytest.raises(DataError, match="cannot be opened"):
        open_video(tmp_path / "absent.mp4")


def test_a_video_without_frames_is_refused(tmp_path):
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        container.start_encoding()
    with pytest.raises(DataError, match=r"no frame|cannot be read"):
        open_video(path)


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DataError, match="no video in it"):
        open_video(path)


def test_a_camera_that_is_not_there_is_said():
    with pytest.raises(DataError, match="no camera 987"):
        open_video(987)


def test_a_folder_of_pictures_is_a_video_and_bad_ones_are_left_out(tmp_path):
    for index, image in enumerate(pictures(4)):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(tmp_path / "1.png")
    (tmp_path / "2.png").write_bytes(b"")
    images, times, flaws = read(tmp_path)
    assert times == [0, 3 / 25]
    np.testing.assert_array_equal(images, [pictures(4)[0], pictures(4)[3]])
    assert ["1.png" in flaws[0], "2.png" in flaws[1]] == [True, True]


def test_an_empty_folder_is_no_video(tmp_path):
    with pytest.raises(DataError, match="no pictures"):
        open_video(tmp_path)


def written(path: Path, frames: list[np.ndarray], times: list[int], base: Fraction) -> list[str]:
    with write_video(path, frames[0].shape[:2], RATE, base) as writer:
        for image, pts in zip(frames, times, strict=True):
            writer.write(image, pts)
    return writer.notes


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi"])
def test_what_is_written_is_read_back(tmp_path, suffix):
    notes = written(tmp_path / f"clip{suffix}", pictures(9), list(range(9)), 1 / RATE)
    images, times, flaws = read(tmp_path / f"clip{suffix}")
    assert times == [index / 10 for index in range(9)]
    assert np.abs(np.array(images).astype(int) - np.array(pictures(9))).mean() < 3
    assert (notes, flaws) == ([], [])


def test_an_mp4_keeps_times_that_vary_and_do_not_begin_at_zero(tmp_path):
    milliseconds = [500, 520, 640, 650, 900, 910, 1400]
    notes = written(tmp_path / "clip.mp4", pictures(7), milliseconds, Fraction(1, 1000))
    _, times, flaws = read(tmp_path / "clip.mp4")
    assert times == [value / 1000 for value in milliseconds]
    assert (notes, flaws) == ([], [])


def test_an_avi_rounds_times_that_vary_to_its_rate_and_says_so(tmp_path):
    notes = written(tmp_path / "clip.avi", pictures(4), [0, 120, 130, 400], Fraction(1, 1000))
    _, times, _ = read(tmp_path / "clip.avi")
    assert times == [0, 0.1, 0.2, 0.4]
    assert "one frame rate" in notes[0]


def test_odd_sides_get_their_last_row_and_column_once_more_in_h264_alone(tmp_path):
    for suffix, size in ((".mp4", (48, 62)), (".avi", (47, 61))):
        written(tmp_path / f"clip{suffix}", pictures(3, 47, 61), [0, 1, 2], 1 / RATE)
        images, _, _ = read(tmp_path / f"clip{suffix}")
        assert images[0].shape[:2] == size


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError("no more")])
def test_an_interrupt_leaves_no_half_file_and_the_old_one(tmp_path, suffix, error):
    def begin():
        with write_video(path, (48, 64), RATE, 1 / RATE) as writer:
            writer.write(pictures(1)[0], 0)
            raise error

    path = tmp_path / f"clip{suffix}"
    path.write_bytes(b"old")
    with pytest.raises((KeyboardInterrupt, DataError)):
        begin()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_video_without_frames_or_with_frames_of_two_sizes_is_not_written(tmp_path):
    path = tmp_path / "clip.mp4"
    with pytest.raises(DataError, match="no frame"), write_video(path, (48, 64), RATE, 1 / RATE):
        pass
    with pytest.raises(DataError, match="shape"), write_video(path, (48, 64), RATE, 1 / RATE) as writer:
        writer.write(pictures(1, 50, 64)[0], 0)
    with pytest.raises(UsageError, match="no such video"), write_video(tmp_path / "a.gif", (48, 64), RATE, 1 / RATE):
        pass
    assert not list(tmp_path.iterdir())


def test_frames_of_a_folder_come_as_people_count(tmp_path):
    for number in (1, 2, 10):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"frame{number}.png")
    assert [int(image[0, 0, 0]) for image in read(tmp_path)[0]] == [1, 2, 10]


def test_a_video_of_an_unknown_compression_is_refused_in_words(tmp_path):
    path = write_clip(tmp_path / "clip.avi", [np.full((32, 48, 3), 90, np.uint8)] * 3)
    content = path.read_bytes()
    start = content.index(b"strh") + 12  # what decodes it, in the header and in the format of the stream
    coded = content.index(b"strf") + 24
    path.write_bytes(content[:start] + b"ZZZZ" + content[start + 4 : coded] + b"ZZZZ" + content[coded + 4 :])
    with pytest.raises(DataError, match="of a kind that is not known"), open_video(path):
        pass
