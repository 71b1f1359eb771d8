"""Which program decodes a compressed frame, by its transfer syntax; a plugin for pydicom that asks imagecodecs.

One decoder is named for each syntax, so that the answer does not depend on what else is installed. GDCM, which pydicom
would ask where it is there, is never asked: damaged frames make it end the whole process.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.io.dicom.jpeg_lossless import decode_jpeg_lossless

_JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_HIGH_THROUGHPUT = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")

_FUNCTIONS = {
    **dict.fromkeys(_JPEG_LOSSLESS, ""),  # see `gracile.io.dicom.jpeg_lossless`
    "1.2.840.10008.1.2.4.51": "jpeg8_decode",
    **dict.fromkeys(_JPEG_LS, "jpegls_decode"),
    **dict.fromkeys((*_JPEG_2000, *_HIGH_THROUGHPUT), "jpeg2k_decode"),
}
"""Functions of imagecodecs by transfer syntax."""

_OURS = "imagecodecs"
_PLUGINS = {"1.2.840.10008.1.2.4.50": "pillow", "1.2.840.10008.1.2.5": "pydicom", **dict.fromkeys(_FUNCTIONS, _OURS)}

DECODER_DEPENDENCIES = dict.fromkeys(_FUNCTIONS, (_OURS,))
"""Asked for by pydicom, of a plugin."""


def decoder_of(path: Path, dataset: Any) -> str:
    """The plugin of pydicom's that decodes a data set's pixels; empty where they are not compressed.

    Raises:
        DataError: Nothing here reads this compression; the message names it.
    """
    from pydicom.uid import UID

    syntax = UID(str(dataset.file_meta.TransferSyntaxUID))
    if syntax.is_transfer_syntax and not syntax.is_compressed:
        return ""
    name = syntax.name if syntax.name != syntax else "an unknown transfer syntax"
    if syntax not in _PLUGINS:
        raise DataError(
            f"{path} is compressed in a way that is not read here: {name}.",
            "Decompress it with another program: gdcmconv --raw IN OUT, or dcmdjpeg IN OUT.",
        )
    if _PLUGINS[syntax] == _OURS:
        if not is_available(syntax):
            raise DataError(f"{path} is compressed: {name}.", "Install what decodes it: pip install imagecodecs.")
        _add_plugin()
    return _PLUGINS[syntax]


@cache
def _add_plugin() -> None:
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    for uid in _FUNCTIONS:
        get_decoder(UID(uid)).add_plugin(_OURS, (__name__, "decode_frame"))


def is_available(uid: str) -> bool:
    """Whether imagecodecs is there to decode a transfer syntax; asked by pydicom, of a plugin."""
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        return False
    return uid in _FUNCTIONS


def decode_frame(source: bytes, runner: Any) -> bytearray:
    """A compressed frame as little-endian bytes, color by pixel; called by pydicom."""
    import imagecodecs
    from pydicom.pixels.common import PhotometricInterpretation

    function = _FUNCTIONS[runner.transfer_syntax]
    shape = (runner.rows, runner.columns)
    if function:
        values = getattr(imagecodecs, function)(source)
    else:
        values = decode_jpeg_lossless(source, shape, runner.samples_per_pixel)
    if values.shape[:2] != shape:
        raise ValueError
    if values.ndim == 3:
        runner.set_option("planar_configuration", 0)
        if runner.photometric_interpretation in (PhotometricInterpretation.YBR_ICT, PhotometricInterpretation.YBR_RCT):
            runner.set_option("photometric_interpretation", PhotometricInterpretation.RGB)
    runner.set_option("bits_allocated", 8 * values.itemsize)
    return bytearray(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes())
