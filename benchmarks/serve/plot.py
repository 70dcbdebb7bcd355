"""Latency over throughput, as SVG: one for light pages, one for dark ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serve.models import CROWD, CURVE, LONE, MODELS
from benchmarks.serve.results import Results, p99, rate
from benchmarks.serve.servers import OURS

LOADS = sorted({LONE, CROWD, *CURVE}, key=lambda load: load.connections)
COLOURS = (
    *("#4c78a8", "#72b7b2", "#54a24b", "#b279a2", "#9d755d"),
    *("#c9a227", "#ff9da6", "#8c8c8c", "#6f5fc4"),
)
MARKS = "osD^vPX*h"


@dataclass(frozen=True)
class Theme:
    """GitHub's colours: of the page, the text and the grid, and one for emphasis."""

    name: str
    page: str
    text: str
    grid: str
    accent: str


THEMES = (
    Theme("light", "#ffffff", "#1f2328", "#d1d9e0", "#cf222e"),
    Theme("dark", "#0d1117", "#e6edf3", "#30363d", "#ff7b72"),
)


def draw(results: Results, folder: Path) -> list[Path]:
    """serve-light.svg and serve-dark.svg; none where no curves were measured.

    Raises:
        SystemExit: there is no matplotlib here.
    """
    drawn = [name for name in results.models() if MODELS[name].curve and _has_curve(results, name)]
    return [_draw(results, drawn, theme, folder) for theme in THEMES] if drawn else []


def _has_curve(results: Results, model: str) -> bool:
    return all(results.spread(model, OURS, load, p99) for load in CURVE)


def _draw(results: Results, models: list[str], theme: Theme, folder: Path) -> Path:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SystemExit("The plot needs matplotlib: pip install matplotlib") from error

    style: Any = {
        **{"svg.fonttype": "none", "svg.hashsalt": "serve", "font.family": "sans-serif"},
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), theme.text
        ),
        **dict.fromkeys(("figure.facecolor", "axes.facecolor"), theme.page),
        **dict.fromkeys(("axes.edgecolor", "grid.color"), theme.grid),
        **{"axes.grid": True, "axes.spines.top": False, "axes.spines.right": False},
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        panels = figure.subplots(1, len(models), squeeze=False)[0]
        for panel, model in zip(panels, models, strict=True):
            _panel(panel, results, model, theme)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
        path = folder / f"serve-{theme.name}.svg"
        figure.savefig(path, metadata={"Date": None})
    return path


def _panel(panel: Any, results: Results, model: str, theme: Theme) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    panel.set(xscale="log", yscale="log", title=MODELS[model].title)
    panel.set(xlabel="requests per second", ylabel="p99, milliseconds")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(_short))
    peers = results.peers(model)
    for number, server in enumerate((*peers, OURS)):
        points = [
            (throughput.median, latency.median, load.connections)
            for load in LOADS
            if (throughput := results.spread(model, server, load, rate))
            and (latency := results.spread(model, server, load, p99))
        ]
        ours = server == OURS
        colour = theme.accent if ours else COLOURS[number % len(COLOURS)]
        mark = "o" if ours else MARKS[number % len(MARKS)]
        look = {"linewidth": 2.6, "markersize": 6} if ours else {"linewidth": 1.1, "markersize": 4}
        x, y, _ = zip(*points, strict=True)
        panel.plot(x, y, marker=mark, color=colour, label=server, **look)
        if ours:
            for across, up, connections in points:
                panel.annotate(
                    str(connections),
                    (across, up),
                    xytext=(5, -12),
                    textcoords="offset points",
                    fontsize=8,
                    color=theme.accent,
                )


def _short(value: float, _position: int) -> str:
    """2000 as 2k: labels in full would run into each other."""
    return f"{value / 1000:.10g}k" if value >= 1000 else f"{value:.10g}"
