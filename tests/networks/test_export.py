"""Networks exported to ONNX answer as they do here: two with the other tests, the rest by `make test-export`."""

from pathlib import Path

import onnxruntime
import pytest
import torch

from tests.networks import test_networks as networks

SHIPPED = ("light-unet",)
"""Networks of four of the five shipped models; that of the retina's takes longest to export."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "tester",
    [
        pytest.param(tester, id=tester.name, marks=[] if tester.name in SHIPPED else [pytest.mark.export])
        for tester in networks.NetworkTester.__subclasses__()
    ],
)
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
