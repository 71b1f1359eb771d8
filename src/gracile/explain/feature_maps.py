"""What the channels of a layer answer to a picture."""

import numpy as np
import torch
from torch import Tensor, nn

from gracile.explain.layers import find_layer, ready


def feature_maps(network: nn.Module, image: Tensor, layer: str = "") -> np.ndarray:
    """The feature maps of a layer.

    Args:
        network: ``(batch, channels, height, width)`` images to ``(batch, classes)`` logits; left as it was.
        image: ``(1, channels, height, width)`` float32, prepared as the network takes it.
        layer: Its name, see `gracile.explain.explainable_layers`; the last one when empty.

    Returns:
        ``(maps, height, width)`` float32 at the layer's own size.

    Raises:
        UsageError: There is no such layer, or its answer is no map.
    """
    from captum.attr import LayerActivation

    _, module = find_layer(network, image, layer)
    with ready(network), torch.no_grad():
        answer = LayerActivation(network, module).attribute(image.detach().clone().float())
    assert isinstance(answer, Tensor)
    return answer.detach()[0].float().cpu().numpy()
