"""Debian's nginx in front of a server under test, with the file that the documentation gives."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from gracile.serve.settings import ListenSettings

NAME = "gracile.test"
PATH = "/ward/gracile"
BEHIND: dict[str, Any] = {"names": (NAME,), "root_path": PATH, "trusted_proxies": ("127.0.0.1",)}
"""How servers under test are run, so that nginx may stand in front of them."""
LISTEN = ListenSettings(**BEHIND)

_MAIN = """
daemon off;
pid nginx.pid;
worker_processes 1;
error_log error.log warn;
{user}
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{server}
}}
"""

DEFAULTS = """
server {
    listen 443 ssl;
    server_name gracile.example.org;
    ssl_certificate /etc/nginx/gracile.pem;
    ssl_certificate_key /etc/nginx/gracile.key;
    location /elsewhere/ {
        proxy_pass http://127.0.0.1:8765/;
    }
}
"""
"""What nginx does when nothing is said (the upstream's Host, uploads of 1 MB, HTTP/1.0); the path is taken off."""


def nginx() -> str | None:
    """Where it is; None when it or what makes its certificate is not installed."""
    found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    return found if shutil.which("openssl") else None


def documented() -> str:
    """The server that docs/serving.md gives."""
    page = (Path(__file__).parents[2] / "docs/serving.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```nginx\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return block


@lru_cache(maxsize=1)
def _certificate() -> tuple[str, str]:
    """A certificate of the test's host name and its key, in PEM."""
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = Path(folder, "key"), Path(folder, "certificate")
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        about = ["-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
        subprocess.run(
            [*command, *about, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
        )
        return certificate.read_text(), key.read_text()


@contextmanager
def proxied(address: str, server: str = "", path: str = PATH) -> Iterator[tuple[str, Path]]:
    """nginx in front of a server; gives the page's address and the file of its certificate.

    Args:
        address: The server's own.
        server: What nginx is told; the documented file when empty.
        path: What the documented path is changed to.
    """
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        place = Path(folder)
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)  # nginx takes it over, so that there is no port to lose and no start to wait for
        port = listener.getsockname()[1]
        certificate, key = _certificate()
        (place / "gracile.pem").write_text(certificate)
        (place / "gracile.key").write_text(key)
        changes = {
            "listen 443": f"listen 127.0.0.1:{port}", "gracile.example.org": NAME, "/etc/nginx/": f"{folder}/",
            "location /gracile/": f"location {path}/", "http://127.0.0.1:8765": address,
        }  # fmt: skip
        server = server or documented()
        for before, after in changes.items():
            server = server.replace(before, after)
        user = "user root;" if os.getuid() == 0 else ""
        (place / "nginx.conf").write_text(_MAIN.format(user=user, server=server))
        command = [str(nginx()), "-p", folder, "-c", "nginx.conf", "-e", "error.log"]
        handed = {**os.environ, "NGINX": f"{listener.fileno()};"}
        process = subprocess.Popen(
            command, env=handed, pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            yield f"https://{NAME}:{port}{path}", place / "gracile.pem"
        finally:
            process.terminate()
            _, said = process.communicate(timeout=30)
            assert process.returncode == 0, said.decode()
