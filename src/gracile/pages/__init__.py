"""Pages: built from results, scores, comparisons and studies, out of the pieces of `gracile.report`."""
