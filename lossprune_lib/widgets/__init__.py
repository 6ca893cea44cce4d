"""The sliders: thin, with no science in them, each drawing with the plots."""

from lossprune_lib.installation import extra

with extra("course"):
    from lossprune_lib.widgets.few_weights import one_weight_slider, two_weights_slider
    from lossprune_lib.widgets.fine_tuning import fine_tuning_slider
    from lossprune_lib.widgets.landscape import landscape_slider
    from lossprune_lib.widgets.locality import locality_slider
    from lossprune_lib.widgets.picture import Picture
    from lossprune_lib.widgets.results_browser import browse
    from lossprune_lib.widgets.shares import shares_slider
    from lossprune_lib.widgets.sliders import Sliders
    from lossprune_lib.widgets.sparsity import SPARSITIES, sparsity_slider
    from lossprune_lib.widgets.taylor import taylor_slider
    from lossprune_lib.widgets.writing import writing_slider

__all__ = [
    "SPARSITIES",
    "Picture",
    "Sliders",
    "browse",
    "fine_tuning_slider",
    "landscape_slider",
    "locality_slider",
    "one_weight_slider",
    "shares_slider",
    "sparsity_slider",
    "taylor_slider",
    "two_weights_slider",
    "writing_slider",
]
