"""Labels in DICOM: segmentations, and series of label values."""

import numpy as np

from gracile.data.volume_layouts import volume_folders
from gracile.io import read_volume, read_volume_labels
from gracile.io.dicom.segmentations import write_segmentation
from gracile.recipe import read_recipe
from tests.volumes_on_disk import marked, write_series

SHAPE = (5, 6, 4)
PLACE = np.diag([-1.0, -1.0, 2.0, 1.0])


def test_segmentations_and_series_are_labels(tmp_path):
    recipe = read_recipe("spinal-cord")
    mask = (marked(SHAPE, (1, 2, 3)) > 50).astype(np.uint8)
    for name in ("first", "second"):
        write_series(tmp_path / "images" / name, marked(SHAPE, (1, 2, 3)), PLACE)
    (tmp_path / "labels").mkdir()
    write_segmentation(tmp_path / "labels/first.seg.dcm", mask, recipe.classes, tmp_path / "images/first")
    write_series(tmp_path / "labels/second", mask.astype(np.int16), PLACE)
    listing = volume_folders(tmp_path, recipe)
    assert listing is not None
    assert not listing.faults
    assert [case.id for case in listing.cases] == ["first", "second"]
    for case in listing.cases:
        grid = read_volume(case.image, case.id).grid
        np.testing.assert_array_equal(read_volume_labels(case.label, recipe.classes, grid).values, mask)
