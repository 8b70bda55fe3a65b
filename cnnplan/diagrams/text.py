"""How wide a text is, without a font: from the widths of Helvetica's characters, which Arial and its like share.

Source: Adobe's font metrics of Helvetica and Helvetica-Bold, in thousandths of the font's size.
"""

from __future__ import annotations

from functools import lru_cache

_REGULAR = {
    191: "'",
    222: "ijl",
    260: "|",
    278: " !,./:;I[\\]ft·",
    333: "()-`r",
    334: "{}",
    355: '"',
    389: "*",
    469: "^",
    500: "Jckvsxyz",
    556: "#$0123456789?L_abdeghnopqu–",
    584: "+<=>~×",
    611: "FTZ",
    667: "&ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "Mm",
    889: "%",
    944: "W",
    1000: "…→",
    1015: "@",
}
_BOLDER = 1.08
"""Bold digits are as wide as the others, bold letters up to a tenth wider."""

_OTHER, _WIDE = 700, 1000
_WIDTHS = {character: width for width, characters in _REGULAR.items() for character in characters}


@lru_cache(maxsize=8192)
def width(text: str, size: float, bold: bool = False) -> float:
    """The width of a text in the unit of the font's size; an estimate for what is not Latin."""
    units = sum(_WIDTHS.get(c, _OTHER if ord(c) < 0x1100 else _WIDE) for c in text)
    return units / 1000 * size * (_BOLDER if bold else 1)
