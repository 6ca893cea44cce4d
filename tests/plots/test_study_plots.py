"""The figures of a study's table: what is drawn where, in which look, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from study_tables import table

from lossprune_lib import plots
from lossprune_lib.plots import study as study_plots

CELLS = {
    ("mp", 1, 0.0): [4.0, 4.5],
    ("qm", 1, 0.0): [3.0, 4.0],
    ("qm", 1, 1e-3): [3.0, 3.5],
    ("qm", 14, 0.0): [-1.0, 2.0],
    ("qm", 14, 1e-3): [2.0, 2.0],
    ("lm", 1, 0.0): [4.0, 4.0],
    ("lm", 14, 0.0): [0.002, 0.004],
}
GAPS = {cell: [float(i), i + 0.5] for i, cell in enumerate(CELLS)}


@pytest.fixture
def runs() -> pd.DataFrame:
    return table(CELLS, GAPS)


def axes() -> Axes:
    return Figure(figsize=(5, 3)).add_subplot()


def drawn(ax: Axes) -> Axes:
    """Render, which brings out what is wrong only then."""
    FigureCanvasAgg(ax.figure).draw()
    return ax


def labelled(ax: Axes) -> dict[str, object]:
    return {line.get_label(): line for line in ax.lines}


def test_heatmap_shows_means_and_frames_the_best_of_each_row(runs: pd.DataFrame) -> None:
    ax = drawn(study_plots.change_heatmap(axes(), runs, "qm"))
    assert ax.images[0].get_array().tolist() == [[3.5, 3.25], [1.5, 2]]
    assert {text.get_position(): text.get_text() for text in ax.texts} == {
        (0, 0): "3.50",
        (1, 0): "3.25",
        (0, 1): "1.50",
        (1, 1): "2.00",
    }
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "$10^{-3}$"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["1", "14"]
    frames = {(round(frame.get_x() + 0.46), round(frame.get_y() + 0.46)) for frame in ax.patches}
    assert frames == {(1, 0), (0, 1)}
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert "QM" in ax.get_title()
    assert "nats" in ax.get_title()


def test_heatmaps_of_one_table_share_their_colours(runs: pd.DataFrame) -> None:
    limits = {study_plots.change_heatmap(axes(), runs, name).images[0].get_clim() for name in ("lm", "qm")}
    assert limits == {(0.003, 4.25)}
    texts = study_plots.change_heatmap(axes(), runs, "lm").texts
    assert [text.get_text() for text in texts] == ["4.00", "0.003"]


def test_numbers_can_be_read_on_every_colour() -> None:
    many = table({("qm", stages, 0.0): [float(stages)] for stages in range(1, 40)})
    ax = study_plots.change_heatmap(axes(), many, "qm")
    image = ax.images[0]

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for text, value in zip(ax.texts, image.get_array()[:, 0], strict=True):
        behind = luminance(image.to_rgba(value)) + 0.05
        ink = (1.0 if text.get_color() == "white" else 0.0) + 0.05
        assert max(behind, ink) / min(behind, ink) > 4.5  # WCAG 2, level AA


def test_penalties_that_were_not_run_are_left_white(runs: pd.DataFrame) -> None:
    ax = drawn(study_plots.change_heatmap(axes(), runs.drop(index=[4, 5]), "qm"))
    assert len(ax.texts) == 3
    with pytest.raises(ValueError, match="criterion in this table called 'obd'"):
        study_plots.change_heatmap(axes(), runs, "obd")


def test_penalties_are_written_shortly() -> None:
    shown = [study_plots._power(value) for value in (0, 1e-5, 1e-1, 1, 100, 0.003)]
    assert shown == ["0", "$10^{-5}$", "$10^{-1}$", "1", "100", "0.003"]


def test_change_by_stages_is_the_best_over_penalties(runs: pd.DataFrame) -> None:
    ax = drawn(study_plots.change_by_stages(axes(), runs))
    lines = labelled(ax)
    qm = lines["QM, quadratic model"]
    assert np.array(qm.get_data()).tolist() == [[1, 14], [3.25, 1.5]]
    assert qm.get_color() == plots.STYLES["qm"]["color"]
    assert set(lines["MP, magnitude"].get_ydata()) == {4.25}
    assert ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "14"]
    assert "nats" in ax.get_ylabel()
    assert ax.get_ylim()[0] == 0
    (band,) = [
        band for band in ax.collections if to_hex(band.get_facecolor()[0]) == plots.STYLES["qm"]["color"].lower()
    ]
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(3.25 + np.std([3, 3.5], ddof=1))
    assert heights.min() == pytest.approx(1.5 - np.std([1, 2], ddof=1))


def test_change_by_stages_of_one_seed_or_stage(runs: pd.DataFrame) -> None:
    one = drawn(study_plots.change_by_stages(axes(), runs[runs["seed"] == 0]))
    assert len(one.lines) == 3
    assert len(one.patches) == 0
    fixed = drawn(study_plots.change_by_stages(axes(), runs[runs["criterion"] == "mp"]))
    assert [tick.get_text() for tick in fixed.get_xticklabels()] == ["1"]


def test_change_against_gap_shows_every_run(runs: pd.DataFrame) -> None:
    ax = drawn(study_plots.change_against_gap(axes(), runs))
    lines = labelled(ax)
    qm = lines["QM, quadratic model"]
    assert qm.get_xdata().tolist() == [3, 4, 3, 3.5, 1, 2, 2, 2]
    assert qm.get_ydata().tolist() == pytest.approx([1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5])
    assert qm.get_marker() == plots.STYLES["qm"]["marker"]
    assert qm.get_linestyle() == "None"
    assert "nats" in ax.get_xlabel()
    assert "percentage points" in ax.get_ylabel()
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1 - 1  # a key inside would look like a run
    with pytest.raises(ValueError, match="not fine-tuned"):
        study_plots.change_against_gap(axes(), table(CELLS))


def test_several_sparsities_are_refused(runs: pd.DataFrame) -> None:
    both = pd.concat([runs, runs.assign(sparsity=0.5)])
    for draw in (
        study_plots.change_by_stages,
        study_plots.change_against_gap,
        lambda ax, runs: study_plots.change_heatmap(ax, runs, "qm"),
    ):
        with pytest.raises(ValueError, match=r"sparsities 0\.5, 0\.9: draw one at a time, for example table"):
            draw(axes(), both)
