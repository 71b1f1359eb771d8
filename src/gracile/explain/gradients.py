"""Where in a picture a network's answer comes from, by gradients, through captum."""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gracile.errors import UsageError
from gracile.explain.layers import find_layer, ready

METHODS: dict[str, str] = {
    "gradcam": "which parts speak for the class, at the coarseness of a layer (Selvaraju et al. 2017)",
    "guided": "gradients that pass ReLUs only where they speak for the class (Springenberg et al. 2015)",
    "saliency": "plain gradients: which pixels change the answer most (Simonyan et al. 2014)",
}


def explain(network: nn.Module, image: Tensor, target: int, method: str = "gradcam", layer: str = "") -> np.ndarray:
    """A map of what speaks for a class, by one of `METHODS`.

    Args:
        network: ``(batch, channels, height, width)`` images to ``(batch, classes)`` logits; left as it was.
        image: ``(1, channels, height, width)`` float32, prepared as the network takes it.
        target: Index of the class.
        method: A name of `METHODS`.
        layer: Layer for Grad-CAM, see `gracile.explain.explainable_layers`; the last one when empty.

    Returns:
        ``(height, width)`` float32 of the image's size, 0 and above; of gradients the largest over the channels.

    Raises:
        UsageError: There is no such method, layer or class, or the method does not suit the network.
    """
    if method == "gradcam":
        return grad_cam(network, image, target, layer)
    if method not in METHODS:
        raise UsageError(f"There is no method {method!r}.", f"There are: {', '.join(METHODS)}.")
    if layer:
        raise UsageError(f"The method {method} looks at pixels, not at a layer.", "Leave --layer out.")
    gradients = guided_gradients if method == "guided" else plain_gradients
    return np.abs(gradients(network, image, target)).max(axis=0)


def grad_cam(network: nn.Module, image: Tensor, target: int, layer: str = "") -> np.ndarray:
    """Grad-CAM of a layer, brought to the image's size linearly; see `explain`.

    Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017.
    """
    from captum.attr import LayerGradCam

    _, module = find_layer(network, image, layer)

    def attribute(image: Tensor) -> Tensor:
        coarse = LayerGradCam(network, module).attribute(image, target=target, relu_attributions=True)
        return functional.interpolate(coarse.float(), image.shape[-2:], mode="bilinear", align_corners=False)

    return _attributed(network, image, target, attribute)[0]


def guided_gradients(network: nn.Module, image: Tensor, target: int) -> np.ndarray:
    """Guided backpropagation, ``(channels, height, width)`` float32 with signs; see `explain`.

    It changes the gradient of `torch.nn.ReLU` layers. Networks with other activations (SiLU, GELU), or that call
    ``functional.relu``, have none of these, and their gradients would be the plain ones: that is refused. Where a
    network has both, only its layers are guided.

    Springenberg et al., Striving for Simplicity: The All Convolutional Net, ICLR 2015 (workshop).

    Raises:
        UsageError: The network has no ReLU layer.
    """
    from captum.attr import GuidedBackprop

    if not any(isinstance(module, nn.ReLU) for module in network.modules()):
        raise UsageError(
            "Guided gradients need a network with ReLU layers, and this one has none.",
            "Use --method gradcam or saliency.",
        )
    return _attributed(network, image, target, lambda x: GuidedBackprop(network).attribute(x, target=target))


def plain_gradients(network: nn.Module, image: Tensor, target: int) -> np.ndarray:
    """Gradients of a class's logit, ``(channels, height, width)`` float32 with signs; see `explain`.

    Simonyan et al., Deep Inside Convolutional Networks, ICLR 2014 (workshop).
    """
    from captum.attr import Saliency

    return _attributed(network, image, target, lambda x: Saliency(network).attribute(x, target=target, abs=False))


def _attributed(network: nn.Module, image: Tensor, target: int, attribute: Callable[[Tensor], Tensor]) -> np.ndarray:
    with ready(network), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum announces its hooks at every call
        copy = image.detach().clone().float().requires_grad_()
        with torch.no_grad():
            answer = network(copy)
        if answer.ndim != 2 or not 0 <= target < answer.shape[1]:
            raise UsageError(
                f"There is no class {target}: the network answers {tuple(answer.shape)}.",
                "Classes are counted from 0 in (batch, classes).",
            )
        try:
            result = attribute(copy)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"The gradients cannot be followed ({str(error).splitlines()[0].rstrip('.')}).",
                "Choose another layer or method.",
            ) from error
    return result.detach()[0].float().cpu().numpy()
