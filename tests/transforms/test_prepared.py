"""What is asked of a prepared case that it cannot have is told."""

import numpy as np
import pytest

from gracile.transforms import Prepared


def test_a_prepared_picture_has_no_spacing_and_no_place_in_a_patient():
    picture = Prepared(np.zeros((1, 4, 5), np.float32), np.ones((4, 5), bool), None)
    with pytest.raises(ValueError, match="no spacing"):
        _ = picture.spacing_mm
    with pytest.raises(ValueError, match="nowhere in a patient"):
        _ = picture.to_patient


def test_a_prepared_volume_has_the_sizes_of_its_voxels():
    affine = np.array([[0, 0, 3.0, 5], [2.0, 0, 0, 6], [0, 1.0, 0, 7], [0, 0, 0, 1]])
    volume = Prepared(np.zeros((1, 4, 5, 6), np.float32), np.ones((4, 5, 6), bool), None, affine=affine)
    np.testing.assert_allclose(volume.spacing_mm, [2, 1, 3])
    np.testing.assert_allclose(volume.to_patient @ [2, 1, 3, 1], affine @ [1, 1, 1, 1])
