"""What a gate looked at: gradients and feature maps of classification networks."""

from gracile.errors import needs

with needs("explain"):
    import captum  # noqa: F401
    import torch  # noqa: F401

from gracile.explain.feature_maps import feature_maps
from gracile.explain.gradients import METHODS, explain, grad_cam, guided_gradients, plain_gradients
from gracile.explain.layers import explainable_layers, find_layer
from gracile.explain.run import classifier_of, explain_pictures

__all__ = [
    "METHODS",
    "classifier_of",
    "explain",
    "explain_pictures",
    "explainable_layers",
    "feature_maps",
    "find_layer",
    "grad_cam",
    "guided_gradients",
    "plain_gradients",
]
