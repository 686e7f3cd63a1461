"""The look of a command's help."""

from typing import Any

from typer.core import TyperCommand


class PlainCommand(TyperCommand):
    """Its help names arguments without the types of Python that typer adds."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            of_kind = (each for each in self.get_params(ctx) if each.param_type_name == kind)
            records = [record for each in of_kind if (record := each.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl([(without_type(name), about) for name, about in records])


def without_type(name: str) -> str:
    """What a help calls a parameter, without a type: ``file``, not ``file <path>``."""
    return name.partition(" <")[0]
