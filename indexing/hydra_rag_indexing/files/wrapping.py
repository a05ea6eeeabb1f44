"""Styled text to lines."""

from __future__ import annotations

from hydra_rag_indexing.files.pdf_fonts import Fonts

__all__ = ["LEADING", "Piece", "wrap"]

#: Styled text: (text, face name). A newline in it breaks the line.
Piece = tuple[str, str]
#: The distance of two lines as a factor of the size.
LEADING = 1.32


def wrap(
    pieces: list[Piece], fonts: Fonts, size: float, space: float, *, keep: bool = False
) -> list[list[Piece]]:
    """Lines no wider than ``space`` points. With ``keep`` spaces count and long lines break anywhere."""
    lines: list[list[Piece]] = [[]]
    room = max(space, size) * 1000 / size
    used = 0.0
    for text, style in pieces:
        for number, part in enumerate(text.split("\n")):
            if number:
                lines.append([])
                used = 0.0
            for token in _tokens(part, keep):
                wide = fonts.width(style, token)
                if used + wide > room and used > 0 and token != " ":
                    lines.append([])
                    used = 0.0
                if not keep and token == " " and used == 0:
                    continue
                while wide > room:
                    cut = _fitting(token, style, fonts, room)
                    lines[-1].append((token[:cut], style))
                    lines.append([])
                    token = token[cut:]
                    wide = fonts.width(style, token)
                used += wide
                _append(lines[-1], token, style)
    return lines


def _tokens(text: str, keep: bool) -> list[str]:
    if not keep:
        words = text.split()
        lead = [" "] if text[:1].isspace() and words else []
        tail = [" "] if text[-1:].isspace() and words else []
        between = [token for word in words for token in (word, " ")][:-1]
        return lead + between + tail or ([" "] if text else [])
    tokens: list[str] = []
    for char in text:
        if tokens and char != " " and tokens[-1][-1] != " ":
            tokens[-1] += char
        else:
            tokens.append(char)
    return tokens


def _fitting(token: str, style: str, fonts: Fonts, room: float) -> int:
    used = 0.0
    for index, char in enumerate(token):
        used += fonts.width(style, char)
        if used > room:
            return max(1, index)
    return len(token)


def _append(line: list[Piece], token: str, style: str) -> None:
    if line and line[-1][1] == style:
        line[-1] = (line[-1][0] + token, style)
    else:
        line.append((token, style))
