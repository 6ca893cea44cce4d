"""Files that come with the course, or are fetched by it, cannot run code: no unpickling, no eval, no shell.

Downloads are checked; JupyterLab serves this machine only; and every pinned package may be used with a project under
the MIT licence. `python tests/test_security.py` prints the packages and their licences.
"""

from __future__ import annotations

import ast
import re
from importlib import metadata
from pathlib import Path

import nbformat
import pytest

from lossprune_lib.data import downloads

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path
    for pattern in ("lossprune_lib/**/*.py", "notebooks/*.py", "notebooks/source/*.py", "data/**/*.py")
    for path in ROOT.glob(pattern)
)
NOTEBOOKS = sorted([*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("notebooks/solutions/*.ipynb")])

# Modules that unpickle or run what a file says.
MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "runpy", "code", "pty"}
CALLS = re.compile(
    r"eval|exec|compile|__import__|(builtins\..+)"
    r"|os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|startfile)|subprocess\.get(status)?output"
    r"|asyncio\.create_subprocess_shell"
    r"|torch\.(load|serialization\.load|package\.\w+|hub\.\w+|jit\.load|export\.load)|numpy\.lib\.format\.\w+"
    r"|pandas\.(eval|read_pickle|read_hdf)|yaml\.(load|unsafe_load|full_load)(_all)?|get_ipython"
)
MAY_RUN = {"subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output"}


def dangers(code: str) -> list[str]:
    """Return the calls and imports in `code` that could run somebody else's code, each with its line."""
    tree = ast.parse(code)
    meaning: dict[
        str, str
    ] = {}  # of the imported names: np is numpy, and load is torch.load after `from torch import load`
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
            meaning |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            imported = [f"{node.module}.{alias.name}" for alias in node.names if not node.level]
            meaning |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        else:
            continue
        found += [f"line {node.lineno}: import {name}" for name in imported if name.split(".")[0] in MODULES]
    for node in ast.walk(tree):
        # A name is enough, called or not: it could be handed on.
        if isinstance(node, ast.Name | ast.Attribute):
            name = full_name(node, meaning)
            if CALLS.fullmatch(name):
                found.append(f"line {node.lineno}: {name}")
        if isinstance(node, ast.Call):
            name = full_name(node.func, meaning)
            options = {keyword.arg: keyword.value for keyword in node.keywords}
            if name == "numpy.load" and not is_false(options.get("allow_pickle")):
                found.append(f"line {node.lineno}: numpy.load without allow_pickle=False")
            if not is_false(options.get("shell", ast.Constant(False))):
                found.append(f"line {node.lineno}: {name} with a shell")
            if name in MAY_RUN and not (node.args and is_list(node.args[0], tree)):
                found.append(f"line {node.lineno}: {name} of something else than a list")
    return found


def full_name(node: ast.expr, meaning: dict[str, str]) -> str:
    """Return the dotted name of an expression as its module calls it, or nothing."""
    if isinstance(node, ast.Name):
        return meaning.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = full_name(node.value, meaning)
        return f"{before}.{node.attr}" if before else ""
    return ""


def is_list(node: ast.expr, tree: ast.Module) -> bool:
    """Return whether an expression is a list, or a name that is only assigned lists."""
    if isinstance(node, ast.Name):
        given = [
            assignment.value
            for assignment in ast.walk(tree)
            if isinstance(assignment, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == node.id for target in assignment.targets)
        ]
        return bool(given) and all(isinstance(value, ast.List) for value in given)
    return isinstance(node, ast.List)


def is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_script_runs_what_others_wrote(path: Path) -> None:
    assert dangers(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_notebook_runs_what_others_wrote(path: Path) -> None:
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            assert dangers(cell.source) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from joblib import load",
        "import os\nos.system('ls')",
        "from os import popen as run\nrun('ls')",
        "eval('1')",
        "list(map(eval, texts))",
        "__import__('x')",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import subprocess as s\ns.Popen(['ls'], shell=yes)",
        "import subprocess\nsubprocess.run(command)",
        "import subprocess\ncommand = ['ls']\ncommand = 'ls'\nsubprocess.run(command)",
        "import torch\ntorch.load('x.pt', weights_only=True)",
        "import torch\ntorch.serialization.load('x.pt')",
        "import asyncio\nasyncio.create_subprocess_shell('ls')",
        "from torch import load\nload('x.pt')",
        "import numpy as np\nnp.load('x.npz')",
        "import numpy as np\nnp.load('x.npz', allow_pickle=True)",
        "import pandas as pd\npd.read_pickle('x')",
    ],
)
def test_dangers_are_seen(code: str) -> None:
    assert dangers(code)


@pytest.mark.parametrize(
    "code",
    [
        "net.eval()",
        "import re\nre.compile('x')",
        "import numpy as np\nnp.load('x.npz', allow_pickle=False)",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip'], check=True)",
    ],
)
def test_what_is_harmless_is_let_through(code: str) -> None:
    assert dangers(code) == []


@pytest.mark.parametrize("name", downloads.SOURCES)
def test_downloads_are_encrypted_and_have_a_strong_hash(name: str) -> None:
    for download in downloads.SOURCES[name].downloads:
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", download.hash), download.file
        assert all(address.startswith("https://") for address in download.addresses)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_script_fetches_by_itself(path: Path) -> None:
    code = path.read_text("utf-8")
    assert not re.search(r"\b(urllib\.request|urlopen|urlretrieve|requests\.|http\.client|httpx|ftplib|http://)", code)
    if path.name != "downloads.py":
        assert "pooch.retrieve" not in code


def test_jupyterlab_keeps_its_token_and_listens_here_only() -> None:
    assert dangerous_flags((ROOT / "Makefile").read_text("utf-8")) == []
    not_ours = (".venv", ".venv-bench", ".venv-classic", ".git", "local", "artefacts", "my-notebooks")
    ours = [path for path in ROOT.iterdir() if path.name not in not_ours]
    files = [file for path in ours for file in (path.rglob("*") if path.is_dir() else [path])]
    assert len(files) > 100
    assert [file for file in files if re.search(r"jupyter\w*config|\.jupyter$", file.name)] == []


def dangerous_flags(makefile: str) -> list[str]:
    """Return the settings that would open JupyterLab to others."""
    return re.findall(
        r"--ip\b|\w*\.ip\b|token(?!izers\b)|password|allow_origin|allow_remote_access|disable_check_xsrf", makefile
    )


def test_jupyters_own_defaults_are_a_token_and_this_machine() -> None:
    from jupyter_server.auth.identity import PasswordIdentityProvider
    from jupyter_server.serverapp import ServerApp

    app = ServerApp(log_level="CRITICAL")
    assert app.ip in ("localhost", "127.0.0.1")
    assert not app.allow_remote_access
    provider = PasswordIdentityProvider(parent=app)
    assert len(provider.token) >= 32
    assert provider.auth_enabled


def test_an_audit_that_cannot_look_up_a_package_fails() -> None:
    (command,) = re.findall(r"bin/pip-audit .*", (ROOT / "Makefile").read_text("utf-8"))
    assert "--strict" in command  # without it, packages that are not found count as "no known vulnerabilities"
    assert "--ignore-vuln" not in command


# Licences under which a package may be needed by a project under the MIT licence that bundles none of them. The MPL
# places obligations only on those who change or pass on files of the package itself. CNRI's is part of Python's own.
PERMITTED = re.compile(
    r"MIT(-0|-CMU)?( Licen[cs]e)?"
    r"|(0BSD|BSD([- ][23]-Clause)?)( Licen[cs]e)?"
    r"|Apache(-2\.0| 2\.0( License)?| Software License| License, Version 2\.0)( WITH LLVM-exception)?"
    r"|PSF-2\.0|PSFL|Python Software Foundation License|CNRI-Python"
    r"|ISC( License \(ISCL\))?|MPL-2\.0|Mozilla Public License 2\.0 \(MPL 2\.0\)"
    r"|BSL-1\.0|CC0-1\.0|Zlib|Unlicense|HPND|ZPL-2\.1",
    re.I,
)

# The third of docutils' licences is that of an Emacs mode in its source archive, which the installed package lacks.
STATED = {
    "docutils": "Public Domain AND BSD License AND GNU General Public License (GPL)",
    "sphinx-codeautolink": "unknown",  # in its metadata; the LICENSE beside them is MIT
}


def licence(package: metadata.PackageMetadata) -> str:
    """Return what a package states as its licence: an SPDX expression, classifiers, or a short text of its own."""
    classified = [entry.split(" :: ")[-1] for entry in package.get_all("Classifier") or [] if "License ::" in entry]
    named = [name for name in classified if name != "OSI Approved"]
    expression, text = ("".join(package.get_all(key) or []).strip() for key in ("License-Expression", "License"))
    return expression or " AND ".join(named) or (text if len(text) < 60 else "") or "unknown"


def permitted(text: str) -> bool:
    """Return whether a licence, or one of each choice that it leaves, is in the table."""
    parts = text.replace("(MPL 2.0)", "[MPL 2.0]").replace("(ISCL)", "[ISCL]")
    parts = re.sub(r"[()]", "", parts).replace("[", "(").replace("]", ")")
    return all(
        any(PERMITTED.fullmatch(choice.strip()) for choice in part.split(" OR ")) for part in parts.split(" AND ")
    )


def licences() -> dict[str, str]:
    """Return the licences of the pinned packages that are installed here."""
    pins = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    installed = {re.sub(r"[-_.]+", "-", found.name).lower(): found for found in metadata.distributions()}
    names = {name: re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    return {name: licence(installed[key].metadata) for name, key in names.items() if key in installed}


def test_licences_allow_ours() -> None:
    found = licences()
    assert len(found) > 100
    refused = {name: text for name, text in found.items() if not permitted(text) and text != STATED.get(name)}
    assert not refused, f"{refused}; all: {found}"


@pytest.mark.parametrize(
    "text",
    ["GPL-3.0-or-later", "AGPL-3.0", "MIT AND GPL-2.0-only", "LGPL-2.1", "unknown", "", "Other/Proprietary License"],
)
def test_other_licences_are_refused(text: str) -> None:
    assert not permitted(text)


@pytest.mark.parametrize("text", ["MIT OR GPL-2.0-only", "Apache-2.0 WITH LLVM-exception AND (MIT OR BSD-2-Clause)"])
def test_a_choice_of_licences_is_enough(text: str) -> None:
    assert permitted(text)


if __name__ == "__main__":
    for package, text in licences().items():
        print(f"{package:28} {text}")
