"""The order in which cases are looked at where not all can be."""

import numpy as np
import pytest

from gracile.data.spread import spread


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 60, 101])
def test_every_item_comes_once_and_the_first_few_from_everywhere(count: int) -> None:
    order = spread(range(count))
    assert sorted(order) == list(range(count))
    for some in (4, 10, 30):
        if some <= count:
            quarters = np.bincount([4 * place // count for place in order[:some]], minlength=4)
            assert quarters.min() >= some // 4 - 1


def test_of_nothing_there_is_nothing() -> None:
    assert spread([]) == []
