"""The fuse stage: all classes of a whole picture at once, from fused branches."""

import numpy as np

from gracile.stages.base import Finding, Stage
from gracile.stages.copies import Copies, ends_of, members_of
from gracile.stages.decisions import decide, mend
from gracile.stages.segment import delineated
from gracile.transforms import Prepared
from gracile.transforms.frames import Frame

NETWORK_SIZE = "network_size"
"""Name under which a finding keeps the probabilities at the network's own size."""


class FuseStage(Stage):
    """Delineates the recipe's classes in the whole prepared picture at once, in the network's size.

    Zhou et al., Learning to Address Intra-segment Misclassification in Retinal Imaging, MICCAI 2021.
    """

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        frame = Frame.around(prepared.region.shape, self.spec.size)
        image = frame.place(np.asarray(prepared.image, dtype=np.float32))
        copies = Copies(self.decide)
        each = copies.take if finding.signed and self.spec.flips else None
        probabilities = delineated(self.run, image, self.recipe.opposites, self.spec.flips, each=each)
        finding.take_copies(copies.signs(members_of(self.recipe)), copies.place(ends_of()))
        if self.spec.keep_network_size:
            finding.extras[NETWORK_SIZE] = probabilities
        finding.probabilities = frame.restore(probabilities)
        return finding

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        return decide(probabilities, self.spec.decision)

    def tidy(self, mask: np.ndarray, probabilities: np.ndarray) -> list[str]:
        return mend(mask, probabilities, self.recipe, self.spec.decision)
