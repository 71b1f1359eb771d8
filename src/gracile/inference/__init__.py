"""Many inputs through a pipeline: shards, resume, files on disk, one report."""

from gracile.inference.inputs import Input, Shard, find_inputs
from gracile.inference.options import Options, VideoOptions
from gracile.inference.predict import Summary, predict
from gracile.inference.run_folder import merge_shards

__all__ = [
    "Input",
    "Options",
    "Shard",
    "Summary",
    "VideoOptions",
    "find_inputs",
    "merge_shards",
    "predict",
]
