"""Foreign pictures of a digit to MNIST's form, the way MNIST itself was made.

MNIST's digits are binary ink, scaled into 20×20 with their aspect ratio kept and antialiased, their
centre of mass at the centre of 28×28 (LeCun et al., "Gradient-based learning applied to document
recognition", 1998). Everything here serves to find that ink: whatever differs locally from what
surrounds it, on paper, screens and boards of any colour, lighter or darker.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pipeline.digits import IMAGE_SIZE, Images

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

WORKING_SIZE = 320
"""Longest side, in pixels, in which ink is searched for."""

_BOX_SIZE = 20
_CENTRE = IMAGE_SIZE / 2
"""Index of the pixel at MNIST's centres of mass: the mean over its images is 14.0, not 13.5."""

_DRAWN_SIZE = 120
"""Longest side of the ink's box, in pixels, in which strokes are measured and redrawn."""

_THINNEST, _THICKEST = 2.6, 4.4
"""Stroke widths to which thinner and thicker ones are brought, in pixels of the 20×20 box; nine in
ten of MNIST's lie between 2.1 and 4.4, half of them above 2.95."""


class Problem(StrEnum):
    """Why a picture shows no digit to read."""

    BLANK = "blank"
    SCATTERED = "no stroke stands out"
    SEVERAL = "more than one digit"


@dataclass(frozen=True)
class Glyph:
    """What was found in a picture.

    Attributes:
        image: uint8 ``(28, 28)`` in MNIST's form; all zero where nothing was found.
        problem: why there is nothing to read, or None.
    """

    image: Images
    problem: Problem | None


def find_digit(pixels: NDArray[np.uint8]) -> Glyph:
    """Find the one digit in a picture: RGBA uint8 ``(height, width, 4)``."""
    ink, problem = find_ink(pixels)
    if problem is not None:
        return Glyph(np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8), problem)
    return Glyph(draw(ink), None)


def find_ink(pixels):
    found = search(shrink(pixels, WORKING_SIZE))
    if found is None:
        return None, Problem.BLANK
    scale = max(pixels.shape[:2]) / found.size
    side = max(extent(found.box))
    if scale > 1.2 and side < WORKING_SIZE / 4:
        (top, bottom), (left, right) = (
            (int((part.start - side) * scale), int((part.stop + side) * scale))
            for part in found.box
        )
        closer = pixels[max(top, 0) : bottom, max(left, 0) : right]
        found = search(shrink(closer, WORKING_SIZE)) or found
    return found.cut(), None


@dataclass(frozen=True)
class Strokes:
    mask: Mask
    response: Plane
    implausibility: float

    @property
    def size(self):
        return max(self.mask.shape)

    @property
    def box(self):
        return span(self.mask)

    def cut(self):
        kept = self.response * ndimage.binary_dilation(self.mask)
        return kept[tuple(grown(part, 2, size) for part, size in zip(self.box, self.mask.shape))]


def search(pixels):
    colours, alpha_ink = flatten_alpha(pixels)
    if alpha_ink is not None:
        return select_strokes(alpha_ink, 0.0)
    grey = project(colours)
    if grey is None:
        return None
    if max(grey.shape) >= 100:
        grey = ndimage.gaussian_filter(grey, max(grey.shape) / 640)
    flat = grey - fit_illumination(grey)
    if max(flat.shape) >= 100 and noise_level(flat) > 0.04 * np.ptp(flat):
        flat = ndimage.gaussian_filter(flat, 1.2)
    sign = 1 if is_dark_on_light(flat) else -1
    best = None
    for polarity, share in ((sign, WIDE), (sign, NARROW), (-sign, WIDE), (-sign, NARROW)):
        found = select_strokes(*respond(polarity * flat, share))
        if found is not None and (best is None or found.implausibility < best.implausibility):
            best = found
        if best is not None and best.implausibility < 1:
            break
    return best


WIDE, NARROW = 0.35, 0.12


def respond(flat, share):
    window = max(5, round(share * max(flat.shape))) | 1
    response = ndimage.grey_closing(flat, window) - flat
    floor = np.median(response.ravel()[:: max(1, response.size // 10_000)])
    return np.maximum(response - floor, 0), noise_level(flat)


def grown(s, n, size):
    return slice(max(s.start - n, 0), min(s.stop + n, size))


def span(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def shrink(pixels, longest):
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(pixels)
    return np.asarray(picture.resize(size, Image.Resampling.BOX))


def flatten_alpha(pixels):
    colours = pixels[..., :3].astype(np.float32) / 255
    alpha = pixels[..., 3].astype(np.float32) / 255
    clear = alpha < 0.5
    if not clear.any():
        return colours, None
    if clear.all():
        return colours, alpha
    opaque = ~clear
    rows, columns = span(opaque)
    filled = opaque[rows, columns].mean()
    fill = np.median(colours[opaque], axis=0)
    mixed = colours * alpha[..., None] + fill * (1 - alpha[..., None])
    if filled < 0.85 or np.abs(mixed - fill).max() < 0.1:
        return colours, alpha
    return mixed, None


def project(colours):
    """Brings colours to the one axis along which the strokes differ from what surrounds them."""
    if np.array_equal(colours[..., 0], colours[..., 1]) and np.array_equal(
        colours[..., 0], colours[..., 2]
    ):
        return colours[..., 0] if np.ptp(colours[..., 0]) > 0.01 else None
    full = colours
    step = max(1, max(colours.shape[:2]) // 128)
    colours = colours[::step, ::step]
    h, w = colours.shape[:2]
    size = max(2.0, max(h, w) / 8)
    local = np.stack(
        [ndimage.uniform_filter(colours[..., c], round(size), mode="nearest") for c in range(3)], -1
    )
    away = (colours - local).reshape(-1, 3)
    covariance = away.T @ away / len(away)
    values, vectors = np.linalg.eigh(covariance)
    if values[-1] < 1e-6:
        return None
    axis = vectors[:, -1]
    if axis.sum() < 0:
        axis = -axis
    return (full @ axis).astype(np.float32)


def fit_illumination(grey):
    h, w = grey.shape
    ys, xs = np.linspace(-1, 1, h), np.linspace(-1, 1, w)
    step_y, step_x = max(1, h // 40), max(1, w // 40)
    sample = grey[::step_y, ::step_x]
    y, x = np.meshgrid(ys[::step_y], xs[::step_x], indexing="ij")
    terms = lambda y, x: [np.ones_like(x), x, y, x * x, x * y, y * y]
    design = np.stack([t.ravel() for t in terms(y, x)], 1)
    values = sample.ravel().astype(np.float64)
    border = (np.abs(y) > 0.85) | (np.abs(x) > 0.85)
    prior = np.where(border.ravel(), 2.0, 1.0)
    centre = np.median(values[border.ravel()])
    residual = values - centre
    fitted = np.full(len(values), centre)
    coef = np.array([centre, 0, 0, 0, 0, 0])
    for _ in range(6):
        spread = max(1.4826 * np.median(np.abs(residual)), 0.02)
        weight = prior / (1 + (residual / (2 * spread)) ** 2) ** 2
        a = design * weight[:, None]
        coef = np.linalg.solve(a.T @ design + 1e-3 * np.eye(6) * len(values) / 100, a.T @ values)
        residual = values - design @ coef
    Y, X = ys[:, None], xs[None, :]
    return (
        coef[0] + coef[1] * X + coef[2] * Y + coef[3] * X * X + coef[4] * X * Y + coef[5] * Y * Y
    ).astype(np.float32)


def is_dark_on_light(flat):
    h, w = flat.shape
    m = max(1, round(0.1 * min(h, w)))
    ring = np.concatenate(
        [flat[:m].ravel(), flat[-m:].ravel(), flat[m:-m, :m].ravel(), flat[m:-m, -m:].ravel()]
    )
    step = max(1, flat.size // ring.size)
    paper = np.median(np.concatenate([ring, flat.ravel()[::step]]))
    k = max(1, round(0.003 * flat.size))
    parts = np.partition(flat.ravel(), [k, flat.size - 1 - k])
    low, high = parts[k], parts[-1 - k]
    return paper - low >= high - paper


def noise_level(flat):
    d = np.diff(flat, axis=1)
    return 1.4826 * np.median(np.abs(d)) / np.sqrt(2)


def peak_of(response):
    k = int(np.clip(0.02 * response.size, 8, 32))
    return float(np.median(np.partition(response.ravel(), -k)[-k:]))


def select_strokes(response, noise):
    """The group of components that is the digit."""
    peak = peak_of(response)
    if peak < 0.03 or peak < 4 * noise:
        return None
    found, edge = group(response / peak)
    if found is None or not edge:
        return found
    rest = np.where(edge_mask(response / peak), 0, response)
    weaker = peak_of(rest)
    if weaker < 0.03 or weaker < 4 * noise or weaker < 0.12 * peak:
        return found
    inner, _ = group(rest / weaker)
    if inner is None or inner.implausibility >= 1:
        return found
    if found.implausibility >= 1 or inner.mask.sum() >= 0.5 * found.mask.sum():
        return inner
    return found


def edge_mask(response):
    labels, n = ndimage.label(response > 0.3, np.ones((3, 3)))
    boxes = [None, *ndimage.find_objects(labels)]
    lines = [i for i in range(1, n + 1) if is_border_line(labels, boxes[i], i, *response.shape)]
    rim = np.concatenate(
        [labels[:2].ravel(), labels[-2:].ravel(), labels[:, :2].ravel(), labels[:, -2:].ravel()]
    )
    return np.isin(labels, np.setdiff1d(np.concatenate([rim, np.array(lines, rim.dtype)]), [0]))


def group(response):
    h, w = response.shape
    labels, n = ndimage.label(response > 0.3, np.ones((3, 3)))
    strong = np.bincount(labels[response > 0.5], minlength=n + 1) > 0
    boxes = [None, *ndimage.find_objects(labels)]
    mass = np.bincount(labels.ravel(), weights=response.ravel(), minlength=n + 1)
    numbers = [i for i in range(1, n + 1) if strong[i]]
    edge = {i for i in numbers if touches_border(boxes[i], h, w)}
    if not numbers:
        return None, False
    lines = {
        i for i in numbers if is_border_line(labels == i if False else labels, boxes[i], i, h, w)
    }
    only_lines = lines == set(numbers)
    if not only_lines:
        numbers = [i for i in numbers if i not in lines]
    main = max(numbers, key=lambda i: mass[i])
    if main not in edge:
        numbers = [i for i in numbers if i not in edge]
    chosen = {main}
    size = max(extent(boxes[main]))
    grew = True
    while grew:
        grew = False
        for i in numbers:
            if i in chosen or mass[i] < 0.02 * mass[main]:
                continue
            if min(gap(boxes[i], boxes[j]) for j in chosen) < 0.25 * size:
                chosen.add(i)
                grew = True
    mask = np.isin(labels, list(chosen))
    if only_lines:
        return Strokes(mask, response, 1.5), True
    return Strokes(mask, response, implausibility(mask)), main in edge


def implausibility(mask):
    """0 for a digit amidst a picture; from 1 on, something else is more likely."""
    h, w = mask.shape
    box = span(mask)
    bh, bw = extent(box)
    part = np.pad(mask[box], 1)
    step = max(1, max(bh, bw) // 100)
    part = part[::step, ::step]
    depth = ndimage.distance_transform_edt(part)
    ridge = part & (depth == ndimage.maximum_filter(depth, 3))
    side = max(part.shape)
    thickness = 4 * depth[part].mean() / side
    uneven = depth[ridge].std() / depth[ridge].mean()
    contact = (mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()) / (
        2 * (h + w)
    )
    size = max(bh, bw) / max(h, w)
    return combine(thickness, uneven, contact, size)


FEATURES = []


def combine(thickness, uneven, contact, size):
    FEATURES.append((thickness, uneven, contact, size))
    return max(thickness / 0.4, uneven / 0.6, contact / 0.4, 0.03 / size)


def touches_border(box, h, w):
    (y0, y1), (x0, x1) = (box[0].start, box[0].stop), (box[1].start, box[1].stop)
    return y0 <= 1 or y1 >= h - 1 or x0 <= 1 or x1 >= w - 1


def extent(box):
    return box[0].stop - box[0].start, box[1].stop - box[1].start


def gap(a, b):
    gaps = [max(p.start - q.stop, q.start - p.stop, 0) for p, q in zip(a, b)]
    return float(np.hypot(*gaps))


def is_border_line(labels, box, number, h, w):
    """Whether a component is a line along an edge, or a frame around everything."""
    (y0, y1), (x0, x1) = (box[0].start, box[0].stop), (box[1].start, box[1].stop)
    bh, bw = y1 - y0, x1 - x0
    across, down = touches_border(box, h, w), touches_border(box, h, w)
    if across and bh <= 0.1 * h and bw >= 2 * bh and (y1 < 0.2 * h or y0 > 0.8 * h):
        return True
    if down and bw <= 0.1 * w and bh >= 2 * bw and (x1 < 0.2 * w or x0 > 0.8 * w):
        return True
    part = labels[box] == number
    if bh >= 0.7 * h or bw >= 0.7 * w:
        rows = slice(max(0, round(0.12 * h) - y0), max(0, round(0.88 * h) - y0))
        columns = slice(max(0, round(0.12 * w) - x0), max(0, round(0.88 * w) - x0))
        return not part[rows, columns].any()
    return False


def draw(ink):
    """Ink response of one digit, cropped -> uint8 28x28."""
    scale = _DRAWN_SIZE / max(ink.shape)
    size = max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale))
    large = np.asarray(
        Image.fromarray(ink.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    )
    if scale > 1:
        large = ndimage.gaussian_filter(large, 0.35 * scale)
    local = ndimage.maximum_filter(large, round(0.12 * _DRAWN_SIZE))
    local = ndimage.gaussian_filter(local, 0.06 * _DRAWN_SIZE)
    binary = large > 0.5 * np.maximum(local, 0.4)
    if not binary.any():
        binary = large > 0.5 * large.max()
    pad = 16
    binary = np.pad(binary, pad)
    inside = ndimage.distance_transform_edt(binary)
    outside = ndimage.distance_transform_edt(~binary)
    signed = np.where(binary, inside - 0.5, 0.5 - outside)
    rows, columns = span(binary)
    side = max(rows.stop - rows.start, columns.stop - columns.start)
    width = 4 * inside[binary].mean() * _BOX_SIZE / side
    wanted = np.clip(width, _THINNEST, _THICKEST)
    # Thickening widens the box as well, so that the final scale is smaller.
    offset = (wanted - width) / 2 * side / (_BOX_SIZE - (wanted - width))
    signed = signed + offset
    shape = np.clip(signed + 0.5, 0, 1)
    rows, columns = span(shape > 0.5)
    shape = shape[rows, columns]
    return place(shape)


def place(shape):
    scale = _BOX_SIZE / max(shape.shape)
    height, width = (max(1, round(side * scale)) for side in shape.shape)
    picture = Image.fromarray((shape * 255).round().astype(np.uint8))
    scaled = np.asarray(picture.resize((width, height), Image.Resampling.BOX))
    cy, cx = ndimage.center_of_mass(scaled)
    top = int(np.clip(round(_CENTRE - cy), 0, IMAGE_SIZE - height))
    left = int(np.clip(round(_CENTRE - cx), 0, IMAGE_SIZE - width))
    canvas = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    canvas[top : top + height, left : left + width] = scaled
    return canvas
