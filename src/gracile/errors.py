"""The errors a user may meet. Each says what is wrong and what to do about it."""


class GracileError(Exception):
    """Something the user can mend.

    Args:
        message: What is wrong, in one sentence.
        remedy: What to do about it, in one sentence; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message} {remedy}".strip())


class DataError(GracileError):
    """A file, folder or label that cannot be used as it is."""


class WriteError(DataError):
    """A place that cannot be written to, as the disk is full or refuses; a run ends, as its next file would fail too."""


class RecipeError(GracileError):
    """A recipe or setting that makes no sense."""

    exit_code = 2


class BundleError(GracileError):
    """A trained bundle that is absent, damaged or made for something else."""


class GeometryError(GracileError):
    """Grids, spacings or coordinate systems that do not fit together."""


class UsageError(GracileError):
    """A command that was called in a way that cannot work."""

    exit_code = 2
