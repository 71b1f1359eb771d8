"""What a person should look at before an answer is believed: flags about one case, its input and its answer."""

from gracile.trust.case_flags import case_figures, case_flags
from gracile.trust.ordinary import Ordinary, Range

__all__ = ["Ordinary", "Range", "case_figures", "case_flags"]
