"""Text with styles: plain on a pipe, colored on a terminal.

Rich is imported only where there are colors to print: a third of the start-up time of a check that
runs in CI would otherwise be spent on importing it.
"""

from __future__ import annotations


class Styled:
    """Pieces of text, each with a style of rich's ("bold red", "dim", ""), put together in order."""

    __slots__ = ("pieces",)

    def __init__(self, *pieces: tuple[str, str] | str) -> None:
        self.pieces: list[tuple[str, str]] = [(p, "") if isinstance(p, str) else p for p in pieces]

    def add(self, text: str, style: str = "") -> None:
        """Put a piece behind the others."""
        self.pieces.append((text, style))

    def extend(self, other: Styled) -> None:
        """Put all pieces of another text behind these."""
        self.pieces += other.pieces

    @property
    def plain(self) -> str:
        """The text without styles, and without blanks at the ends of its lines."""
        return "\n".join(line.rstrip() for line in "".join(text for text, _ in self.pieces).split("\n"))

    def colored(self) -> str:
        """The text with ANSI escapes."""
        import io

        from rich.console import Console
        from rich.text import Text

        console = Console(
            file=io.StringIO(), force_terminal=True, color_system="standard", highlight=False, legacy_windows=False
        )
        console.print(Text.assemble(*self.pieces), soft_wrap=True, end="")
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()
