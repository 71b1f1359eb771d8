"""A damaged length takes no memory: never more is read than a file holds."""

from gracile.io.bounded import BoundedFile


def test_no_memory_is_taken_for_more_than_a_file_holds(tmp_path):
    path = tmp_path / "claims.dcm"
    path.write_bytes(bytes(5000))
    with BoundedFile(path) as file:
        assert len(file.read(2000)) == 2000
        assert len(file.read(2**40)) == 3000  # Python would ask for a terabyte first
        assert file.read(2**40) == b""
