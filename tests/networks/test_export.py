"""Networks exported to ONNX answer as they do here: `make test-export`. With the other tests go graphs of stages."""

from pathlib import Path

import onnxruntime
import pytest
import torch

from tests.networks import test_networks as networks


@pytest.mark.export
@pytest.mark.parametrize("tester", [pytest.param(one, id=one.name) for one in networks.NetworkTester.__subclasses__()])
def test_exported_to_onnx_a_network_gives_the_same_answer_for_images_of_any_size(
    tester: type[networks.NetworkTester], tmp_path: Path
) -> None:
    own = tester()
    network = own.build()
    network(own.images(2, 3, 64, 64))  # running statistics that are not those of a new network
    network.eval()
    path = tmp_path / "network.onnx"
    image = own.images(1, 3, 65, 70)
    sizes = (dict.fromkeys(range(2, image.ndim), torch.export.Dim.DYNAMIC),)
    torch.onnx.export(network, (image,), path, dynamo=True, dynamic_shapes=sizes, verbose=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    for size in [(65, 70), (97, 131), (128, 64), (33, 50)]:
        image = own.images(1, 3, *size)
        (answer,) = session.run(None, {entry.name: image.numpy()})
        with torch.inference_mode():
            torch.testing.assert_close(torch.from_numpy(answer), network(image), atol=1e-4, rtol=1e-4)
