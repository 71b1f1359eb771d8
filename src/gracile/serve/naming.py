"""Names that users gave their files: shown and offered for downloads, never used as paths."""

import re
import unicodedata
from typing import Any
from urllib.parse import quote

from gracile.io.naming import stem

_LONGEST = 100
_FALLBACK = "upload"


def shown_name(given: str) -> str:
    """A file's name as it is shown: the last part of a path, without control characters, of bounded length.

    Example:
        >>> shown_name("../../etc/pass\\nwd.png")
        'passwd.png'
    """
    last = re.split(r"[/\\\\]", given)[-1]
    clean = "".join(c for c in last if unicodedata.category(c)[0] != "C" or c == "\u200d").strip()
    return clean[:_LONGEST] or _FALLBACK


def sendable(value: Any) -> Any:
    """Plain data whose texts can be sent: what is no Unicode, as in file names of old disks, is an escape in them.

    Example:
        >>> sendable(["lat\\udcfcn.png"])
        ['lat\\\\udcfcn.png']
    """
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: sendable(part) for key, part in value.items()}
    return [sendable(part) for part in value] if isinstance(value, list) else value


def download_header(name: str, suffix: str) -> str:
    """The ``Content-Disposition`` that offers a file under the upload's name with another suffix (RFC 6266)."""
    base = stem(name) or _FALLBACK
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", base + suffix)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(base + suffix, safe='')}"
