"""A checkpoint is read as it was written, or refused with what to do."""

import random
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from gracile.errors import DataError, WriteError
from gracile.learning.checkpoints import WholeCheckpoints, read_checkpoint, take_weights
from tests.io.full import full_disk_beyond


class Named(nn.Linear):
    """A stage, as far as its weights go."""

    name = "vessels"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    state = {f"stage.{name}": value for name, value in Named(40, 30).state_dict().items()}
    path = tmp_path / "vessels" / "last.ckpt"
    WholeCheckpoints().save_checkpoint({"epoch": 3, "state_dict": state, "scores": {"validation_dice": 0.5}}, path)
    return path


def test_a_whole_one_is_read(checkpoint: Path) -> None:
    stage = Named(40, 30)
    content = read_checkpoint(checkpoint)
    take_weights(stage, content, checkpoint)  # type: ignore[arg-type]
    assert content["epoch"] == 3
    assert torch.equal(stage.weight, content["state_dict"]["stage.weight"])


@pytest.mark.parametrize("seed", range(12))
def test_a_bit_that_changed_in_the_weights_is_noticed(checkpoint: Path, seed: int) -> None:
    with zipfile.ZipFile(checkpoint) as archive:
        member = max(archive.infolist(), key=lambda info: info.file_size)
    content = bytearray(checkpoint.read_bytes())
    content[member.header_offset + 400 + random.Random(seed).randrange(3000)] ^= 16
    checkpoint.write_bytes(content)
    with pytest.raises(DataError, match="is damaged or was cut off") as caught:
        read_checkpoint(checkpoint)
    assert f"Delete {checkpoint.parent} and resume" in caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"no checkpoint"])
def test_what_is_none_is_told(checkpoint: Path, content: bytes) -> None:
    checkpoint.write_bytes(content)
    with pytest.raises(DataError, match=r"last\.ckpt is damaged or was cut off"):
        read_checkpoint(checkpoint)
    checkpoint.unlink()
    with pytest.raises(DataError, match="No such file"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "content", [[1], {"epoch": 1}, {"epoch": "one", "state_dict": {}}, {"epoch": 1, "state_dict": []}]
)
def test_an_archive_of_something_else_is_told(checkpoint: Path, content: object) -> None:
    torch.save(content, checkpoint)
    with pytest.raises(DataError, match="does not hold what it should"):
        read_checkpoint(checkpoint)


def test_code_in_one_is_not_run(checkpoint: Path, tmp_path: Path) -> None:
    class Code:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"epoch": 1, "state_dict": {}, "code": Code()}, checkpoint)
    with pytest.raises(DataError, match="damaged"):
        read_checkpoint(checkpoint)
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_network_are_told(checkpoint: Path) -> None:
    with pytest.raises(DataError, match="of another network than the stage 'vessels' has"):
        take_weights(Named(40, 31), read_checkpoint(checkpoint), checkpoint)  # type: ignore[arg-type]


def test_a_full_disk_is_told_as_that_and_the_one_before_stays(checkpoint: Path) -> None:
    before = checkpoint.read_bytes()
    large = {"epoch": 4, "state_dict": {"stage.weight": torch.zeros(100_000)}}
    with full_disk_beyond(20_000), pytest.raises(WriteError, match=r"The disk is full: .*last\.ckpt"):
        WholeCheckpoints().save_checkpoint(large, checkpoint)
    assert checkpoint.read_bytes() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["last.ckpt"]
