"""What would fail on another system: text in whatever encoding it has, and modules that it may lack."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "gracile"
FILES = sorted(SOURCE.rglob("*.py"))

POSIX_ONLY = {"crypt", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_NAMES = {
    "SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "chown", "fork", "forkpty", "getuid", "geteuid", "killpg", "mkfifo",
    "nice", "preexec_fn", "sched_getaffinity", "setsid", "start_new_session", "sync", "uname",
}  # fmt: skip
"""Attributes and arguments that only Unix has."""

OTHERS = {"Image", "av", "zipfile", "content", "_opener", "_journal", "way"}
"""What has an ``open`` of its own, which opens no text."""


def told(node: ast.Call, name: str, place: int) -> ast.expr | None:
    """An argument of a call, by its name or its place."""
    by_name = next((word.value for word in node.keywords if word.arg == name), None)
    return by_name or (node.args[place] if len(node.args) > place else None)


def owner(node: ast.Call) -> str:
    """The name right in front of a method's."""
    value = node.func.value if isinstance(node.func, ast.Attribute) else None
    return value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else ""


def opens_text(node: ast.Call) -> bool:
    """Whether a call opens, reads or writes text, so that it needs an encoding."""
    method = isinstance(node.func, ast.Attribute)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in ("read_text", "write_text"):
        return method  # the function `gracile.io.write_text` has one encoding
    if name == "TextIOWrapper":
        return True
    if name in ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile"):
        if method and name == "open" and owner(node) in OTHERS:
            return False
        if owner(node) == "os" and name == "open":
            return False
        mode = told(node, "mode", 0 if method and name == "open" and owner(node) != "gzip" else 1)
        if mode is None:
            return name in ("open", "fdopen") and owner(node) != "gzip"
        return not (isinstance(mode, ast.Constant) and "b" in str(mode.value))
    words = {word.arg: word.value for word in node.keywords}
    flags = [words.get("text"), words.get("universal_newlines")]
    return any(isinstance(flag, ast.Constant) and flag.value is True for flag in flags)


def without_encoding(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that leave the encoding of text to the system."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and opens_text(node) and not any(one.arg == "encoding" for one in node.keywords):
            reads = isinstance(node.func, ast.Attribute) and node.func.attr == "read_text"
            if not (reads and node.args):
                yield node


def unguarded_imports(tree: ast.Module) -> Iterator[ast.stmt]:
    """Imports of modules that only Unix has, which no ``try`` holds."""
    guarded = {id(one) for node in ast.walk(tree) if isinstance(node, ast.Try) for one in ast.walk(node)}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if {name.partition(".")[0] for name in names} & POSIX_ONLY and id(node) not in guarded:
            yield node


def posix_names(tree: ast.AST) -> Iterator[str]:
    """Attributes of os and signal, and arguments of processes, that only Unix has."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in POSIX_NAMES and isinstance(node.value, ast.Name):
            if node.value.id in ("os", "signal"):
                yield node.attr
        elif isinstance(node, ast.keyword) and node.arg in POSIX_NAMES:
            yield node.arg


def starts_by_forking(tree: ast.AST) -> bool:
    """Whether processes are asked to begin as a copy of this one."""
    words = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return "fork" in words or "forkserver" in words


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_a_module_works_on_any_system(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert [node.lineno for node in without_encoding(tree)] == [], "text without an encoding"
    assert [node.lineno for node in unguarded_imports(tree)] == [], "a module that only Unix has"
    assert list(posix_names(tree)) == []
    assert not starts_by_forking(tree)


@pytest.mark.parametrize(
    ("code", "faults"),
    [
        ("open('a')", 1), ("open('a', 'rb')", 0), ("open('a', encoding='utf-8')", 0), ("path.open()", 1),
        ("path.open('w')", 1), ("path.open('wb')", 0), ("path.open(mode='rb')", 0), ("path.read_text()", 1),
        ("path.write_text(a)", 1), ("path.write_text(a, encoding='utf-8')", 0), ("write_text(path, a)", 0),
        ("Image.open(a)", 0), ("gzip.open(a)", 0), ("gzip.open(a, 'rt')", 1), ("os.open(a, os.O_RDWR)", 0),
        ("os.fdopen(1, 'w')", 1), ("run(a, text=True)", 1), ("run(a, text=True, encoding='utf-8')", 0), ("run(a)", 0),
    ],
)  # fmt: skip
def test_the_check_of_encodings_sees_what_it_should(code: str, faults: int) -> None:
    assert len(list(without_encoding(ast.parse(code)))) == faults


def test_the_check_of_imports_sees_what_it_should() -> None:
    assert len(list(unguarded_imports(ast.parse("import resource\ndef f():\n    from fcntl import flock")))) == 2
    assert not list(unguarded_imports(ast.parse("try:\n    import fcntl\nexcept ImportError:\n    fcntl = None")))
    found = posix_names(ast.parse("os.fork(); signal.SIGKILL; Popen(a, start_new_session=True)"))
    assert set(found) == {"start_new_session", "fork", "SIGKILL"}
