"""What the benchmarks share: timing in turns, a description of the machine, and tables, printed and saved."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

RESULTS = Path(__file__).parents[2] / "data" / "results" / "speed"


def seconds(run: Callable[[], object], now: Callable[[], float] = time.perf_counter) -> float:
    """Return how long a call takes by a clock, including the work that it queued on a GPU."""
    _finish()
    start = now()
    run()
    _finish()
    return now() - start


def in_turns(
    ways: Mapping[str, Callable[[], object]],
    repeats: int,
    at_least: float = 0,
    now: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each way, all of them in each round, so that a busy moment affects all alike.

    Short ways are repeated more often, until they have run for so many seconds together.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    spent, rounds = 0.0, 0
    while rounds < repeats or spent < at_least:
        for name, run in ways.items():
            times[name].append(seconds(run, now))
            spent += times[name][-1]
        rounds += 1
    return times


def ratios(times: list[float], to: list[float]) -> str:
    """Return the median of one way's seconds over another's, round by round, and its spread."""
    each = sorted(a / b for a, b in zip(times, to, strict=True))
    return f"{statistics.median(each):.2f} ({each[0]:.2f} to {each[-1]:.2f})"


def spread(times: list[float]) -> str:
    """Return the median and the spread of seconds, in milliseconds."""
    return f"{1e3 * statistics.median(times):,.1f} ({1e3 * min(times):,.1f} to {1e3 * max(times):,.1f})"


def machine(device: str = "cpu") -> str:
    """Describe the machine on which the times were measured."""
    threads = torch.get_num_threads()
    where = torch.cuda.get_device_name() if device == "cuda" else f"{threads} CPU thread{'s' * (threads > 1)}"
    return f"{where}, {platform.system()}, Python {platform.python_version()}, torch {torch.__version__}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table whose columns are as wide in the text as on the page."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines
    )


def keep(name: str, title: str, text: str) -> None:
    """Print a result, and write it to data/results/speed."""
    print(text, flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(f"# {title}\n\n{text}\n")


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
