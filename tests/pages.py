"""What stands on a page, for tests that hold it against files."""

import json
from html.parser import HTMLParser

import pandas as pd


class Page(HTMLParser):
    """The numbers of a page with what it says of them, its addresses, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.numbers: list[tuple[list[str], float, str]] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.nameless: list[str] = []
        self.words = ""
        self.scripts: dict[str, str] = {}
        self._number: tuple[list[str], float] | None = None
        self._hidden: str | None = None
        self.feed(text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attributes}
        self.addresses += [named[name] for name in ("src", "href") if name in named]
        self.ids += [named["id"]] if "id" in named else []
        if (tag == "svg" and not (named.get("role") == "img" and named.get("aria-label"))) or (
            tag == "img" and not named.get("alt") and "hidden" not in named
        ):
            self.nameless.append(tag)
        if tag in ("td", "th"):
            self.words += " "
        if tag == "data":
            self._number = named["data-from"].split(" "), float(named["value"])
        if tag in ("script", "style"):
            self._hidden = named.get("id", tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden = None

    def handle_data(self, data: str) -> None:
        if self._hidden:
            self.scripts[self._hidden] = self.scripts.get(self._hidden, "") + data
            return
        self.words += data
        if self._number:
            self.numbers.append((*self._number, data))
            self._number = None

    @property
    def predictions(self) -> pd.DataFrame:
        """What the page's script knows of predictions."""
        content = json.loads(self.scripts["predictions"])
        return pd.DataFrame(content["rows"], columns=content["columns"])


def as_number(text: str) -> tuple[float, float]:
    """What a text on the page says, and by how much it may be off."""
    plain = text.replace(",", "").replace("−", "-").strip()
    scale = 1.0
    for unit, of_unit in (("%", 100), (" points", 100), (" s", 1), (" min", 1 / 60)):
        if plain.endswith(unit):
            plain, scale = plain.removesuffix(unit), of_unit
    decimals = len(plain.partition(".")[2])
    return float(plain) / scale, 0.5 * 10.0**-decimals / scale
