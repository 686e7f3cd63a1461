"""Commands about what is trained: settings, architectures and networks for use elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from pipeline import stages
from pipeline.cli.console import print_difference, print_line, print_table
from pipeline.project import FOLDER

if TYPE_CHECKING:
    from pipeline.data.preprocessing import Views

_PROFILES = ("quick", "default", "record")
_FORMATS = ("onnx", "litert", "saved-model")


def _architecture_names() -> list[str]:
    """All names, without importing Keras: each architecture is a file of its own."""
    files = (Path(__file__).parents[1] / "architectures").glob("*.py")
    return sorted(path.stem for path in files if not path.stem.startswith("_"))


def profile(
    name: Annotated[
        str | None,
        typer.Argument(
            help="The one to write into params.yaml. Without it they are listed.",
            autocompletion=lambda: list(_PROFILES),
        ),
    ] = None,
) -> None:
    """List the profiles, or write one into params.yaml."""
    from pipeline import params, profiles

    path = params.FILE
    if name is None:
        _list_profiles(path)
        return
    changes = profiles.apply(name, path)
    print_difference(changes)
    print_line(
        f"{path} holds profile {name} now; run it with: dvc repro"
        if changes
        else f"{path} held profile {name} already"
    )


def _list_profiles(path: Path) -> None:
    from pipeline import profiles
    from pipeline.networks.cpu import has_bfloat16

    differences = {name: profiles.compare(name, path) for name in profiles.names()}
    nearest = min(differences, key=lambda name: len(differences[name]))
    rows: list[dict[str, str | Text]] = []
    for name in profiles.names():
        content = profiles.read(name)
        is_current = not differences[name]
        rows.append(
            {
                "": "→" if is_current else "",
                "profile": Text(name, "bold" if is_current else ""),
                "networks": str(profiles.count_networks(content)),
                "min": f"{content['minutes']:g}",
                "about": content["about"],
            }
        )
    print_table(rows, text={""})
    if differences[nearest]:
        shown = ", ".join(differences[nearest][:4])
        more = len(differences[nearest]) - 4
        shown += f" and {more} more" if more > 0 else ""
        print_line(f"{path} holds none of them. It is nearest to {nearest}, but for {shown}.")
    slower = "" if has_bfloat16() else "; this processor does not: two to three times as long"
    print_line(f"min: training on two cores that compute in bfloat16{slower}", "dim")


def architectures(
    name: Annotated[
        str | None,
        typer.Argument(help="The one to show.", autocompletion=_architecture_names),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw its layers into this PNG file.")
    ] = None,
) -> None:
    """List the architectures, or show the layers of one."""
    from pipeline.checked_yaml import suggest
    from pipeline.errors import ParamsError

    known = _architecture_names()
    if name is not None and name not in known:
        raise ParamsError(
            f"There is no architecture {name!r}{suggest(name, known)}; known: {', '.join(known)}."
        )
    if picture is not None and name is None:
        raise typer.BadParameter("only one architecture can be drawn: name it.")
    if picture is not None and picture.suffix.lower() != ".png":
        raise typer.BadParameter(f"expected a name that ends in .png, found {picture}")

    from pipeline.architectures import ARCHITECTURES, build  # these take seconds to import
    from pipeline.networks.summary import describe_layers, tabulate_layers
    from pipeline.plots import diagrams

    if name is None:
        rows = [
            {
                "architecture": each,
                "parameters": f"{build(each).count_params():,}",
                "what it is": (builder.__doc__ or "").partition(";")[0].replace("`", ""),
            }
            for each, builder in ARCHITECTURES.items()
        ]
        print_table(rows, "for the section networks in params.yaml")
        return
    layers = tabulate_layers(build(name))
    print_table(describe_layers(layers), f"{name}: {layers['parameters'].sum():,} parameters")
    if picture is not None:
        diagrams.architecture(picture, layers, name)
        print_line(f"{picture}: drawn")


def _check_format(name: str) -> str:
    from pipeline.checked_yaml import suggest

    if name not in _FORMATS:
        raise typer.BadParameter(
            f"there is no format {name!r}{suggest(name, _FORMATS)}; known: {', '.join(_FORMATS)}."
        )
    return name


def export(
    form: Annotated[
        str,
        typer.Argument(
            metavar="|".join(_FORMATS),
            help="What to write.",
            callback=_check_format,
            autocompletion=lambda: list(_FORMATS),
        ),
    ],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write.")] = FOLDER
    / "exported-models",
) -> None:
    """Write the trained networks in a format for use elsewhere.

    All that params.yaml lists are written. Each takes uint8 images (n, 28, 28) and returns float32
    logits (n, 10).
    """
    from pipeline import params
    from pipeline.files import missing_artifact

    written = (stages.MODELS, stages.EXPORTED, FOLDER / "data", FOLDER / "reports")
    if any(to.resolve().is_relative_to(each.resolve()) for each in written):
        raise typer.BadParameter(f"{to} is what stages write: name another folder.")
    members = [stages.MODELS / member.name for member in params.load().members()]
    for member in members:
        if not member.exists():
            raise missing_artifact(member)
        _check_folder(to / member.name)

    from pipeline.networks.export import FORMATS  # these take seconds to import
    from pipeline.networks.trained import load_network

    suffix, write = FORMATS[form]
    for member in members:
        network = load_network(member)
        path = to / f"{member.name}{suffix}"
        write(network.model, path)
        print_line(f"{path}{_describe(network.views)}")


def _check_folder(folder: Path) -> None:
    """Refuse a folder in the way that holds anything but an earlier export."""
    earlier = (folder / "saved_model.pb").is_file()
    if folder.is_dir() and not earlier and any(folder.iterdir()):
        raise typer.BadParameter(
            f"{folder} holds something else than a network that was exported: name another folder."
        )


def _describe(views: Views) -> str:
    """What images go through before the exported network, where they go through anything."""
    match views:
        case [[]]:
            return ""
        case [transforms]:
            return f": its images go through {' and '.join(transforms)} first"
    each = "; ".join(" and ".join(transforms) or "as it is" for transforms in views)
    return (
        f": ask it for {len(views)} views of each image ({each}), and average the logarithms of "
        "its probabilities"
    )
