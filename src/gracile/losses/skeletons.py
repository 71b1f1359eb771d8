"""Losses of slender structures, by their skeletons."""

import numpy as np
import torch
from torch import Tensor, nn

from gracile.errors import RecipeError
from gracile.losses.base import Structures, joined


class CenterlineDice(nn.Module):
    """One minus soft centerline Dice of each structure over the batch, averaged (Shit et al., CVPR 2021).

    Of the probabilities P and the truth T with their soft skeletons S, the paper's (arXiv:2003.07311) topology
    precision is ``sum(S(P) T) / sum(S(P))``, its topology sensitivity ``sum(S(T) P) / sum(S(T))``, and clDice their
    harmonic mean; 1 is added to all four sums. Soft skeletons are MONAI's, in two and three dimensions: what each
    opening takes away, while the structure is eroded again and again. As published, erosion is the smallest value
    along each axis by itself, a cross, and dilation the largest of the square or cube.

    Args:
        structures: Class indices of each structure.
        iterations: Erosions; at least the radius of the widest structure in pixels or voxels.

    Raises:
        RecipeError: ``iterations`` is negative.
    """

    def __init__(self, structures: Structures, iterations: int = 5) -> None:
        super().__init__()
        if iterations < 0:
            raise RecipeError(f"The loss 'cldice' cannot erode {iterations} times.", "Take 0 or more; 5 is usual.")
        self.structures = dict(structures)
        self.iterations = iterations

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        probabilities = joined(logits.softmax(dim=1), self.structures)[:, :-1] * region
        target = joined(truth, self.structures)[:, :-1] * region
        axes = (0, *range(2, logits.ndim))
        # Not with the module: MONAI takes seconds to load, and pictures of most recipes need none of it here.
        from monai.losses.cldice import soft_skel

        found, true = soft_skel(probabilities, self.iterations), soft_skel(target, self.iterations)
        precision = ((found * target).sum(axes) + 1.0) / (found.sum(axes) + 1.0)
        sensitivity = ((true * probabilities).sum(axes) + 1.0) / (true.sum(axes) + 1.0)
        return 1.0 - (2.0 * precision * sensitivity / (precision + sensitivity)).mean()


class SkeletonRecall(nn.Module):
    """One minus the soft recall of each structure's own middle, averaged (Kirchhoff et al., ECCV 2024).

    Of the truth's skeleton S, widened to a tube and kept within the truth, the paper's (arXiv:2404.03010) recall is
    ``sum(S P) / sum(S)``, over the batch; 1 is added to both sums, so that what a batch does not show costs nothing.
    Only the truth is thinned, so that it costs little, in memory too. It says nothing of what is found beside the
    structure: another term has to.

    Args:
        structures: Class indices of each structure.
        tube: Pixels or voxels by which the skeleton is widened on each side.

    Raises:
        RecipeError: ``tube`` is negative.
    """

    def __init__(self, structures: Structures, tube: int = 2) -> None:
        super().__init__()
        if tube < 0:
            raise RecipeError(
                f"The loss 'skeleton-recall' cannot widen a skeleton by {tube}.", "Take 0 or more; 2 is usual."
            )
        self.structures = dict(structures)
        self.tube = tube

    def forward(self, logits: Tensor, truth: Tensor, region: Tensor) -> Tensor:
        probabilities = joined(logits.softmax(dim=1), self.structures)[:, :-1]
        target = joined(truth, self.structures)[:, :-1] * region > 0.5
        tubes = torch.from_numpy(np.stack([[self._tube(one) for one in sample] for sample in target.cpu().numpy()]))
        middle = tubes.to(probabilities.device, probabilities.dtype) * region
        axes = (0, *range(2, logits.ndim))
        recall = ((middle * probabilities).sum(axes) + 1.0) / (middle.sum(axes) + 1.0)
        return 1.0 - recall.mean()

    def _tube(self, structure: np.ndarray) -> np.ndarray:
        """``(*spatial)`` bool: a structure's skeleton, widened within it."""
        if not structure.any():
            return structure
        # Not with the module: it takes a second to load, and most recipes need none of it.
        from scipy.ndimage import binary_dilation
        from skimage.morphology import skeletonize

        # By one method, without axes of one sample, so that a volume of one slice costs what its picture does.
        flat = structure.squeeze()
        middle = skeletonize(flat, method="lee").astype(bool) if flat.ndim > 1 else flat
        middle = middle.reshape(structure.shape)
        if not self.tube:
            return middle
        cube = np.ones((3,) * structure.ndim, dtype=bool)
        return binary_dilation(middle, cube, iterations=self.tube, mask=structure)
