"""Plots as SVG, drawn by hand: one series of dots or a line, two axes, a title."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10
from pathlib import Path
from typing import Final

_WIDTH: Final = 720
_HEIGHT: Final = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 30, 40, 50
_COLOURS: Final = ("#1f5f8b", "#b5472f", "#5b7f3a")

Series = tuple[str, Sequence[tuple[float, float]]]


def _step(most: float) -> float:
    """Return a round distance of ticks, about five of them."""
    raw = most / 5 or 1
    power = 10.0 ** floor(log10(raw))
    return float(min((1, 2, 5, 10), key=lambda n: abs(n * power - raw)) * power)


def _frame(title: str, label: str) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{escape(label)}</text>',
    ]


Axis = tuple[Callable[[float], float], Sequence[float]]


def _even(values: Sequence[float]) -> Axis:
    """Return where a value stands between 0 and 1 on an axis from 0, and its ticks."""
    step = _step(max(values))
    most = step * ceil(max(values) / step)
    return lambda value: value / most, [step * n for n in range(round(most / step) + 1)]


def _decades(values: Sequence[float]) -> Axis:
    """Return the same for a logarithmic axis."""
    least, most = floor(log10(min(values))), ceil(log10(max(values)))
    ticks = [10.0**n for n in range(least, most + 1)]
    return lambda value: (log10(value) - least) / (most - least or 1), ticks


def lines(
    path: Path, title: str, label: str, series: Sequence[Series], *, decades: bool = False
) -> None:
    """Write lines over two axes that begin at 0, or are logarithmic; `label` is the x axis's."""
    axis = _decades if decades else _even
    right, ticks_x = axis([x for _, points in series for x, _ in points])
    up, ticks_y = axis([y for _, points in series for _, y in points])

    def x_of(value: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * right(value)

    def y_of(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * up(value)

    out = _frame(title, label)
    for value in ticks_y:
        out.append(
            f'<path d="M{_LEFT} {y_of(value):.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y_of(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for value in ticks_x:
        out.append(
            f'<text x="{x_of(value):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">'
            f"{value:g}</text>"
        )
    for number, ((name, points), colour) in enumerate(zip(series, _COLOURS, strict=False)):
        path_data = " ".join(
            f"{'L' if n else 'M'}{x_of(x):.1f} {y_of(y):.1f}" for n, (x, y) in enumerate(points)
        )
        out.append(
            f'<path d="{path_data}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{_WIDTH - _RIGHT}" y="{14 + 15 * number}" text-anchor="end" '
            f'fill="{colour}">━ {escape(name)}</text>'
        )
    path.write_text("\n".join([*out, "</svg>", ""]), encoding="utf-8")


def bars(path: Path, title: str, label: str, values: Sequence[tuple[str, float]]) -> None:
    """Write horizontal bars, each with its name and value; `label` is the values' unit."""
    most = max(value for _, value in values)
    high = (_HEIGHT - _TOP - _BOTTOM) / len(values)
    left = 220
    out = _frame(title, label)
    for number, (name, value) in enumerate(values):
        y = _TOP + number * high
        width = (_WIDTH - left - 90) * value / most
        colour = _COLOURS[0 if name.startswith("vaultd") else 1]
        out.append(
            f'<text x="{left - 8}" y="{y + high / 2 + 4:.1f}" text-anchor="end">{escape(name)}'
            f'</text><rect x="{left}" y="{y + 4:.1f}" width="{max(width, 1):.1f}" '
            f'height="{high - 8:.1f}" fill="{colour}"/>'
            f'<text x="{left + width + 6:.1f}" y="{y + high / 2 + 4:.1f}">{value:.3g}</text>'
        )
    path.write_text("\n".join([*out, "</svg>", ""]), encoding="utf-8")
