"""A look at this machine: what the workbook needs, what is there, and what to do about what is not."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_NEEDED_GB = 1.0


def check() -> pd.DataFrame:
    """Return a table with a row for each thing that was looked at: what, status (OK or FAIL), found, remedy."""
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
    remedy = (
        "" if sys.version_info >= (3, 11) else "install Python 3.11 or newer, and install again, as the README says"
    )
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
    import ipywidgets

    old = tuple(map(int, ipywidgets.__version__.split(".")[:2])) < (7, 7)
    return f"ipywidgets {ipywidgets.__version__}", "install ipywidgets 7.7 or newer, as the README says" if old else ""


def _networks() -> tuple[str, str]:
    from lossprune_lib import data

    found = list(data.shipped("checkpoints").glob("*.safetensors"))
    return f"{len(found)} shipped", "" if found else "get the project's data folder: git clone it again"


def _data_sets() -> tuple[str, str]:
    from lossprune_lib import data, downloads

    here = ["digits"] + [name for name in downloads.SOURCES if downloads.present(name)]
    return ", ".join(here) + (" (others are fetched)" if len(here) < len(data.NAMES) else ""), ""


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
