"""How files go wrong: cut off, overwritten, re-encoded, or well-formed with contents that nobody expects."""

import gzip
import io
import json
import random
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import yaml

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**40, 10**400, -(10**30), 1e308, float("nan"), float("inf"), "", "\0", "\ud800", "../../x",
    "x" * 5000, "=1+1", [], {}, [[]], {"": {}}, [None] * 50, 2**63, -0.0, "NaN", "1e999",
)  # fmt: skip
_INTEGERS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\1\0\0\0")
_TEXTS = (b"[" * 100_000, b'{"a":' * 20_000, b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"\xc3\x28", b"'" * 300, b"\n" * 5000)
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


def mutated(content: bytes, kind: str, draw: random.Random) -> bytes:
    """A content with something wrong.

    Args:
        content: A sound file.
        kind: ``json``, ``yaml``, ``lines`` (a JSON each), ``csv``, ``gz``, ``zip``, ``deflated`` (DICOM) or ``bytes``:
            what may go wrong.
        draw: Chooses.
    """
    if kind in _BY_FORMAT and draw.random() < 0.7:
        return _BY_FORMAT[kind](content, draw)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        content = draw.choice(_BYTES)(content, draw)
    return content


def _place(content: bytes, draw: random.Random) -> int:
    """A place in a file, in every other case in its head, where the fields lie."""
    end = min(len(content), 600) if draw.random() < 0.5 else len(content)
    return draw.randrange(end) if end else 0


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: _place(content, draw)]


def _flip(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 3, 20)) if changed else 0):
        changed[_place(content, draw)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _integer(content: bytes, draw: random.Random) -> bytes:
    place, number = _place(content, draw), draw.choice(_INTEGERS)
    return content[:place] + number + content[place + 4 :]


def _noise(content: bytes, draw: random.Random) -> bytes:
    place, size = _place(content, draw), draw.choice((1, 8, 200))
    return content[:place] + draw.randbytes(size) + content[place + size :]


def _moved(content: bytes, draw: random.Random) -> bytes:
    first, size, second = _place(content, draw), draw.choice((1, 7, 300)), _place(content, draw)
    block = content[first : first + size]
    return content[:second] + block + content[second + draw.choice((0, size)) :]


def _text(content: bytes, draw: random.Random) -> bytes:
    place = _place(content, draw)
    return content[:place] + draw.choice(_TEXTS) + content[place:]


def _gone(content: bytes, draw: random.Random) -> bytes:
    place = _place(content, draw)
    return draw.choice((b"", content * 2, bytes(len(content)), content[:place] + content[place + 40 :]))


_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (_cut, _flip, _integer, _noise, _moved, _text, _gone)


def _spoiled(data: Any, draw: random.Random) -> Any:
    """Plain data with one of its parts replaced, left out, doubled or renamed."""
    places: list[tuple[Any, Any]] = []
    waiting = [data]
    while waiting:
        node = waiting.pop()
        parts = (
            list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
        )
        places += [(node, key) for key, _ in parts]
        waiting += [part for _, part in parts]
    if not places or draw.random() < 0.05:
        return draw.choice(ODD)
    node, key = draw.choice(places)
    how = draw.choice(("odd", "odd", "odd", "gone", "deep", "other", "named"))
    if how == "gone":
        del node[key]
    elif how == "deep":
        for _ in range(draw.choice((60, 200, 900))):
            node[key] = [node[key]]
    elif how == "other":
        another, name = draw.choice(places)
        node[key] = json.loads(json.dumps(another[name])) if name in another or isinstance(another, list) else None
    elif how == "named" and isinstance(node, dict):
        node[draw.choice(("", "x", "\0", "name\n", "é" * 300))] = node.pop(key)
    else:
        node[key] = draw.choice(ODD)
    return data


def _json(content: bytes, draw: random.Random) -> bytes:
    return json.dumps(_spoiled(json.loads(content), draw)).encode()


def _lines(content: bytes, draw: random.Random) -> bytes:
    lines = [line for line in content.split(b"\n") if line]
    number = draw.randrange(len(lines))
    lines[number] = _json(lines[number], draw)
    return b"\n" + b"\n\n".join(lines) + b"\n"


def _yaml(content: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.1:
        return draw.choice(
            (BOMB, "a: &a [*a]", "? [1]\n: 2", "!!int x", "!!python/name:os.system", "- " * 5000)
        ).encode()
    if draw.random() < 0.1:
        return (
            content + draw.choice(("\nx: 2001-99-99", "\nx: !!binary é", "\n<<: 3", "\nx: *y", "\nx: 1:99:1")).encode()
        )
    data = _spoiled(yaml.safe_load(content), draw)
    try:
        return yaml.safe_dump(data, sort_keys=False).encode("utf-8", "replace")
    except RecursionError:  # too deep for this writer
        return json.dumps(data).encode()


def _csv(content: bytes, draw: random.Random) -> bytes:
    rows = [line.split(b",") for line in content.split(b"\n")]
    row = draw.choice(rows)
    cell = draw.choice(
        (
            b"",
            b"\0",
            b'"',
            b"x" * 140_000,
            b"nan",
            b"inf",
            b"1e999",
            b"-1",
            b"9" * 5000,
            b"\xff",
            b"\r",
            b"=1",
            b"a/" * 3000,
        )
    )
    how = draw.choice(("cell", "cell", "cell", "more", "less", "header", "semicolons"))
    if how == "cell":
        row[draw.randrange(len(row))] = cell
    elif how == "more":
        row += [cell, cell]
    elif how == "less":
        row.pop()
    elif how == "header":
        rows[0] = draw.choice(([], [b""], rows[0][:1] * 3, [cell]))
    text = b"\n".join(b",".join(row) for row in rows)
    return text.replace(b",", b";") if how == "semicolons" else text


def _gz(content: bytes, draw: random.Random) -> bytes:
    return gzip.compress(mutated(gzip.decompress(content), "bytes", draw), mtime=0)


def _zip(content: bytes, draw: random.Random) -> bytes:
    """An archive whose checksums fit what is wrong in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(packed, "w") as target:
        members = source.namelist()
        chosen = draw.choice(members)
        for name in members:
            data = source.read(name)
            if name != chosen or draw.random() < 0.8:
                target.writestr(name, mutated(data, "bytes", draw) if name == chosen else data)
    return packed.getvalue()


def _deflated(content: bytes, draw: random.Random) -> bytes:
    """A DICOM file whose data set is wrong within its compression."""
    begin = 144 + int.from_bytes(content[140:144], "little")  # behind the meta information, whose length is its first
    inner = mutated(zlib.decompress(content[begin:], -zlib.MAX_WBITS), "bytes", draw)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return content[:begin] + packer.compress(inner) + packer.flush()


_BY_FORMAT = {
    "json": _json, "lines": _lines, "yaml": _yaml, "csv": _csv, "gz": _gz, "zip": _zip, "deflated": _deflated,
}  # fmt: skip
