"""A stage's network computed by PyTorch: for what has no graph, and where it is asked for."""

from gracile.bundle import Bundle
from gracile.devices import in_fast_layout, resolve_device
from gracile.learning.learners import Learner, build_learner
from gracile.recipe import StageSpec
from gracile.runners.base import Computing, Runner


def open_torch_runner(bundle: Bundle, network: str, computing: Computing) -> Runner:
    """A network of a bundle as a function of arrays, by PyTorch.

    Raises:
        BundleError: The weights do not fit the recipe.
        UsageError: There is no such device.
    """
    stage, _, name = network.partition(".")
    spec = next(spec for spec in bundle.recipe.stages if spec.name == stage)
    return trained_learner(bundle, spec, computing.device).runner(computing.precision, computing.threads, name)


def trained_learner(bundle: Bundle, spec: StageSpec, device: str = "cpu") -> Learner:
    """The learner of a stage with its trained weights. Raises BundleError where they do not fit."""
    learner = build_learner(spec, bundle.recipe)
    learner.load_bundle_state(bundle.weights[spec.name])
    in_fast_layout(learner.eval().to(resolve_device(device)))
    return learner
