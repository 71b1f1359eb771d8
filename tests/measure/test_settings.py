"""Settings of measures given at prediction are checked before anything is looked at."""

import pytest

from gracile.errors import UsageError
from gracile.measure import require_known_settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"um_per_pixel": "4.5"}, "cannot be '4.5'"),
        ({"um_per_pixel": 0}, "above zero"),
        ({"um_per_pixel": float("nan")}, "cannot be nan"),
        ({"disc": (1, 2)}, "row, column and diameter"),
        ({"disc": (1, 2, -3)}, "row, column and diameter"),
        ({"levels": 5}, "label volume"),
        ({"levels": "levels.nii.gz", "level_range": ("C2", "C3")}, "C2:C3"),
        ({"level_range": "C2:C3"}, "Add --levels"),
        ({"um_per_pixels": 4.5}, "Did you mean um_per_pixel"),
    ],
)
def test_what_cannot_be_is_refused_by_name(settings, words):
    with pytest.raises(UsageError, match=words):
        require_known_settings(settings)


def test_what_can_be_is_taken():
    require_known_settings({"um_per_pixel": 4, "disc": [1, 2.5, 30], "levels": "x", "level_range": "C2:C3"})
    require_known_settings({"um_per_pixel": None, "disc": None})
