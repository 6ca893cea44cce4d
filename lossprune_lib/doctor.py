"""A check of this machine: what library and workbook need, what is there, and what to do about what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lossprune_lib.installation import DATA, FROM_WHEEL

if TYPE_CHECKING:
    import pandas as pd

_NEEDED_GB = 1.0
_DRAWN_BY = {"7": "1", "8": "3"}  # major versions: ipywidgets, and the jupyterlab_widgets that goes with it
_DRAW_BY_THEMSELVES = ("Colab", "VS Code")


def check() -> pd.DataFrame:
    """Return a table with one row per check: what, status (OK or FAIL), found, remedy."""
    import pandas as pd

    rows = []
    for what, look in _LOOKS.items():
        try:
            found, remedy = look()
        except OSError as error:  # the library's own sentence says what to do
            found, remedy = type(error).__name__, str(error)
        except Exception as error:  # a check that breaks is a finding too, and must not hide the others
            found, remedy = f"{type(error).__name__}: {error}", "install again, as the README says"
        rows.append({"what": what, "status": "FAIL" if remedy else "OK", "found": found, "remedy": remedy})
    return pd.DataFrame(rows).set_index("what")


def _python() -> tuple[str, str]:
    new_enough = sys.version_info >= (3, 11)
    remedy = "" if new_enough else "install Python 3.11 or newer, and install again, as the README says"
    return platform.python_version(), remedy


def _torch() -> tuple[str, str]:
    import torch

    values = torch.eye(2) @ torch.ones(2)
    return torch.__version__, "" if values.sum() == 2 else "install torch again, as the README says"


def _device() -> tuple[str, str]:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(), ""
    return f"CPU, {torch.get_num_threads()} threads", ""


def _widgets() -> tuple[str, str]:
    """Check both halves of a widget: ipywidgets in this Python, and what draws it in the front end."""
    if find_spec("ipywidgets") is None:
        found, brings = "no ipywidgets", 'pip install "lossprune[course]" brings it'
        # The library alone works without it; a checkout is there for its notebooks.
        return (f"{found}: {brings}", "") if FROM_WHEEL else (found, brings)
    import ipywidgets

    version, place = ipywidgets.__version__, _front_end()
    found = f"ipywidgets {version}, {place}"
    if not (7, 7) <= tuple(map(int, version.split(".")[:2])) < (9, 0):
        return found, "install ipywidgets 7.7 or newer, but older than 9, as the README says"
    if place in _DRAW_BY_THEMSELVES:
        return found, ""
    series = _DRAWN_BY[version.split(".")[0]]
    try:
        drawn_by = metadata.version("jupyterlab_widgets")
    except metadata.PackageNotFoundError:
        drawn_by = "missing"
    found += f", jupyterlab_widgets {drawn_by}"
    if drawn_by.split(".")[0] == series:
        return found, ""
    install = f'pip install "jupyterlab_widgets=={series}.*"'
    return found, f"run {install} where JupyterLab is installed, and start JupyterLab again"


def _front_end() -> str:
    """Say what displays the notebook, as far as a kernel can tell: Colab, VS Code and Jupyter leave traces."""
    if "google.colab" in sys.modules:
        return "Colab"
    if "JPY_SESSION_NAME" in os.environ:
        return "Jupyter"
    kernel = sys.modules.get("ipykernel.kernelapp")
    if kernel is None or not kernel.IPKernelApp.initialized():
        return "no notebook open"
    return "VS Code" if "VSCODE_PID" in os.environ else "another front end"


def _networks() -> tuple[str, str]:
    found = list((DATA / "checkpoints").glob("*.safetensors"))
    remedy = f"the files in {DATA} are missing: get the project, or install the library, again"
    return f"{len(found)} shipped", "" if found else remedy


def _data_sets() -> tuple[str, str]:
    from lossprune_lib import data
    from lossprune_lib.data import downloads

    here = ["digits", "python_reference"] + [name for name in downloads.SOURCES if downloads.present(name)]
    return ", ".join(here) + (" (others are downloaded)" if len(here) < len(data.NAMES) else ""), ""


def _disk() -> tuple[str, str]:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return f"{free:.0f} GB free", "" if free > _NEEDED_GB else f"make {_NEEDED_GB:.0f} GB free"


_LOOKS: dict[str, Callable[[], tuple[str, str]]] = {
    "Python": _python,
    "torch": _torch,
    "device": _device,
    "sliders": _widgets,
    "trained networks": _networks,
    "data sets": _data_sets,
    "disk": _disk,
}
