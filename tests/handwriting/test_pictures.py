"""Pictures of every kind and hostile ones: the right pixels, or an error that says what is."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import PictureError
from pipeline.handwriting import pictures

GREY = np.tile(np.linspace(0, 255, 40).round().astype(np.uint8), (30, 1))


def encode(picture: Image.Image, form: str, **options: Any) -> bytes:
    content = BytesIO()
    picture.save(content, form, **options)
    return content.getvalue()


def assert_shows_grey(content: bytes, tolerance: int = 0) -> None:
    pixels = pictures.decode(content, "x")
    assert pixels.dtype == np.uint8 and pixels.shape == (30, 40, 4)
    difference = pixels[..., :3].astype(int) - GREY[..., np.newaxis]
    assert np.abs(difference).max() <= tolerance
    assert (pixels[..., 3] == 255).all()


@pytest.mark.parametrize(
    "form", ["PNG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM", "JPEG", "AVIF"]
)
def test_each_format_is_decoded(form: str) -> None:
    options: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}}
    tolerance = {"JPEG": 3, "AVIF": 3}.get(form, 0)
    assert_shows_grey(encode(Image.fromarray(GREY), form, **options.get(form, {})), tolerance)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(form: str) -> None:
    assert_shows_grey(encode(Image.fromarray(GREY.astype(np.uint16) * 257), form), 1)


@pytest.mark.parametrize(
    "levels",
    [
        GREY.astype(np.float32) / 255,
        GREY.astype(np.float32),
        GREY.astype(np.float32) * 257,
        GREY.astype(np.int32),
    ],
)
def test_other_numbers_are_scaled(levels: np.ndarray) -> None:
    assert_shows_grey(encode(Image.fromarray(levels), "TIFF"), 1)


def test_cmyk_becomes_rgb() -> None:
    picture = Image.fromarray(GREY).convert("RGB").convert("CMYK")
    assert_shows_grey(encode(picture, "TIFF"), 1)
    assert_shows_grey(encode(picture, "JPEG", quality=100), 4)


def test_palette_keeps_its_transparency() -> None:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 200, 10, 20])
    picture.putpixel((0, 0), 0)
    pixels = pictures.decode(encode(picture, "PNG", transparency=0), "x")
    assert pixels[0, 0, 3] == 0
    assert pixels[1, 1].tolist() == [200, 10, 20, 255]


def test_picture_is_turned_as_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    pixels = pictures.decode(encode(Image.fromarray(GREY), "JPEG", exif=exif), "x")
    assert pixels.shape == (40, 30, 4)
    assert np.abs(pixels[..., 0].astype(int) - np.rot90(GREY, -1)).max() <= 3


def test_first_picture_of_an_animation_is_taken() -> None:
    frames = [Image.fromarray(np.full_like(GREY, level)) for level in (0, 120, 240)]
    first = Image.fromarray(GREY)
    assert_shows_grey(encode(first, "GIF", save_all=True, append_images=frames))


def test_wrong_extension_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode(Image.fromarray(GREY), "PNG"))
    assert pictures.read(path).shape == (30, 40, 4)


@pytest.mark.parametrize(
    ("size", "shape"), [((6400, 4800), (2400, 3200)), ((16_320, 12_240), (3060, 4080))]
)
def test_large_photo_is_decoded_smaller(size: tuple[int, int], shape: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    content = encode(Image.new("L", size, 99), "JPEG", exif=exif)
    pixels = pictures.decode(content, "x")
    assert pixels.shape[:2] == shape and (pixels[::100, ::100, 0] == 99).all()


@pytest.mark.parametrize("mode", ["1", "P", "L", "RGBA", "I;16"])
def test_large_scan_is_reduced(mode: str) -> None:
    if mode == "I;16":
        scan = Image.fromarray(np.full((3200, 3300), 99 * 257, np.uint16))
    else:
        scan = Image.new("L", (3300, 3200), 255 if mode == "1" else 99).convert(mode)
    scan.putpixel((3299, 3199), 0)
    pixels = pictures.decode(encode(scan, "TIFF"), "x")
    assert pixels.shape == (1600, 1650, 4)
    assert (pixels[:1000, :1000, :3] == (255 if mode == "1" else 99)).all()


def jpeg(width: int, height: int, *, progressive: bool = False) -> bytes:
    """A small JPEG whose header claims another size."""
    content = encode(Image.new("L", (16, 16)), "JPEG", progressive=progressive)
    before, size, after = content.partition(struct.pack(">HH", 16, 16))
    assert size
    return before + struct.pack(">HH", height, width) + after


def png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    body = b"Comment\0\0" + zlib.compress(bytes(80 << 20))
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + body))
    content = encode(Image.fromarray(GREY), "PNG")
    return content[:33] + chunk + content[33:]


PNG = encode(Image.fromarray(GREY).convert("RGB"), "PNG")
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it.png is empty: expected a picture"),
        (PNG[: len(PNG) // 2], "it.png is damaged: .*Save or download it once more"),
        (encode(Image.fromarray(GREY), "JPEG")[:300], "it.png is damaged: "),
        (png(10, 10, b""), "it.png is damaged: "),
        (
            png(30_000, 30_000, b""),
            "pixels: expected at most 50 million, or 250 as a JPEG",
        ),
        (png(9_000, 9_000, b""), "JPEG that is not progressive, found 9,000 × 9,000. Crop it"),
        (jpeg(30_000, 30_000), "it.png has too many pixels: expected at most 50 million"),
        (jpeg(15_700, 15_930), "found 15,700 × 15,930"),
        (jpeg(60_000, 2_000), "found 60,000 × 2,000"),
        (jpeg(9_000, 9_000, progressive=True), "found 9,000 × 9,000"),
        (text_bomb(), "it.png is damaged: .*too large"),
        (SVG, "it.png is an SVG drawing, which has no pixels: export it as PNG"),
        (b"%PDF-1.7", "it.png is a PDF: save its page as PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it.png is HEIC, as iPhones save photos: save"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "it.png is HEIC, as iPhones save photos: save"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "it.png is a film: save one picture of it"),
        (
            b"<!DOCTYPE html><p>",
            "it.png is a web page or XML, no picture: expected one of AVIF, BMP, DIB",
        ),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it.png is no picture: expected"),
        (b"label,pixel0\n", "it.png is no picture: expected one of AVIF, BMP, DIB, GIF, JPEG, PNG"),
    ],
)
def test_hostile_bytes_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(PictureError, match=message):
        pictures.decode(content, "it.png")


FORMS = ("PNG", "GIF", "TIFF", "WEBP", "BMP", "DIB", "JPEG", "AVIF")


def test_no_truncation_is_a_traceback() -> None:
    for form in FORMS:
        whole = encode(Image.fromarray(GREY), form)
        for end in range(0, len(whole), max(1, len(whole) // 40)):
            try:
                pictures.decode(whole[:end], "x")
            except PictureError:
                continue


def test_no_flipped_byte_is_a_traceback() -> None:
    generator = np.random.default_rng(0)
    for form in FORMS:
        whole = encode(Image.fromarray(GREY), form)
        for _ in range(60):
            damaged = bytearray(whole)
            for place in generator.integers(0, len(whole), 3):
                damaged[place] = generator.integers(256)
            try:
                pictures.decode(bytes(damaged), "x")
            except PictureError:
                continue


@pytest.mark.parametrize(
    "name", ["a b.png", "it's.png", 'so "called".png', "two\nlines.png", "ä.png"]
)
def test_any_name_is_a_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(PNG)
    assert pictures.read(path).shape == (30, 40, 4)


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    for name, message in (
        ("", "is a folder: expected a picture"),
        ("link.png", "is a broken link: expected a picture"),
        ("none.png", "does not exist: expected a picture"),
    ):
        with pytest.raises(PictureError, match=message):
            pictures.read(tmp_path / name)


def test_device_is_no_picture() -> None:
    with pytest.raises(PictureError, match="/dev/zero is no regular file"):
        pictures.read(Path("/dev/zero"))


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(pictures.MAX_BYTES + 1)
    with pytest.raises(PictureError, match="too large: expected at most 128 MiB, found 128 MiB"):
        pictures.read(path)


def test_picture_is_told_by_its_content(tmp_path: Path) -> None:
    contents = {
        "photo": PNG,
        "photo.bak": encode(Image.fromarray(GREY), "TIFF"),
        "notes.png": b"no picture",
        "half": PNG[:20],
        "empty": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    told = {name: pictures.is_picture(tmp_path / name) for name in contents}
    expected = {"photo": True, "photo.bak": True, "notes.png": False, "half": False, "empty": False}
    assert told == expected
    assert not pictures.is_picture(tmp_path / "gone")


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_levels_of_a_deep_picture_are_those_of_its_bits(bits: int) -> None:
    white = 2**bits - 1
    drawn = np.full((40, 40), white, np.uint16)
    drawn[10:30, 18:22] = 0
    shown = pictures.decode(encode(Image.fromarray(drawn), "PNG"), "deep.png")
    assert (shown[0, 0, 0], shown[20, 20, 0]) == (255, 0)


@pytest.mark.parametrize("white", [1.0, 1.001, 255.0, 255.5])
def test_fractional_levels_may_exceed_white_a_little(white: float) -> None:
    drawn = np.full((40, 40), white, np.float32)
    drawn[10:30, 18:22] = 0
    shown = pictures.decode(encode(Image.fromarray(drawn), "TIFF"), "it.tif")
    assert (shown[0, 0, 0], shown[20, 20, 0]) == (255, 0)
