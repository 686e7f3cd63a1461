"""A process of `benchmarks.peers`: a Keras network as a plain PyTorch module, trained on request.

The module is built from the network's configuration, so that any architecture has its twin. It
trains whenever this process is given a line, and tells the seconds.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SIZE = 28


def main() -> None:
    """Print how far the module's logits are from Keras's; then train some batches per line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer_trainer", description=__doc__)
    parser.add_argument("folder", type=Path, help="what benchmarks.peers wrote for its peers")
    parser.add_argument("dtype", choices=["float32", "bfloat16"])
    parser.add_argument("way", choices=["eager", "compiled"])
    parser.add_argument("threads", type=int)
    parser.add_argument("steps", type=int, help="batches for each line")
    arguments = parser.parse_args()
    folder = arguments.folder
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    network = Twin(
        json.loads((folder / "network.json").read_text()), dict(np.load(folder / "weights.npz"))
    ).to(memory_format=torch.channels_last)
    print(measure_difference(network.eval(), folder), flush=True)
    step = prepare_step(network.train(), folder, arguments.dtype, arguments.way == "compiled")
    for _ in sys.stdin:
        began = time.perf_counter()
        for _ in range(arguments.steps):
            step()
        print(time.perf_counter() - began, flush=True)


def measure_difference(network: nn.Module, folder: Path) -> float:
    """How far the logits are from those that Keras gave for the first images, at most."""
    expected = np.load(folder / "logits.npy")
    images = np.load(folder / "images.npy", mmap_mode="r")[0, : len(expected)]
    with torch.no_grad():
        logits = network(torch.from_numpy(images.copy()).unsqueeze(1).float()).numpy()
    return float(np.abs(logits - expected).max())


class Twin(nn.Module):
    """The PyTorch module of a functional Keras model.

    Args:
        config: of the Keras model, of which every layer has one output.
        weights: by layer and number, ``conv/0``, in Keras's order and layout.
    """

    def __init__(self, config: dict[str, Any], weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.steps: list[tuple[str, list[str]]] = []
        self.parts = nn.ModuleDict()
        for layer in config["layers"]:
            name, kind = layer["config"]["name"], layer["class_name"]
            own = [weights[key] for key in sorted(weights) if key.split("/")[0] == name]
            self.parts[name] = _module(kind, layer["config"], own)
            self.steps.append((name, _inputs_of(layer)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits ``(n, 10)`` of grey levels ``(n, 1, 28, 28)`` from 0 to 255."""
        values: dict[str, torch.Tensor] = {}
        for name, inputs in self.steps:
            values[name] = self.parts[name](*[values[each] for each in inputs] or [images])
        return values[self.steps[-1][0]]


class Rescale(nn.Module):
    """Grey levels from 0 to 1."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images / 255


class Crop(nn.Module):
    """The middle of an image."""

    def __init__(self, border: int) -> None:
        super().__init__()
        self.border = border

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kept = slice(self.border, -self.border)
        return images[:, :, kept, kept]


class Flatten(nn.Module):
    """All maps in a row, place by place, as Keras has them."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.permute(0, 2, 3, 1).flatten(1)


class Average(nn.Module):
    """The mean of each map."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.mean(dim=(2, 3))


class Sum(nn.Module):
    """The sum of two tensors."""

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return first + second


def _inputs_of(layer: dict[str, Any]) -> list[str]:
    """The names of the layers that a layer's call was given, from a model's configuration."""
    found: list[str] = []

    def collect(value: Any) -> None:
        match value:
            case {"keras_history": [str(name), *_]}:
                found.append(name)
            case dict():
                for each in value.values():
                    collect(each)
            case list():
                for each in value:
                    collect(each)

    collect(layer["inbound_nodes"])
    return found


def _module(kind: str, config: dict[str, Any], weights: list[np.ndarray]) -> nn.Module:
    """The PyTorch layer of a Keras one, with its weights."""
    tensors = [torch.from_numpy(np.ascontiguousarray(each)) for each in weights]
    match kind:
        case "InputLayer" | "Reshape":
            return nn.Identity()
        case "Rescaling":
            return Rescale()
        case "Cropping2D":
            return Crop(config["cropping"][0][0])
        case "MaxPooling2D":
            return nn.MaxPool2d(config["pool_size"][0])
        case "ReLU":
            return nn.ReLU()
        case "Dropout":
            return nn.Dropout(config["rate"])
        case "Flatten":
            return Flatten()
        case "GlobalAveragePooling2D":
            return Average()
        case "Add":
            return Sum()
        case "Conv2D":
            height, width, channels, filters = tensors[0].shape
            layer = nn.Conv2d(
                channels, filters, (height, width), padding="same", bias=config["use_bias"]
            )
            return _load(layer, weight=tensors[0].permute(3, 2, 0, 1), rest=tensors[1:])
        case "BatchNormalization":
            norm = nn.BatchNorm2d(
                len(tensors[0]), eps=config["epsilon"], momentum=1 - config["momentum"]
            )
            names = "weight", "bias", "running_mean", "running_var"
            norm.load_state_dict(dict(zip(names, tensors, strict=True)), strict=False)
            return norm
        case "Dense":
            dense = nn.Linear(*tensors[0].shape)
            loaded = _load(dense, weight=tensors[0].T, rest=tensors[1:])
            return nn.Sequential(loaded, nn.ReLU()) if config["activation"] == "relu" else loaded
    raise SystemExit(f"peer_trainer: no PyTorch layer is known for Keras's {kind}")


def _load(layer: nn.Module, *, weight: torch.Tensor, rest: list[torch.Tensor]) -> nn.Module:
    layer.load_state_dict({"weight": weight, **dict(zip(["bias"], rest, strict=False))})
    return layer


def prepare_step(
    network: nn.Module, folder: Path, dtype: str, compiled: bool
) -> Callable[[], None]:
    """What takes one training step: a batch is gathered, warped and fitted by Adam."""
    images = torch.from_numpy(np.load(folder / "images.npy"))
    batch = {key: torch.from_numpy(value) for key, value in np.load(folder / "batch.npz").items()}
    views, rows = batch["shown"].T
    grids = _grids(batch["warps"])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-7, fused=True)

    def loss_of(taken: torch.Tensor) -> torch.Tensor:
        pixels = taken.unsqueeze(1).float()
        warped = functional.grid_sample(pixels, grids, align_corners=True).round()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            logits = network(warped.contiguous(memory_format=torch.channels_last))
        return functional.cross_entropy(logits.float(), batch["labels"])

    measured = torch.compile(loss_of) if compiled else loss_of

    def step() -> None:
        optimizer.zero_grad()
        measured(images[views, rows]).backward()
        optimizer.step()

    return step


def _grids(warps: torch.Tensor) -> torch.Tensor:
    """Where each pixel of the warped images comes from, as `grid_sample` reads it."""
    matrices = warps[:, :6].view(-1, 2, 3)
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    places = torch.stack([x, y, torch.ones_like(x)], dim=-1).float()
    sources = torch.einsum("nij,yxj->nyxi", matrices, places)
    return sources * (2 / (SIZE - 1)) - 1


if __name__ == "__main__":
    main()
