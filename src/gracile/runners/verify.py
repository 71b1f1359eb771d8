"""Whether the engines on this machine give a bundle's golden answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gracile.bundle import Bundle, member_folder
from gracile.errors import BundleError, DataError, UsageError
from gracile.runners.base import Computing
from gracile.runners.choice import ENGINES, LIBRARIES, is_installed, open_runner
from gracile.runners.golden import Golden, read_goldens
from gracile.runners.processor import computes_bfloat16

FARTHEST = 1e-3
"""Difference, as a share of the answer's range, above which an engine in float32 is wrong."""


@dataclass(frozen=True)
class Verified:
    """What an engine made of a stage's golden cases.

    Args:
        stage: Its name.
        engine: Name of the engine.
        version: Of its library.
        precision: In which it computed.
        difference: The largest one, as a share of the golden answer's range; None where there was no answer.
        why: Reason of that.
        tried: Whether it was; an engine that is too old is not.
    """

    stage: str
    engine: str
    version: str = ""
    precision: str = "float32"
    difference: float | None = None
    why: str = ""
    tried: bool = True

    @property
    def right(self) -> bool:
        """Whether nothing speaks against the engine; of bfloat16 nothing is demanded but an answer."""
        if not self.tried:
            return True
        return self.difference is not None and (self.precision != "float32" or self.difference <= FARTHEST)


def verify(bundle: Bundle, engines: Sequence[str] = ()) -> list[Verified]:
    """Compute the golden cases of a bundle by some engines, in float32 and where the processor does in bfloat16.

    Args:
        bundle: With golden answers; of an ensemble each member.
        engines: Names of engines; all that are installed when empty.

    Raises:
        BundleError: The bundle has no golden answers, or they are damaged.
        UsageError: An engine that is named is not known, not installed or too old.
    """
    if bundle.members:
        return [
            replace(row, stage=f"{member_folder(number)}/{row.stage}")
            for number, member in enumerate(bundle.members, start=1)
            for row in verify(member, engines)
        ]
    if not bundle.goldens:
        raise BundleError("The bundle has no golden answers.", "Make them: gracile models upgrade BUNDLE.")
    rows = []
    for stage, path in bundle.goldens.items():
        try:
            cases = read_goldens(path.read_bytes())
        except DataError as error:
            raise BundleError(f"{path} is damaged: {error.message}.", "Copy the bundle again.") from None
        for engine in engines or [name for name in ENGINES if is_installed(name)]:
            for precision in LIBRARIES[engine].precisions if engine in LIBRARIES else ("float32",):
                if precision == "float32" or computes_bfloat16():
                    rows.append(_verified(bundle, stage, cases, engine, precision, named=bool(engines)))
    return rows


def _verified(
    bundle: Bundle, stage: str, cases: Sequence[Golden], engine: str, precision: str, *, named: bool
) -> Verified:
    try:
        runner = open_runner(bundle, stage, Computing(engine, precision, device="cpu"))
        far = max(case.difference(runner(*case.inputs)) for case in cases)
    except (BundleError, DataError) as error:
        return Verified(stage, engine, precision=precision, why=error.message)
    except UsageError as error:
        if named:
            raise
        return Verified(stage, engine, precision=precision, why=error.message, tried=False)
    return Verified(stage, engine, runner.computed.version, precision, far)
