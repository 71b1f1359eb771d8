"""Many inputs through a pipeline: shards, resume, files on disk, one report."""

from gracile.inference.inputs import Input, Shard, find_inputs
from gracile.inference.journal import merge_shards
from gracile.inference.predict import Options, Summary, predict
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
