import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.morphology import skeletonize

from gracile.geometry.thinning import thinned
from tests.geometry.blobs import blobs


@settings(max_examples=200, deadline=None)
@given(mask=blobs())
def test_it_is_the_thinning_of_lee_pixel_by_pixel(mask):
    assert (thinned(mask) == skeletonize(mask, method="lee").astype(bool)).all()


@settings(max_examples=50, deadline=None)
@given(shape=st.tuples(st.integers(1, 9), st.integers(1, 9)), full=st.booleans())
def test_full_and_empty_pictures_too(shape, full):
    mask = np.full(shape, full)
    assert (thinned(mask) == skeletonize(mask, method="lee").astype(bool)).all()
