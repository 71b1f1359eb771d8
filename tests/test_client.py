"""What answers at an address need not be a Gracile server."""

import io

import pytest

from gracile.client import Client, ServerError


@pytest.mark.parametrize("page", [b"<html>Log in</html>", b"", b"[" * 100_000, b"\xff\xfe"])
def test_a_page_of_a_proxy_is_told_as_that(page: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client("http://127.0.0.1:9")
    monkeypatch.setattr(client._opener, "open", lambda *_, **__: io.BytesIO(page))
    with pytest.raises(ServerError, match=r"What answers at http://127\.0\.0\.1:9 is no Gracile server"):
        client.result("job")
