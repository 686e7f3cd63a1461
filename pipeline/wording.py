"""Words that depend on a number."""


def counted(number: int, noun: str, many: str = "") -> str:
    """A number with its noun: ``1 error``, ``2,000 errors``.

    Args:
        number: how many.
        noun: for one of them.
        many: for any other number; without, ``noun`` with an s.
    """
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"
