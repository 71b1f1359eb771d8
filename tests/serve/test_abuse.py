"""What a careless or hostile client sends is refused, and the server goes on."""

import gzip
import http.client
import io
import socket
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import pytest
from fastapi import FastAPI

from gracile.client import Client, ServerError
from tests.serve.conftest import listening, picture
from tests.serve.engines import ENDLESS


@pytest.fixture(scope="module")
def server(make_app: Callable[..., FastAPI], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that takes 1 MB."""
    with listening(make_app(tmp_path_factory.mktemp("jobs"), max_upload_mb=1)) as address:
        yield address


@pytest.fixture(autouse=True)
def _goes_on(client: Client, upload: Callable[..., Path]) -> Iterator[None]:
    yield
    assert client.predict(upload(picture(80), "next.png"))["status"] == "found"


@contextmanager
def posting(server: str) -> Iterator[socket.socket]:
    """A connection over which the first lines of an upload have gone."""
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        head = f"POST /api/jobs HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/octet-stream\r\n"
        line.sendall(head.encode())
        yield line


def claimed_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def nifti(shape: tuple[int, ...], claimed: tuple[int, ...] | None = None, code: int | None = None) -> bytes:
    """A NIfTI file whose header may claim other sizes than it has."""
    image = nibabel.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4))
    content = bytearray(image.to_bytes())
    if claimed:
        struct.pack_into("<8h", content, 40, len(claimed), *claimed, *[1] * (7 - len(claimed)))
    if code is not None:
        struct.pack_into("<h", content, 70, code)
    return bytes(content)


def test_a_png_that_claims_to_be_huge_is_refused_by_its_header(client: Client, upload: Callable[..., Path]) -> None:
    with pytest.raises(ServerError, match="100000 x 100000") as refusal:
        client.submit(upload(claimed_png(100_000, 100_000)))
    assert refusal.value.status == 422


def test_a_zip_bomb_is_refused(client: Client, upload: Callable[..., Path]) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.png", bytes(50_000_000))
    with pytest.raises(ServerError, match="holds no DICOM files"):
        client.submit(upload(bomb.getvalue()))
    content = bytearray(bomb.getvalue())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 3_000_000_000)
    with pytest.raises(ServerError, match="claims 1 files of 2861 MB"):
        client.submit(upload(bytes(content)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(nifti((4, 4, 4), (30000, 30000, 30000)), "do not fit", id="huge"),
        pytest.param(nifti((4, 4, 4), (-4, 4, 4)), "claims the size", id="negative"),
        pytest.param(nifti((4, 4, 4), (0, 4, 4)), "claims the size", id="zero"),
        pytest.param(nifti((4, 4, 4), code=1), "unknown type|not one gray value", id="type"),
        pytest.param(nifti((4, 4, 4), (40, 40, 40)), "do not fit", id="short"),
        pytest.param(gzip.compress(nifti((4, 4, 4)) + bytes(80_000_000)), "far more", id="bomb"),
        pytest.param(gzip.compress(nifti((40, 40, 40)))[:-40], "damaged|truncated", id="truncated"),
    ],
)
def test_volumes_that_lie_are_refused(client: Client, upload: Callable[..., Path], content: bytes, words: str) -> None:
    with pytest.raises(ServerError, match=words):
        client.submit(upload(content, "scan.nii.gz"))


META = b"ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = %b\n"
NRRD = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: %b\n\n"


@pytest.mark.parametrize("header", [META, NRRD])
@pytest.mark.parametrize("named", [b"/etc/passwd", b"../../../../etc/passwd", b"no-such-file.raw"])
def test_headers_that_name_other_files_are_refused_alike_whether_there_is_one(
    client: Client, upload: Callable[..., Path], header: bytes, named: bytes
) -> None:
    with pytest.raises(ServerError, match=r"or its voxels lie in another file\. Send one file") as refusal:
        client.submit(upload(header % named, "scan.mha"))
    assert "passwd" not in refusal.value.message


def test_a_true_volume_is_refused_only_because_the_model_takes_pictures(
    client: Client, upload: Callable[..., Path]
) -> None:
    with pytest.raises(ServerError, match="This is a volume; the model bright takes images"):
        client.submit(upload(gzip.compress(nifti((8, 8, 8))), "scan.nii.gz"))


@pytest.mark.parametrize("content", [b"MZ\x90\x00 not a picture", b"<svg onload=alert(1)></svg>", b"#!/bin/sh\n"])
def test_the_wrong_type_under_a_right_name_is_refused(
    client: Client, upload: Callable[..., Path], content: bytes
) -> None:
    with pytest.raises(ServerError, match="told by content, not by name"):
        client.submit(upload(content, "photograph.png"))


def test_a_right_type_under_a_wrong_name_is_taken(client: Client, upload: Callable[..., Path]) -> None:
    assert client.predict(upload(picture(), "photograph.exe"))["status"] == "found"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..%2f..%2fx.png", "/etc/cron.d/x", "a\x00b.png", "C:\\x.png", "."]
)
def test_names_are_never_paths(server: str, name: str) -> None:
    from urllib.parse import quote

    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=60)
    headers = {"Content-Type": "application/octet-stream"}
    connection.request("POST", f"/api/jobs?name={quote(name)}", picture(), headers)
    answer = connection.getresponse()
    assert answer.status == 202
    assert b"etc/" not in answer.read()


def test_an_endless_body_is_cut_off(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gracile.serve.problems._DRAIN_SECONDS", 1.0)

    def send(line: socket.socket) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            line.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")

    with posting(server) as line:
        line.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            send(line)


def test_a_body_that_ends_just_over_the_limit_is_refused(server: str) -> None:
    size = 2**20 + 1
    with posting(server) as line:
        line.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        line.sendall(b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 413")


def test_a_client_that_asks_first_is_not_told_to_send(server: str) -> None:
    with posting(server) as line:
        line.sendall(b"Content-Length: 50000000\r\nExpect: 100-continue\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_that_says_how_large_it_is_is_refused_before_it_comes(server: str) -> None:
    with posting(server) as line:
        line.sendall(b"Content-Length: 999999999999\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_that_never_ends_in_time_is_given_up(make_app: Callable[..., FastAPI], tmp_path: Path) -> None:
    with listening(make_app(tmp_path / "jobs", upload_seconds=1)) as address, posting(address) as line:
        line.sendall(b"Content-Length: 1000\r\n\r\nabc")
        assert line.recv(100).startswith(b"HTTP/1.1 408")


def test_a_job_that_never_ends_is_ended(
    make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path
) -> None:
    with (
        listening(make_app(tmp_path / "jobs", job_minutes=0.01)) as address,
        pytest.raises(ServerError, match=r"longer than 0\.6 seconds"),
    ):
        Client(address).predict(upload(picture(first=ENDLESS)))


def test_an_answer_does_not_tell_the_servers_paths(client: Client, upload: Callable[..., Path]) -> None:
    with pytest.raises(ServerError) as refusal:
        client.submit(upload(picture()[:-40]))
    assert "/" not in refusal.value.message
