"""Names in messages are few, and how many more there are is said."""

import pytest

from gracile.evaluation.tables import some


@pytest.mark.parametrize(
    ("names", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b and 2 more")]
)
def test_no_more_names_are_told_of_than_there_are(names, said):
    assert some(names, 2) == said
