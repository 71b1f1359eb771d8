"""How good answers are, learned from those of folds; and what it says of each of them, learned from the other folds."""

from collections.abc import Mapping, Sequence
from typing import Any

from gracile.api.quality import quality_card, score_of
from gracile.errors import DataError
from gracile.io.predictions_file import Record
from gracile.recipe import Recipe
from gracile.trust import HeldAnswer, QualityMap, learn_quality


def learned_quality(
    held: Sequence[HeldAnswer], recipe: Recipe, fold_of: Mapping[str, int], records: Sequence[Record]
) -> dict[str, Any] | str:
    """What the card of a run of folds holds of how good answers are.

    It is learned from answers of single models and serves the ensemble of all of them: of signs that members leave, the
    ensemble has the means, so that they mean the same. How alike its members are is no sign that one model's answers
    could teach, and has no weight. An ensemble's answers are mostly a little better than predicted.

    Args:
        held: Answers of models that did not see the cases.
        recipe: Of all of them.
        fold_of: The fold of each case.
        records: Of the answers; each is given the quality that is predicted by what was learned from the other folds.
    """
    card = quality_card(held, recipe)
    if isinstance(card, str):
        return card
    by_case = {one.case: one for one in held}
    for fold in sorted(set(fold_of.values())):
        try:
            entry = learn_quality([one for one in held if fold_of[one.case] != fold], score_of(recipe))
        except DataError:
            continue
        for record in records:
            one = by_case.get(record["name"])
            if one is not None and fold_of[one.case] == fold:
                said = QualityMap(entry).of(one.answer)
                record["quality"] = None if isinstance(said, str) else said.summary()
    return card
