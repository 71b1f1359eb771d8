"""How well a model's window classifier tells windows apart: precision, recall and F1 of each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gracile.bundle import Bundle
from gracile.data import CaseFiles, read_case
from gracile.errors import DataError, UsageError
from gracile.evaluation.class_scores import Classified, class_scores
from gracile.stages.views import softmax
from gracile.transforms import prepare

AVERAGES = ("macro", "micro", "weighted")
_OF_A_CLASS = ("precision", "recall", "f1")


def score_windows(bundle: Bundle, cases: Sequence[CaseFiles]) -> dict[str, Any]:
    """Classify windows of labeled volumes, drawn as for validation: as many of each landmark as of the background.

    Args:
        bundle: With a stage of windows.
        cases: Those without points are left out.

    Returns:
        ``classes``: a row per class with ``class``, ``windows``, ``precision``, ``recall`` and ``f1``; ``averages``: a
        row each of macro, micro and weighted; ``windows``: how many there are.

    Raises:
        DataError: No case has points.
        UsageError: The model classifies no windows.
    """
    from gracile.learning.learners import TorchRunner
    from gracile.learning.runner import trained_learner

    recipe = bundle.recipe
    spec = next((spec for spec in recipe.stages if spec.role == "scans windows"), None)
    if spec is None:
        raise UsageError(f"The recipe {recipe.name} classifies no windows.", "Leave --windows out.")
    learners = [
        trained_learner(part, own) for part in bundle.parts for own in part.recipe.stages if own.role == "scans windows"
    ]
    learner, scores_of = learners[0], [TorchRunner(one, "float32") for one in learners]
    pointed = [files for files in cases if files.points]
    if not pointed:
        raise DataError("No case has points to cut windows around.", "Name a folder of volumes and their points.")
    answers, targets = [], []
    for files in pointed:
        prepared = prepare(read_case(files, recipe), recipe)[0]
        samples = learner.held_back([prepared])[0]
        windows = samples["image"].numpy()
        answers.append(np.mean([softmax(score(windows), axis=1) for score in scores_of], axis=0))
        targets.append(samples["target"].numpy())
    probabilities, truth = np.concatenate(answers), np.concatenate(targets)
    names = learner.answer_names()
    answered = Classified(names, False, truth, probabilities, probabilities.argmax(axis=1))
    scores = {name: float(values[0]) for name, values in class_scores(answered, np.ones((1, len(truth)))).items()}
    known = {name: value if np.isfinite(value) else None for name, value in scores.items()}
    return {
        "windows": len(truth),
        "classes": [
            {
                "class": name,
                "windows": int((truth == index).sum()),
                **{score: known[f"{score}_{name}"] for score in _OF_A_CLASS},
            }
            for index, name in enumerate(names)
        ],
        "averages": [
            {"average": average, **{score: known[f"{score}_{average}"] for score in _OF_A_CLASS}}
            for average in AVERAGES
        ],
    }
