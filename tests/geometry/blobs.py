import numpy as np
from hypothesis import strategies as st
from scipy import ndimage


@st.composite
def blobs(draw) -> np.ndarray:
    """Round and ragged shapes with holes, some at the border of the picture."""
    shape = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random(shape)
    noise = ndimage.gaussian_filter(noise, draw(st.sampled_from([0.0, 1.0, 3.0])), mode="nearest")
    return noise > np.quantile(noise, draw(st.sampled_from([0.2, 0.5, 0.9])))
