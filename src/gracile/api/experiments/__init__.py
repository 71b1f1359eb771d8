"""What stands above single runs: two models compared, a recipe's settings tuned, curves over training-set sizes."""

from gracile.api.experiments.comparing import compare, compare_held_back
from gracile.api.experiments.few_shot import FewShot, few_shot
from gracile.api.experiments.folds import asks_for_folds, is_fold_run, train_folds
from gracile.api.experiments.tuning import tune

__all__ = [
    "FewShot",
    "asks_for_folds",
    "compare",
    "compare_held_back",
    "few_shot",
    "is_fold_run",
    "train_folds",
    "tune",
]
