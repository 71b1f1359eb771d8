"""The service from upload to result, as programs use it."""

import http.client
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI

from gracile.client import Client, ServerError
from gracile.errors import DataError
from gracile.serve.jobs import JobStore
from gracile.serve.process import WorkerProcess
from gracile.serve.settings import ListenSettings
from gracile.serve.viewing import create_viewer
from gracile.serve.worker import _told, without_paths
from tests.serve.conftest import listening, picture
from tests.serve.engines import CRASHING
from tests.volumes_on_disk import write_series


def request(
    address: str, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """A request as it is, without a client's help."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def test_a_picture_goes_in_and_its_result_comes_out(
    client: Client, upload: Callable[..., Path], tmp_path: Path
) -> None:
    steps: list[str] = []
    path = upload(picture(60), "eye one.png")
    result = client.predict(
        path, out=tmp_path / "out", probabilities=True, progress=lambda job: steps.append(job["state"])
    )
    assert result["status"] == "found"
    assert result["name"] == "eye one.png"
    assert [layer["name"] for layer in result["layers"]][:2] == ["artery", "vein"]
    assert (steps[0], steps[-1]) == ("queued", "done") or steps[-1] == "done"
    assert sorted(Path(file).name for file in result["files"]) == ["eye one-mask.png", "eye one-probabilities.npz"]


def test_a_crash_of_one_job_leaves_the_others(client: Client, upload: Callable[..., Path]) -> None:
    before = client.submit(upload(picture(50), "a.png"))
    crash = client.submit(upload(picture(60, first=CRASHING), "b.png"))
    after = client.submit(upload(picture(70), "c.png"))
    assert client.wait(before["id"])["state"] == "done"
    with pytest.raises(ServerError, match="ended by itself"):
        client.wait(crash["id"])
    assert client.wait(after["id"])["state"] == "done"
    assert client.health()["ready"] == 1


def test_a_worker_that_cannot_be_started_fails_its_jobs_and_is_tried_again(
    make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = WorkerProcess._start
    refusals = ["at the beginning", "for the first job"]

    async def refuse(worker: WorkerProcess) -> None:
        if refusals and any("BrightEngine" in part for part in worker._command):
            raise OSError(refusals.pop(0))
        await start(worker)

    monkeypatch.setattr(WorkerProcess, "_start", refuse)
    with listening(make_app(tmp_path / "jobs")) as address:
        client = Client(address)
        with pytest.raises(ServerError, match="It failed"):
            client.predict(upload(picture(50), "a.png"))
        assert client.predict(upload(picture(60), "b.png"))["status"] == "found"


def test_a_disk_that_is_full_leaves_the_line_and_those_who_wait(
    make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening(make_app(tmp_path / "jobs")) as address:
        client = Client(address)
        with monkeypatch.context() as full:
            full.setattr("gracile.serve.jobs.write_json", refuse)
            with pytest.raises(ServerError, match="ended by itself"):
                client.predict(upload(picture(60, first=CRASHING), "a.png"))
        assert client.predict(upload(picture(50), "b.png"))["status"] == "found"


def refuse(*_: object) -> None:
    """As a full disk does."""
    raise DataError("The disk is full.")


@pytest.mark.parametrize("megabytes", [3, 40])
@pytest.mark.parametrize(
    ("model", "token", "words"),
    [("", "secret", "larger than 2 MB"), ("other", "secret", "no model 'other'"), ("", "wrong", "A token is needed")],
)
def test_refusals_are_heard_while_the_upload_is_on_its_way(
    make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    megabytes: int, model: str, token: str, words: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("gracile.serve.problems._DRAIN_SECONDS", 120.0)
    path = upload(bytes(megabytes * 10**6), "large.png")
    with listening(make_app(tmp_path / "jobs", max_upload_mb=2, token="secret")) as address:
        for _ in range(3):
            with pytest.raises(ServerError, match=words):
                Client(address, token=token).submit(path, model)


def test_a_download_that_breaks_off_is_no_file(
    client: Client, upload: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = client.submit(upload(picture()))
    client.wait(job["id"])
    monkeypatch.setattr(http.client.HTTPResponse, "read", lambda self, size=-1: b"")
    monkeypatch.setattr(Client, "result", lambda self, id: SCENE)
    with pytest.raises(ServerError, match=r"before eye-mask\.png was whole"):
        client.download(job["id"], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


SCENE = {"name": "eye.png", "downloads": [{"key": "mask"}], "files": {"mask": {"suffix": "-mask.png"}}}


def test_files_are_named_by_keys_and_by_nothing_else(client: Client, server: str, upload: Callable[..., Path]) -> None:
    job = client.submit(upload(picture(55)))
    client.wait(job["id"])
    files = f"/api/jobs/{job['id']}/files"
    assert request(server, "GET", f"{files}/mask")[0] == 200
    outside = ("..%2Fjob.json", "%2Fetc%2Fpasswd", "../../../../etc/passwd", "job.json", "", "scene.json")
    assert all(request(server, "GET", f"{files}/{key}")[0] == 404 for key in outside)
    static = ("", "niivue", "niivue/", "../app.py", "..%2Fapp.py", "%2e%2e/app.py", "/etc/passwd")
    assert all(request(server, "GET", f"/static/{name}")[0] == 404 for name in static)
    assert request(server, "GET", "/api/jobs")[0] == 405


def test_a_download_bears_the_name_of_its_upload(client: Client, server: str, upload: Callable[..., Path]) -> None:
    job = client.submit(upload(picture(), 'né"w.png'))
    client.wait(job["id"])
    _, headers, _ = request(server, "GET", f"/api/jobs/{job['id']}/files/mask?download=true")
    assert headers["content-disposition"] == (
        "attachment; filename=\"n__w-mask.png\"; filename*=UTF-8''n%C3%A9%22w-mask.png"
    )


def test_a_finished_job_can_be_deleted_and_is_gone(client: Client, upload: Callable[..., Path]) -> None:
    job = client.submit(upload(picture()))
    client.wait(job["id"])
    client.remove(job["id"])
    with pytest.raises(ServerError, match="no such job"):
        client.result(job["id"])


def test_answers_carry_the_security_headers(server: str) -> None:
    for path in ("/", "/static/app.js", "/health", "/api/jobs/nothing", "/nowhere"):
        _, headers, _ = request(server, "GET", path)
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_other_origins_and_names_are_kept_out(server: str) -> None:
    assert request(server, "GET", "/health", Host="evil.example")[0] == 421
    send = {"Content_Type": "application/octet-stream"}
    assert request(server, "POST", "/api/jobs", picture(), Origin="http://evil.example", **send)[0] == 403
    assert request(server, "POST", "/api/jobs", picture(), Content_Type="text/plain")[0] == 415


def test_the_service_describes_itself(server: str) -> None:
    description = json.loads(request(server, "GET", "/openapi.json")[2])
    assert {"/api/jobs", "/api/jobs/{id}/events", "/health"} <= description["paths"].keys()
    body = description["paths"]["/api/jobs"]["post"]["requestBody"]["content"]
    assert list(body) == ["application/octet-stream"]


def test_a_token_guards_everything_but_the_page(make_app: Callable[..., FastAPI], tmp_path: Path) -> None:
    with listening(make_app(tmp_path / "jobs", token="secret")) as address:
        assert request(address, "GET", "/")[0] == 200
        assert request(address, "GET", "/api/models")[0] == 401
        assert request(address, "GET", "/api/models", Authorization="Bearer wrong")[0] == 401
        assert request(address, "POST", "/api/session", b"", Authorization="Bearer wrong")[0] == 401
        _, headers, _ = request(address, "POST", "/api/session", b"", Authorization="Bearer secret")
        cookie = headers["set-cookie"]
        assert "httponly" in cookie.lower()
        assert "samesite=strict" in cookie.lower()
        assert request(address, "GET", "/api/models", Cookie=cookie.partition(";")[0])[0] == 200
        assert Client(address, token="secret").models()[0]["name"] == "bright"


def test_finished_jobs_are_removed_when_their_time_is_over(
    make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path
) -> None:
    app = make_app(tmp_path / "jobs", keep_hours=1)
    store: JobStore = app.state.service.store
    with listening(app) as address:
        client = Client(address)
        job = client.submit(upload(picture()))
        client.wait(job["id"])
        assert store.sweep() == 0
        store._clock = lambda: 1e12
        assert store.sweep() == 1
        assert not (tmp_path / "jobs" / job["id"]).exists()
        with pytest.raises(ServerError):
            client.result(job["id"])


def test_a_server_that_is_started_again_still_has_its_results(
    make_app: Callable[..., FastAPI], upload: Callable[..., Path], tmp_path: Path
) -> None:
    with listening(make_app(tmp_path / "jobs")) as address:
        job = Client(address).submit(upload(picture()))
        Client(address).wait(job["id"])
    with listening(make_app(tmp_path / "jobs")) as address:
        assert Client(address).result(job["id"])["status"] == "found"


def test_of_several_series_one_is_named_by_its_number(client: Client, tmp_path: Path) -> None:
    for number, first in ((3, 0), (7, 100)):
        values = np.full((4, 5, 6), number, np.int16)
        write_series(tmp_path / "two", values, np.diag([-1.0, -1.0, 2.0, 1.0]), number=number, first=first)
    with pytest.raises(ServerError) as refusal:
        client.submit(tmp_path / "two")
    assert refusal.value.status == 422
    assert refusal.value.message.startswith("The file holds 2 series: number 3 with 6 images of 4 x 5, such as 0")
    assert "say which is meant by its number: on the page beside the folder" in refusal.value.message
    assert "--" not in refusal.value.message
    with pytest.raises(ServerError, match="holds no series 5"):
        client.submit(tmp_path / "two", series=5)
    with pytest.raises(ServerError, match="This is a volume; the model bright takes images"):  # one series was taken
        client.submit(tmp_path / "two", series=7)


def test_a_refusal_names_no_option_of_a_command_line_and_no_file_of_the_server() -> None:
    folder = Path("/tmp/jobs/x")
    text = (
        "/tmp/jobs/x/input.nii.gz is 4D, and input.nii.gz. Export one. Or take --set input.fourth_axis=first, or not."
    )
    assert without_paths(_told(text), folder) == "The file is 4D, and The file. Export one."
    assert without_paths("--set input.series=3 of input.unpacked", folder) == "--set input.series=3 of The file"


def test_a_browser_is_never_shown_what_it_kept_of_another_case(picture_results: Path, tmp_path: Path) -> None:
    place = "/api/cases/0/files/mask"
    with listening(create_viewer(picture_results, tmp_path / "cache")) as address:
        _, headers, content = request(address, "GET", place)
        assert "no-cache" in headers["cache-control"]
        tag = headers["etag"]
        status, _, nothing = request(address, "GET", place, If_None_Match=tag)
        assert (status, nothing) == (304, b"")
        assert request(address, "GET", "/api/cases/1/files/mask", If_None_Match=tag)[::2] == (200, content)


def test_a_name_that_is_no_unicode_is_shown_as_an_escape(picture_results: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(picture_results, results)
    stored = json.loads((results / "predictions.json").read_text())
    (results / os.fsdecode(b"lat\xfcn.png")).write_bytes((results / stored["inputs"][0]["files"]["mask"]).read_bytes())
    record = {"name": "lat\udcfcn", "input": "lat\udcfcn.png", "files": {"mask": "lat\udcfcn.png"}}
    stored["inputs"] = [stored["inputs"][0] | record]
    (results / "predictions.json").write_text(json.dumps(stored))
    with listening(create_viewer(results, tmp_path / "cache")) as address:
        status, _, content = request(address, "GET", "/api/cases")
        assert (status, json.loads(content)["rows"][0][0]) == (200, "lat\\udcfcn")
        assert json.loads(request(address, "GET", "/api/cases/0/scene")[2])["name"] == "lat\\udcfcn"
        for place in ("/api/cases/0/thumbnail", "/api/cases/0/files/mask", "/api/cases/0/files/mask?download=true"):
            assert request(address, "GET", place)[0] in (200, 204)


def test_the_client_follows_no_redirect_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Moved(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(301)
            self.send_header("Location", "https://gracile.example.org/gracile/api/models")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Moved) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(ServerError, match=r"on to https://gracile\.example\.org/gracile: if that is right"):
            Client(f"http://127.0.0.1:{server.server_port}", token="secret").models()
        thread.join()


def test_a_viewer_with_a_token_tells_nothing_before_it_is_shown(picture_results: Path, tmp_path: Path) -> None:
    app = create_viewer(picture_results, tmp_path / "cache", listen=ListenSettings(token="secret"))
    with listening(app) as address:
        assert request(address, "GET", "/api/cases")[0] == 401
        session = json.loads(request(address, "GET", "/api/session")[2])
        assert not session["known"]
        assert "title" not in session
        shown = {"Authorization": "Bearer secret"}
        assert json.loads(request(address, "GET", "/api/session", **shown)[2])["title"] == "Made by hand"
        assert request(address, "GET", "/api/cases", **shown)[0] == 200
