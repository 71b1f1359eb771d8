"""Many inputs through a pipeline: shards, resume, files on disk, one report."""

from gracile.inference.inputs import Input, Shard, find_inputs
from gracile.inference.options import Options
from gracile.inference.predict import Summary, predict
from gracile.inference.run_folder import merge_shards
from gracile.inference.video import VideoOptions, predict_video

__all__ = [
    "Input",
    "Options",
    "Shard",
    "Summary",
    "VideoOptions",
    "find_inputs",
    "merge_shards",
    "predict",
    "predict_video",
]
