"""Many at once: all are answered or asked to come again, and nobody gets another's result."""

import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi import FastAPI

from gracile.client import Client, ServerError
from tests.serve.conftest import listening, picture

UPLOADS = 50
AT_ONCE = 25


@pytest.mark.slow
def test_fifty_uploads_at_once_are_answered_or_refused_and_never_mixed_up(
    make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path
) -> None:
    values = [20 + 2 * number for number in range(UPLOADS)]
    paths = [upload(picture(value), f"{value}.png") for value in values]
    refused: list[ServerError] = []
    with listening(make_app(tmp_path / "jobs", waiting=8)) as address:
        impatient, patient = Client(address, patience=0), Client(address)

        def predict(path: Path) -> dict:
            try:
                job = impatient.submit(path)
            except ServerError as error:
                refused.append(error)
                job = patient.submit(path)
            patient.wait(job["id"])
            return patient.result(job["id"])

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(predict, paths))
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert refused
    assert all(error.status == 429 and (error.retry_seconds or 0) >= 1 for error in refused)
    assert [result["name"] for result in results] == [path.name for path in paths]
    means = [float(result["measurements"][0]["value"].replace("\u202f", "")) for result in results]
    alone = picture_means(values)
    assert means == pytest.approx(alone, rel=1e-3)
    assert grown_mb < 200


def picture_means(values: list[int]) -> list[float]:
    """What the engine measures of each picture."""
    import io

    import numpy as np
    from PIL import Image

    return [float(np.asarray(Image.open(io.BytesIO(picture(value)))).mean()) for value in values]
