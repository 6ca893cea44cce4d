"""JupyterLab and Notebook for all tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api")

from servers import jupyter


@pytest.fixture(scope="session")
def notebooks_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where JupyterLab finds its notebooks."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def server(notebooks_folder: Path) -> Iterator[str]:
    """JupyterLab as `make lab` starts it."""
    with jupyter(notebooks_folder, "jupyterlab", "--LabApp.expose_app_in_browser=True") as address:
        yield address


@pytest.fixture(scope="session")
def anyones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Notebook 7, and JupyterLab beside it, as others start them: without the settings of `make lab`."""
    folder = tmp_path_factory.mktemp("notebook")
    options = [
        f"--{name}.{option}"
        for name in ("LabApp", "JupyterNotebookApp")
        for option in ("expose_app_in_browser=True", f"app_settings_dir={folder / '.none'}")
    ]
    with jupyter(folder, "notebook", *options) as address:
        yield address
