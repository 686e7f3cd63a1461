"""Picture files of any kind to RGBA arrays, with bounds on what is decoded.

Only formats that Pillow decodes by itself are allowed: none that starts another program. Size and
kind are known from the header, before any pixel is decoded.
"""

import warnings
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import PictureError

Pixels = NDArray[np.uint8]
"""RGBA ``(height, width, 4)``."""

COMMON_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM")
RARER_FORMATS = ("AVIF", "DIB", "TIFF", "WEBP")
"""What is decoded, by Pillow's names; of an animation the first picture. Pillow loads the code for
the rarer ones when they are first met. It has no code for HEIC."""

SUFFIXES = frozenset(
    {".apng", ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jif", ".jpe", ".jpeg", ".jpg", ".mpo"}
    | {".pbm", ".pfm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""File names that are taken for pictures in a folder. The format is told by the content."""

UNREADABLE_SUFFIXES = frozenset(
    {".ai", ".arw", ".cr2", ".cr3", ".dng", ".emf", ".eps", ".gifv", ".heic", ".heics", ".heif"}
    | {".hif", ".icns", ".ico", ".jp2", ".jxl", ".mov", ".mp4", ".nef", ".orf", ".pdf", ".psd"}
    | {".raf", ".rw2", ".svg", ".svgz", ".tga", ".wmf", ".xcf"}
)
"""File names of pictures, scans and films that cannot be read here. In a folder they are errors, so
that nobody believes they were read."""

MAX_BYTES = 128 << 20
MAX_PIXELS = 50_000_000
MAX_JPEG_PIXELS = 250_000_000
"""More than phones make. JPEGs are decoded at a fraction of their size, row by row; progressive
ones are held in memory as a whole and have the same limit as other formats."""

Image.MAX_IMAGE_PIXELS = None  # `_bound_size` has the limits instead

_ENOUGH_PIXELS = 1600
"""Pictures whose sides are at least twice this are reduced to a fraction of their size."""


def display_name(path: Path | str) -> str:
    r"""The name of a file as text, with escapes such as ``\xff`` for bytes that are not UTF-8."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read(path: Path) -> Pixels:
    """Decode a picture file.

    Raises:
        PictureError: it is missing, no file, too large, damaged or of another kind.
    """
    name = display_name(path)
    if path.is_dir():
        raise PictureError(f"{name} is a folder: expected a picture.")
    if not path.exists():
        kind = "is a broken link" if path.is_symlink() else "does not exist"
        raise PictureError(f"{name} {kind}: expected a picture.")
    if not path.is_file():
        raise PictureError(f"{name} is no regular file: expected a picture.")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise _too_large(name, f"{size >> 20} MiB")
    return decode(path.read_bytes(), name)


def decode(content: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode the bytes of a picture.

    The picture is turned as its EXIF data say. Sixteen bits become eight, CMYK and palettes RGB.

    Args:
        content: of the file.
        name: for messages.
        max_pixels: that are decoded; see `MAX_JPEG_PIXELS`, too.

    Raises:
        PictureError: saying what the bytes are instead.
    """
    if not content:
        raise PictureError(f"{name} is empty: expected a picture.")
    if len(content) > MAX_BYTES:
        raise _too_large(name, "more")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubts about metadata
            with _open(BytesIO(content)) as picture:
                _bound_size(picture, name, max_pixels)
                ImageOps.exif_transpose(picture, in_place=True)
                return np.asarray(_reduce(_to_eight_bits(picture)).convert("RGBA"))
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(f"{name} {_describe_other(content)}.") from None
    except Exception as error:  # decoders raise any kind for damaged bytes
        reason = str(error).rstrip(".") or type(error).__name__
        raise PictureError(f"{name} is damaged: {reason}. Save or download it once more.") from None


def is_picture(path: Path) -> bool:
    """Whether a file begins like a picture that can be read, whatever its name is."""
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")
            _open(file).close()
    except Exception:  # as in `decode`
        return False
    return True


def _open(file: IO[bytes]) -> Image.Image:
    try:
        return Image.open(file, formats=COMMON_FORMATS)
    except UnidentifiedImageError:
        Image.init()
        return Image.open(file, formats=RARER_FORMATS)


def _too_large(name: str, found: str) -> PictureError:
    return PictureError(
        f"{name} is too large: expected at most {MAX_BYTES >> 20} MiB, found {found}. Crop it, or "
        "save it smaller."
    )


def _bound_size(picture: Image.Image, name: str, max_pixels: int) -> None:
    """Have a JPEG decoded at a fraction of its size; refuse what is too large."""
    width, height = picture.size
    decoded = width * height
    if picture.format in ("JPEG", "MPO") and not picture.info.get("progressive"):
        picture.draft(None, (_ENOUGH_PIXELS, _ENOUGH_PIXELS))
        decoded = picture.width * picture.height
    if decoded > max_pixels or width * height > MAX_JPEG_PIXELS:
        raise PictureError(
            f"{name} has too many pixels: expected at most {max_pixels // 10**6} million, or "
            f"{MAX_JPEG_PIXELS // 10**6} as a JPEG that is not progressive, found {width:,} × "
            f"{height:,}. Crop it, or save it smaller."
        )


def _to_eight_bits(picture: Image.Image) -> Image.Image:
    """Grey levels of more than eight bits, spread over eight; other pictures as they are."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    levels: NDArray[Any] = np.nan_to_num(np.asarray(picture).astype(np.float32))
    highest = float(levels.max())
    if picture.mode == "F" and highest <= _SLIGHTLY_MORE:
        scale = 255.0
    else:
        bits = max(8, int(highest / _SLIGHTLY_MORE).bit_length())
        bits = bits if bits <= _BITS_OF_CAMERAS else 16  # a dark picture is no shallow one
        scale = 255 / (2**bits - 1)
    return Image.fromarray(np.clip(levels * scale, 0, 255).round().astype(np.uint8))


_SLIGHTLY_MORE = 1.01
"""Than the level of white, as filters of fractional levels leave it."""

_BITS_OF_CAMERAS = 12
"""Those of a picture that uses few of sixteen."""

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def _reduce(picture: Image.Image) -> Image.Image:
    """A large picture at a fraction of its size."""
    factor = min(picture.size) // _ENOUGH_PIXELS
    if factor < 2:
        return picture
    if picture.mode in ("1", "P", "PA"):
        picture = picture.convert("RGBA")
    return picture.reduce(factor)


def _describe_other(content: bytes) -> str:
    start = content[:1024].lstrip().lower()
    expected = f"expected one of {', '.join(sorted((*COMMON_FORMATS, *RARER_FORMATS)))}"
    if b"<svg" in start:
        return "is an SVG drawing, which has no pixels: export it as PNG"
    if start.startswith(b"%pdf"):
        return "is a PDF: save its page as PNG"
    if content[4:12] == b"ftypavif":
        return "is AVIF, which this installation of Pillow cannot read: save it as JPEG or PNG"
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC_BRANDS:
        return "is HEIC, as iPhones save photos: save or share it as JPEG or PNG"
    if content[4:8] == b"ftyp":
        return "is a film: save one picture of it as JPEG or PNG"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return f"is a web page or XML, no picture: {expected}"
    return f"is no picture: {expected}"
