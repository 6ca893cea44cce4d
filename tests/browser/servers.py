"""JupyterLab or Notebook on copies of the notebooks."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
from lab_page import ARTEFACTS, PAGES, ROOT, TOKEN, widgets_notebook


@contextlib.contextmanager
def jupyter(folder: Path, app: str, *options: str, python: str = sys.executable) -> Iterator[str]:
    """Start jupyterlab or notebook, of any environment, on copies of the notebooks; yields its address."""
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder)
    for name in PAGES:
        nbformat.write(widgets_notebook(name), folder / name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ARTEFACTS.mkdir(exist_ok=True)
    log_path = ARTEFACTS / f"jupyter-{app}-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}.log"
    command = [python, "-m", app, "--no-browser", f"--port={port}", *options]
    if python == sys.executable:
        command += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    else:  # before Notebook 7 it was its own server
        command += [f"--NotebookApp.token={TOKEN}", f"--NotebookApp.notebook_dir={folder}"]
    command += ["--allow-root"] if os.getuid() == 0 else []
    with open(log_path, "wb") as log:
        # The theme that a test chooses must not become this user's own.
        own = {
            "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / ".workspaces"),
        }
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | own)
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(600):  # two minutes, on a machine that does other things too
                try:
                    urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, log_path.read_text()
                    time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(30)
