"""Picture files of any kind to RGBA arrays, with bounds on what is decoded.

Only formats that Pillow decodes by itself are allowed: none that starts another program. Size and
kind are judged by the header, before any pixel is decoded.
"""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import PictureError

Pixels = NDArray[np.uint8]
"""RGBA ``(height, width, 4)``."""

COMMON_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM")
RARER_FORMATS = ("TIFF", "WEBP")
"""What is decoded, by Pillow's names; of an animation the first picture. Pillow loads the code for
the rarer ones when they are first met."""

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)
"""File names that are taken for pictures in a folder. The format is told by the content."""

MAX_BYTES = 64 << 20
MAX_PIXELS = 50_000_000

_ENOUGH_PIXELS = 1600
"""JPEGs whose sides are at least twice this are decoded at a fraction of their size."""


def read(path: Path) -> Pixels:
    """Decode a picture file.

    Raises:
        PictureError: it is missing, no file, too large, damaged or of another kind.
    """
    if path.is_dir():
        raise PictureError(f"{path} is a folder: expected a picture.")
    if not path.exists():
        kind = "is a broken link" if path.is_symlink() else "does not exist"
        raise PictureError(f"{path} {kind}: expected a picture.")
    if not path.is_file():
        raise PictureError(f"{path} is no regular file: expected a picture.")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise PictureError(
            f"{path} is too large: expected at most {MAX_BYTES >> 20} MiB, found {size >> 20} MiB. "
            "Crop it or save it smaller."
        )
    return decode(path.read_bytes(), str(path))


def decode(content: bytes, name: str) -> Pixels:
    """Decode the bytes of a picture; ``name`` is for messages.

    The picture is turned as its EXIF data say. Sixteen bits become eight, CMYK and palettes RGB.

    Raises:
        PictureError: saying what the bytes are instead.
    """
    if not content:
        raise PictureError(f"{name} is empty: expected a picture.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubts about metadata; bombs are refused below
            with _open(content) as picture:
                _check_size(picture.size, name)
                if picture.format in ("JPEG", "MPO"):
                    picture.draft(None, (_ENOUGH_PIXELS, _ENOUGH_PIXELS))
                picture.load()
                turned = ImageOps.exif_transpose(picture)
                return np.asarray(_to_eight_bits(turned).convert("RGBA"))
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(f"{name} {_describe_other(content)}.") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{name} has too many pixels: expected at most {_LIMIT}.") from None
    except Exception as error:  # decoders raise any kind for damaged bytes
        reason = str(error).rstrip(".") or type(error).__name__
        raise PictureError(f"{name} is damaged: {reason}. Save or download it once more.") from None


def _open(content: bytes) -> Image.Image:
    try:
        return Image.open(BytesIO(content), formats=COMMON_FORMATS)
    except UnidentifiedImageError:
        Image.init()
        return Image.open(BytesIO(content), formats=RARER_FORMATS)


_LIMIT = f"{MAX_PIXELS // 1_000_000} million"


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{name} has too many pixels: expected at most {_LIMIT}, found {width:,} × {height:,}. "
            "Crop it or save it smaller."
        )


def _to_eight_bits(picture: Image.Image) -> Image.Image:
    """Grey levels of more than eight bits, spread over eight; other pictures as they are."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    levels: NDArray[Any] = np.nan_to_num(np.asarray(picture).astype(np.float64))
    highest = levels.max()
    scale = 255.0 if picture.mode == "F" and highest <= 1 else 255 / 65535
    if picture.mode != "F" and picture.mode != "I;16" and highest <= 255:
        scale = 1.0
    return Image.fromarray(np.clip(levels * scale, 0, 255).round().astype(np.uint8))


def _describe_other(content: bytes) -> str:
    start = content[:1024].lstrip().lower()
    expected = f"expected one of {', '.join(sorted((*COMMON_FORMATS, *RARER_FORMATS)))}"
    if b"<svg" in start:
        return "is an SVG drawing, which has no pixels: export it as PNG"
    if start.startswith(b"%pdf"):
        return "is a PDF: save its page as PNG"
    if content[4:8] == b"ftyp":
        return "is HEIC, AVIF or a film: save it as JPEG or PNG"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"is a web page or XML, no picture: {expected}"
    return f"is no picture: {expected}"
