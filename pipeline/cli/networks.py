"""Commands about what is trained: settings, architectures and networks for use elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline import stages
from pipeline.cli.console import console, print_table

if TYPE_CHECKING:
    from pipeline.data.preprocessing import Views


def profile(
    name: Annotated[
        str | None, typer.Argument(help="Which one to write into params.yaml; none: list them.")
    ] = None,
) -> None:
    """Switch params.yaml to settings that belong together."""
    from pipeline import profiles

    if name is None:
        for known in profiles.names():
            console.print(f"{known:8} {profiles.read(known)['about']}", highlight=False)
        return
    changes = profiles.apply(name)
    for line in changes:
        style = "red" if line.startswith("-") else "green"
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"params.yaml holds profile {name} now; run it with: dvc repro"
        if changes
        else f"params.yaml held profile {name} already",
        highlight=False,
    )


def architectures(
    name: Annotated[str | None, typer.Argument(help="Show the layers of this one.")] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the layers of NAME into this PNG file.")
    ] = None,
) -> None:
    """List the architectures, or show the layers of one."""
    from pipeline.architectures import ARCHITECTURES, build
    from pipeline.networks.summary import describe_layers, tabulate_layers
    from pipeline.plots import diagrams  # these take seconds to import

    if name is None:
        if picture is not None:
            raise typer.BadParameter("only one architecture can be drawn: name it.")
        rows = [
            {
                "architecture": known,
                "parameters": f"{build(known).count_params():,}",
                "what it is": (builder.__doc__ or "").partition(";")[0].replace("`", ""),
            }
            for known, builder in ARCHITECTURES.items()
        ]
        print_table(rows, "for ensemble.networks in params.yaml", justify="left")
        return
    layers = tabulate_layers(build(name))
    title = f"{name}: {layers['parameters'].sum():,} parameters"
    print_table(describe_layers(layers), title, justify="left")
    if picture is not None:
        diagrams.architecture(picture, layers, name)
        console.print(f"{picture}: drawn", highlight=False)


def export(
    form: Annotated[
        Literal["onnx", "litert", "saved-model"], typer.Argument(help="What to write.")
    ],
    to: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("exported-models"),
) -> None:
    """Write the trained networks in a format for use elsewhere.

    All that params.yaml lists are written. Each takes uint8 images (n, 28, 28) and returns float32
    logits (n, 10).
    """
    from pipeline import params
    from pipeline.networks.export import FORMATS
    from pipeline.networks.trained import load_network

    suffix, write = FORMATS[form]
    for member in params.load().members():
        network = load_network(stages.MODELS / member.name)
        path = to / f"{member.name}{suffix}"
        write(network.model, path)
        console.print(f"{path}{_describe(network.views)}", highlight=False, soft_wrap=True)


def _describe(views: Views) -> str:
    """What images go through before the exported network, where they go through anything."""
    match views:
        case [[]]:
            return ""
        case [steps]:
            return f"; its images go through {' and '.join(steps)} first"
    each = "; ".join(" and ".join(steps) or "as it is" for steps in views)
    return (
        f"; ask it for each image in {len(views)} views ({each}) and average the logarithms of its "
        "probabilities"
    )
