"""Every figure of the workbook, drawn from data onto matplotlib Axes or, where panels belong together, onto a Figure.

A function takes the Axes to draw on, so that figures can be combined, and returns them; what a slider redraws is a
class that takes a Figure. A criterion has one colour, one line style and one marker throughout, told apart by
colour-blind eyes and in grey.
"""

from lossprune_lib.installation import extra

with extra("course"):
    from lossprune_lib.plots.networks import bars, examples, kept_weights, kept_weights_image, pruning_curve
    from lossprune_lib.plots.style import CARD, CONTROLS, STYLES, WIDTH, here, ink, label_lines, style, use_style

__all__ = [
    "CARD",
    "CONTROLS",
    "STYLES",
    "WIDTH",
    "bars",
    "examples",
    "here",
    "ink",
    "kept_weights",
    "kept_weights_image",
    "label_lines",
    "pruning_curve",
    "style",
    "use_style",
]
