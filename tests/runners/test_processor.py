"""bfloat16 is taken for granted nowhere."""

import pytest

from gracile.runners.processor import computes_bfloat16, usable_cores


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16 ssse3\n", True),
        ("flags\t\t: amx_tile amx_bf16\n", True),
        ("flags\t\t: fpu avx2\nbugs\t: avx512_bf16\n", False),
        ("flags\t\t: not_avx512_bf16x\n", False),
        ("", False),
    ],
)
def test_the_processor_s_flags_tell(text, expected, tmp_path):
    (tmp_path / "cpuinfo").write_text(text)
    assert computes_bfloat16(tmp_path / "cpuinfo") is expected


def test_a_system_that_does_not_tell_has_none(tmp_path):
    assert not computes_bfloat16(tmp_path / "absent")


def test_there_is_a_core():
    assert usable_cores() >= 1
