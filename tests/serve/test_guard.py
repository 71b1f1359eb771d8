"""Who may come in: by which name, from which page, and whose word on it counts."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gracile.errors import UsageError
from gracile.serve.guard import Guard
from gracile.serve.settings import ListenSettings, read_token


def ask(listen: ListenSettings, method: str = "GET", path: str = "/", peer: str = "127.0.0.1", **headers: str) -> Any:
    """The status and what was said, or what the application was given."""
    given: dict[str, Any] = {}
    said: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        given.update(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    lines = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "method": method, "path": path, "headers": lines, "scheme": "http", "client": (peer, 5),
        "query_string": b"", "root_path": "",
    }  # fmt: skip
    asyncio.run(Guard(app, listen)(scope, receive, send))
    if given:
        return 200, given
    return said[0]["status"], json.loads(said[1]["body"] or b"{}").get("error", "")


HOME = "127.0.0.1:8765"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8765", "[::1]:8765", "LOCALHOST:1"])
def test_this_machines_names_are_known(host: str) -> None:
    assert ask(ListenSettings(), Host=host)[0] == 200


def test_other_names_are_known_when_they_are_stated() -> None:
    listen = ListenSettings(names=("Gracile.Example.org", "other.example.org:8443"))
    for host in ("gracile.example.org", "gracile.example.org:8443", "other.example.org", HOME):
        assert ask(listen, Host=host)[0] == 200, host
    status, words = ask(listen, Host="evil.example:80")
    assert status == 421
    assert words.endswith("start the server with --name evil.example.")


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://127.0.0.1:8765", HOME, 200),
        ("https://gracile.example.org", "gracile.example.org", 200),  # the Host as it came
        ("https://gracile.example.org", "gracile.example.org:443", 200),
        ("https://gracile.example.org", HOME, 200),  # the upstream's Host
        ("https://gracile.example.org:8443", "gracile.example.org:8443", 200),
        ("https://gracile.example.org:8443", HOME, 403),
        ("https://evil.example", HOME, 403),
        ("http://127.0.0.1:9999", HOME, 403),
        ("null", HOME, 403),
        ("http://[", HOME, 403),
    ],
)
def test_a_page_may_post_where_it_is_this_servers_own(origin: str, host: str, status: int) -> None:
    listen = ListenSettings(names=("gracile.example.org",))
    assert ask(listen, "POST", "/api/jobs", Host=host, Origin=origin)[0] == status


def test_forwarded_headers_count_from_stated_proxies_alone() -> None:
    listen = ListenSettings(names=("gracile.example.org",), trusted_proxies=("172.16.0.0/12",))
    told = {
        "X_Forwarded_Host": "gracile.example.org:8443", "X_Forwarded_Proto": "https", "X_Forwarded_Prefix": "/ward",
        "Origin": "https://gracile.example.org:8443", "Host": HOME,
    }  # fmt: skip
    status, scope = ask(listen, "POST", "/api/jobs", peer="172.17.0.2", **told)
    assert (status, scope["scheme"], scope["root_path"]) == (200, "https", "/ward")
    assert ask(listen, "POST", "/api/jobs", peer="127.0.0.1", **told)[0] == 403
    insecure = {**told, "Origin": "http://gracile.example.org:8443"}
    assert ask(listen, "POST", "/api/jobs", peer="172.17.0.2", **insecure)[0] == 403


def test_a_name_that_was_made_to_lead_here_is_refused_whatever_it_says_was_forwarded() -> None:
    listen = ListenSettings(names=("gracile.example.org",), trusted_proxies=("127.0.0.1",))
    assert ask(listen, Host="evil.example", X_Forwarded_Host="gracile.example.org")[0] == 421
    assert ask(listen, Host=HOME, X_Forwarded_Host="evil.example")[0] == 421


def test_a_prefix_that_is_no_path_is_not_believed() -> None:
    listen = ListenSettings(trusted_proxies=("127.0.0.1",))
    for prefix in ("//evil.example", "/a;b", "https://evil.example", "/api"):
        assert ask(listen, Host=HOME, X_Forwarded_Prefix=prefix)[1]["root_path"] == "", prefix


@pytest.mark.parametrize("path", ["/ward/gracile/api/jobs", "/api/jobs"])
def test_the_path_that_a_server_lies_under_may_be_passed_on_or_taken_off(path: str) -> None:
    listen = ListenSettings(root_path="/ward/gracile/", token="secret")
    assert ask(listen, path=path, Host=HOME)[0] == 401
    status, scope = ask(listen, path=path, Host=HOME, Authorization="Bearer secret")
    assert (status, scope["path"], scope["root_path"]) == (200, "/api/jobs", "/ward/gracile")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"root_path": "gracile"}, "cannot lie under"),
        ({"root_path": "/api"}, "cannot lie under"),
        ({"root_path": "/a//b"}, "cannot lie under"),
        ({"names": ("https://gracile.example.org",)}, "no name of a host"),
        ({"trusted_proxies": ("proxy",)}, "no address of a proxy"),
        ({"token": "two words"}, "more than a header can carry"),
        ({"host": "0.0.0.0"}, "no token guards it"),
    ],
)
def test_what_cannot_work_is_told_before_it_starts(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ListenSettings(**wrong)


def test_the_token_comes_from_the_command_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert read_token("", None) == ""
    monkeypatch.setenv("GRACILE_TOKEN", "from-environment")
    assert read_token("", None) == "from-environment"
    assert read_token("", file) == "from-file"
    assert read_token("given", None) == "given"
    with pytest.raises(UsageError, match="given twice"):
        read_token("given", file)
    file.write_text("\n")
    with pytest.raises(UsageError, match="holds no token"):
        read_token("", file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_token("", tmp_path / "nowhere")
