"""The server behind Debian's nginx, under a path, another name and TLS. Skipped where there is no nginx."""

import http.client
import json
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from gracile.client import Client, ServerError
from tests.serve.chromium import chromium, opened
from tests.serve.conftest import listening, picture
from tests.serve.engines import ENDLESS
from tests.serve.nginx import DEFAULTS, NAME, PATH, nginx, proxied

pytestmark = pytest.mark.skipif(nginx() is None, reason="nginx or openssl is not installed")

OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Proxy:
    """A server behind nginx: the address that people know, and the file of its certificate."""

    address: str
    certificate: Path

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        """A request as a browser sends it; the answer is not yet read."""
        parts = urlsplit(self.address)
        tls = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection(NAME, parts.port, timeout=120, context=tls)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, parts.path + path, body, {**OCTETS, **given})
        return connection.getresponse()

    @property
    def origin(self) -> str:
        """That of its pages."""
        return self.address.removesuffix(urlsplit(self.address).path)


@pytest.fixture(scope="module", autouse=True)
def _name_leads_here() -> Iterator[None]:
    """The name of the test's host is that of this machine, for this process alone."""
    found = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *more, **most: found(host if host != NAME else "127.0.0.1", *more, **most),
        )
        yield


@pytest.fixture(scope="module")
def server(make_app: Callable[..., FastAPI], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with a token, by itself."""
    with listening(make_app(tmp_path_factory.mktemp("jobs"), token="secret", max_upload_mb=8)) as address:
        yield address


@pytest.fixture(scope="module")
def documented(server: str) -> Iterator[Proxy]:
    """It, behind what the documentation says: Host and path are passed on as they came."""
    with proxied(server) as (address, certificate):
        yield Proxy(address, certificate)


@pytest.fixture(scope="module")
def plain(server: str) -> Iterator[Proxy]:
    """It, behind an nginx that was told nothing: the upstream's Host, HTTP/1.0, the path taken off."""
    with proxied(server, DEFAULTS, "/elsewhere") as (address, certificate):
        yield Proxy(address, certificate)


@pytest.fixture(params=["documented", "plain"])
def proxy(request: pytest.FixtureRequest) -> Proxy:
    """Both usual settings."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def client(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The client of Python, by the address that people know."""
    monkeypatch.setenv("SSL_CERT_FILE", str(proxy.certificate))
    return Client(proxy.address, token="secret")


def read(answer: http.client.HTTPResponse) -> Any:
    return json.loads(answer.read())


def test_the_client_sends_waits_and_downloads(client: Client, upload: Callable[..., Path], tmp_path: Path) -> None:
    states: list[str] = []
    result = client.predict(
        upload(picture(70), "eye.png"), out=tmp_path / "out", progress=lambda job: states.append(job["state"])
    )
    assert result["status"] == "found"
    assert states[-1] == "done"
    assert [Path(file).name for file in result["files"]] == ["eye-mask.png"]
    assert client.health()["status"] == "ok"


def test_the_pages_own_origin_may_post_and_no_other(proxy: Proxy) -> None:
    def post(origin: str) -> http.client.HTTPResponse:
        return proxy.send("POST", "/api/jobs", picture(), Origin=origin, Authorization="Bearer secret")

    assert post(f"https://{NAME}").status == 202
    for origin in ("https://evil.example", f"https://{NAME}.evil.example", "null"):
        answer = post(origin)
        assert answer.status == 403, origin
        assert "--name" in read(answer)["error"]


def test_a_page_on_another_port_is_its_own_where_the_host_is_passed_on(documented: Proxy) -> None:
    answer = documented.send("POST", "/api/jobs", picture(), Origin=documented.origin, Authorization="Bearer secret")
    assert answer.status == 202
    insecure = documented.origin.replace("https", "http")
    answer = documented.send("POST", "/api/jobs", picture(), Origin=insecure, Authorization="Bearer secret")
    assert answer.status == 403


def test_the_refusal_of_a_page_on_a_port_that_is_not_passed_on_names_the_remedy(plain: Proxy) -> None:
    answer = plain.send("POST", "/api/jobs", picture(), Origin=plain.origin, Authorization="Bearer secret")
    assert answer.status == 403
    assert f"--name {plain.origin.removeprefix('https://')}" in read(answer)["error"]


def test_a_name_that_is_not_stated_is_refused_with_the_option_that_states_it(
    make_app: Callable[..., FastAPI], tmp_path: Path
) -> None:
    with listening(make_app(tmp_path / "jobs", names=())) as address, proxied(address) as (shown, certificate):
        answer = Proxy(shown, certificate).send("GET", "/health")
        assert answer.status == 421
        assert f"--name {NAME}" in read(answer)["error"]


def test_the_cookie_belongs_to_this_path_and_goes_over_tls_where_that_is_told(documented: Proxy, plain: Proxy) -> None:
    for proxy, secure in ((documented, True), (plain, False)):
        answer = proxy.send("POST", "/api/session", b"", Authorization="Bearer secret", Origin=f"https://{NAME}")
        cookie = answer.headers["set-cookie"]
        assert "path=" not in cookie.lower()  # that of the request then, whatever the proxy made of it
        assert ("secure" in cookie.lower().split("; ")) == secure
        assert read(proxy.send("GET", "/api/session", Cookie=cookie.partition(";")[0]))["known"]
        assert proxy.send("GET", "/api/models", Cookie=cookie.partition(";")[0]).status == 200


@pytest.mark.parametrize(("told", "path"), [("", PATH), (DEFAULTS, "/elsewhere")], ids=["documented", "plain"])
def test_events_come_as_they_happen(make_app: Callable[..., FastAPI], tmp_path: Path, told: str, path: str) -> None:
    with listening(make_app(tmp_path / "jobs")) as address, proxied(address, told, path) as (shown, certificate):
        proxy = Proxy(shown, certificate)
        job = read(proxy.send("POST", "/api/jobs", picture(first=ENDLESS)))
        events = proxy.send("GET", f"/api/jobs/{job['id']}/events")
        assert events.readline().startswith(b"data: ")  # the job has no end, and nginx would wait for one
        events.close()


def test_large_uploads_pass_and_the_servers_own_limit_is_heard(documented: Proxy) -> None:
    key = {"Authorization": "Bearer secret"}
    assert read(documented.send("POST", "/api/jobs", picture() + os.urandom(5_000_000), **key))["kind"] == "PNG"
    answer = documented.send("POST", "/api/jobs", bytes(9_000_000), **key)
    assert answer.status == 413
    assert read(answer)["error"] == "The upload is larger than 8 MB."
    answer = documented.send("POST", "/api/jobs", picture() + bytes(3_000_000), Authorization="Bearer wrong")
    assert answer.status == 401


def test_a_limit_of_the_proxy_is_told_with_its_name(
    plain: Proxy, upload: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(plain.certificate))
    with pytest.raises(ServerError, match="client_max_body_size"):
        Client(plain.address, token="secret").submit(upload(picture() + bytes(2_000_000)))


def test_the_page_is_found_without_the_slash_too(documented: Proxy) -> None:
    answer = documented.send("GET", "")
    assert answer.status == 301
    assert answer.headers["location"] == f"{documented.address}/"
    page = documented.send("GET", "/").read().decode()
    assert '="/' not in page
    assert documented.send("GET", "/static/app.js").status == 200


def test_a_path_that_is_passed_on_without_its_slash_leads_to_the_page(server: str) -> None:
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=60)
    connection.request("GET", PATH)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["location"]) == (307, f"{PATH}/")


def test_the_description_says_where_the_server_lies(documented: Proxy) -> None:
    assert read(documented.send("GET", "/openapi.json"))["servers"] == [{"url": PATH}]


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(chromium() is None, reason="chromium is not installed")
def test_a_browser_enters_the_token_once_and_uploads(documented: Proxy, upload: Callable[..., Path]) -> None:
    pytest.importorskip("playwright", reason="playwright is not installed")
    with opened(documented.address) as (page, watch):
        page.goto(documented.address)
        page.get_by_label("Token").fill("secret")
        page.get_by_role("button", name="Enter").click()
        page.locator("html[data-ready]").wait_for()
        page.locator("#file").set_input_files(upload(picture(), "eye.png"))
        page.locator('#look[data-shown="eye.png"]').wait_for()
        (cookie,) = page.context.cookies()
        assert (cookie["path"], cookie["secure"], cookie["httpOnly"]) == (f"{PATH}/api", True, True)
        assert page.evaluate("Object.keys(localStorage)") == [f"gracile-jobs{PATH}"]
        watch.require_clean()
