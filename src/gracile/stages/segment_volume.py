"""The segment stage for volumes: delineates in a column along a line, or in the whole volume."""

import numpy as np
from scipy import ndimage

from gracile.geometry.boxes import box_of_islands, widened
from gracile.stages.base import Finding, Stage
from gracile.stages.copies import Copies, ends_of, members_of
from gracile.stages.decisions import decide, tidy
from gracile.stages.views import Answered, in_views, overlapping, softmax, tiled
from gracile.transforms import Prepared
from gracile.transforms.column import Box
from gracile.transforms.evening import column_of, evened
from gracile.transforms.volume import restore_spacing

AT_ONCE = 2
"""Patches that the network answers at once."""


class SegmentVolumeStage(Stage):
    """Delineates the recipe's classes in a prepared volume.

    Along a line it sees a column of small slices, shifted slice by slice, whose intensities are standardized by the
    column's own; within what another stage found, the box around that; else the whole volume at the stage's spacing.
    Long columns and large volumes are predicted in overlapping patches with Gaussian weights. Probabilities may be
    smoothed along the volume's third axis.
    """

    def predict(self, image: np.ndarray, each: Answered | None = None) -> np.ndarray:
        """Probabilities ``(maps, x, y, z)`` of ``(channels, x, y, z)``; ``each`` is told those of each copy."""
        spec, recipe = self.spec, self.recipe
        shares = overlapping if recipe.regions else softmax

        def answer(view: np.ndarray) -> np.ndarray:
            patch = (*spec.size, min(spec.longest, view.shape[-1]) if spec.longest else spec.length)
            return tiled(lambda parts: shares(self.run(parts), axis=1), view, patch, spec.overlap, AT_ONCE)

        return in_views(
            answer, image, spec.mirrorings, spec.turns, recipe.map_opposites, recipe.prepare.left_right, each
        )  # fmt: skip

    def _predicted(self, image: np.ndarray, finding: Finding) -> np.ndarray:
        """What `predict` gives; how alike the copies are is left as signs."""
        copies = Copies(self.decide)
        several = len(self.spec.mirrorings) + len(self.spec.turns) > 1
        found = self.predict(image, copies.take if finding.signed and several else None)
        members = members_of(self.recipe)
        finding.take_copies(copies.signs(members), copies.place(ends_of(self.recipe.prepare.orientation)))
        if self.spec.follows_slices:
            finding.slices |= copies.by_slice(members)
        return found

    def find(self, prepared: Prepared, finding: Finding) -> Finding:
        outside = (1.0, *[0.0] * (len(self.recipe.maps) - 1))
        if self.spec.within:
            self._find_within(prepared, finding, outside)
        elif self._tells_where:
            coarse, steps = prepared.at_spacing(self.spec.spacing_mm)
            shares = self.predict(np.asarray(coarse, dtype=np.float32))
            near = box_of_islands([shares[0] < 0.5, *(share > 0.5 for share in shares[1:])])
            finding.boxes[self.name] = None if near is None else _in_voxels(near, steps)
            if near is None:
                finding.notes.append(f"nothing was found on the coarse copy of the stage {self.name}")
            return finding
        elif not self.spec.along:
            coarse, steps = prepared.at_spacing(self.spec.spacing_mm)
            found = self._predicted(np.asarray(coarse, dtype=np.float32), finding)
            finding.probabilities = restore_spacing(found, steps, prepared.image.shape[1:], outside)
            finding.box = None
        elif self.spec.along in finding.lines:
            column = column_of(prepared, finding.lines[self.spec.along], self.spec)
            found = self._predicted(evened(column, column.cut(prepared.image), self.spec.evening_mm), finding)
            finding.probabilities, finding.box = column.restore(found, outside), column.box
        if self.spec.smooth_mm and finding.probabilities is not None:
            sigma = self.spec.smooth_mm / prepared.spacing_mm[2]
            finding.probabilities = ndimage.gaussian_filter1d(finding.probabilities, sigma, axis=-1, mode="nearest")
        return finding

    @property
    def _tells_where(self) -> bool:
        """Whether its answer is but a box for a stage behind it, which need not be brought to the volume's voxels."""
        return any(getattr(spec, "within", "") == self.name for spec in self.recipe.stages)

    def _find_within(self, prepared: Prepared, finding: Finding, outside: tuple[float, ...]) -> None:
        """Delineate in the box of a stage before; where that found nothing, nothing is there."""
        near, shape = finding.boxes.get(self.spec.within), prepared.image.shape[1:]
        if near is None:
            finding.box = (slice(0, 1), slice(0, 1), slice(0, 1))
            finding.probabilities = np.array(outside, dtype=np.float32)[:, None, None, None]
            return
        finding.box = box = widened(near, self.spec.margin_mm / prepared.spacing_mm, shape)
        part = prepared.part(box)
        image, steps = part.at_spacing(self.spec.spacing_mm)
        found = self._predicted(np.asarray(image, dtype=np.float32), finding)
        finding.probabilities = restore_spacing(found, steps, part.image.shape[1:], outside)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        return decide(probabilities, self.spec.decision, self.recipe.written)

    def tidy(self, mask: np.ndarray, probabilities: np.ndarray) -> list[str]:
        return tidy(mask, self.recipe.class_names, self.spec.decision)


def _in_voxels(box: Box, steps: np.ndarray) -> Box:
    """A box of samples in the voxels that these stand for."""
    x, y, z = (
        slice(int(np.floor(side.start * step)), int(np.ceil(side.stop * step)))
        for side, step in zip(box, steps, strict=True)
    )
    return x, y, z
