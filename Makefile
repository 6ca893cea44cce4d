# make lab: set up and open the workbook.   make test: set up and test it.   make help: the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
CLASSIC := .venv-classic
LAB_SETTINGS := $(VENV)/share/jupyter/lab/settings/overrides.json
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# On Linux PyPI's torch brings gigabytes of CUDA; TORCH=cpu takes PyTorch's own build for machines without a GPU. That
# index has no promise of the versions that the other packages are pinned to, so it gives torch alone.
ifeq ($(TORCH),cpu)
TORCH_FIRST = $(INSTALL) --no-deps --index-url https://download.pytorch.org/whl/cpu torch
else ifneq ($(TORCH),)
$(error TORCH is cpu or nothing, not $(TORCH))
endif
# Two test processes on one thread each are faster than two that fight for both cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:cacheprovider
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
AXE := artefacts/axe-core/package/axe.min.js

ifeq ($(shell id -u),0)
JUPYTER_FLAGS += --allow-root
endif
ifeq ($(shell uname -s)$(DISPLAY)$(WAYLAND_DISPLAY),Linux)
JUPYTER_FLAGS += --no-browser
endif

.PHONY: help lab install renew test test-slow lint units coverage notebooks-test browser notebooks picture site release nbgrader slides checkpoints bench colab-check audit clean
.DEFAULT_GOAL := help

help:
	@echo "make lab         set up and open the workbook in JupyterLab"
	@echo "make lab TORCH=cpu  the same for Linux without a GPU: torch without its gigabytes of CUDA (any target takes it)"
	@echo "make install     install into the Python at hand, not into an environment: for containers and hubs"
	@echo "make renew       bring copies in my-notebooks up to date; your answers come along, the old copies are kept"
	@echo "make test        set up and test everything: units, notebooks, browser (up to 10 minutes)"
	@echo "make test-slow   what takes minutes: real MNIST, memory, a hundred architectures of others"
	@echo "make lint, units, notebooks-test, browser  the parts of make test"
	@echo "make coverage    which lines of the library the units run"
	@echo "make notebooks   build the notebooks from notebooks/source, and the teacher's pages from them"
	@echo "make release     the students' zip, without solutions and outputs, in artefacts"
	@echo "make nbgrader    a course folder for nbgrader in artefacts/nbgrader"
	@echo "make site        the course and a reference as a web site in artefacts/site, which opens from the disk too"
	@echo "make slides      a deck of slides for each notebook in artefacts/slides, shown without a network (a few minutes)"
	@echo "make picture     the README's moving picture of a slider, from a real browser"
	@echo "make checkpoints train the shipped networks again (LOSSPRUNE_DATA names the folder of mnist.npz)"
	@echo "make bench       time curvature, pruning, landscapes and ensembles against others, BackPACK, NNGeometry and curvlinops too (an hour)"
	@echo "make colab-check  what installing would change on Colab today (nothing, one hopes)"
	@echo "make audit       known vulnerabilities of the pinned packages; fails where they cannot be looked up"
	@echo "make clean       remove the environment and what was built in it"

# On copies, made once and without outputs: answers are kept, and the notebooks that are tested stay as they were built.
lab: $(VENV)/.installed $(LAB_SETTINGS)
	@$(BIN)/python notebooks/copies.py my-notebooks
	$(BIN)/jupyter lab $(JUPYTER_FLAGS) --ServerApp.root_dir=my-notebooks --LabApp.default_url=/lab/tree/00_start_here.ipynb

# As the containers of .binder and .devcontainer do.
install: BIN := $(shell dirname "$$(command -v $(PYTHON))")
install:
	$(TORCH_FIRST)
	$(INSTALL) --editable ".[course]"

renew: $(VENV)/.installed
	@$(BIN)/python notebooks/copies.py --renew my-notebooks

test: lint units notebooks-test browser

test-slow: $(VENV)/.installed-architectures $(VENV)/.installed-grading $(VENV)/.installed-site $(CLASSIC)/.installed $(LAB_SETTINGS) $(AXE)
	CHROMIUM=$(CHROMIUM) $(PYTEST) tests/slow -m slow --durations=0 -n 2 --dist loadfile
	CHROMIUM=$(CHROMIUM) CLASSIC=$(CURDIR)/$(CLASSIC) $(PYTEST) tests --ignore tests/slow -m slow --durations=0 -n 2 --dist loadfile

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

units: $(VENV)/.installed-test
	$(PYTEST) tests -m "not slow" --ignore tests/browser -n 2

coverage: $(VENV)/.installed-test
	$(PYTEST) tests -m "not slow" --ignore tests/browser -n 2 --cov --cov-report=term

notebooks-test: $(VENV)/.installed-test
	TQDM_DISABLE=1 LOSSPRUNE_PROGRESS=off $(PYTEST) notebooks --nbval-lax --nbval-current-env --nbval-cell-timeout=60 -n 2 --dist loadfile

browser: $(VENV)/.installed-test $(LAB_SETTINGS)
ifeq ($(CHROMIUM),)
	@echo "No Chromium on this machine, so the sliders were not tried in a browser (Debian: apt-get install chromium)."
else
	CHROMIUM=$(CHROMIUM) $(PYTEST) tests/browser -m "not slow" -n 2
endif

notebooks: $(VENV)/.installed-test
	$(BIN)/python notebooks/build.py
	$(BIN)/python notebooks/teaching.py
	$(BIN)/python notebooks/concept_map.py

site: $(VENV)/.installed-site
	$(BIN)/python notebooks/site/build.py

release: $(VENV)/.installed
	@$(BIN)/python notebooks/release.py

nbgrader: $(VENV)/.installed-grading
	@$(BIN)/python notebooks/grading.py

slides: $(VENV)/.installed-test artefacts/reveal/.fetched
	$(BIN)/python notebooks/slides.py

# Of a real browser, for the README.
picture: $(VENV)/.installed-test $(LAB_SETTINGS)
	CHROMIUM=$(CHROMIUM) PYTHONPATH=tests $(BIN)/python tests/browser/moving_picture.py

checkpoints: $(VENV)/.installed
	$(BIN)/python data/checkpoints/make.py

# First the tests of the others, which are skipped where they are not installed.
bench: $(BENCH)/.installed
	OMP_NUM_THREADS=1 $(BENCH)/bin/python -m pytest -p no:cacheprovider tests/test_benchmarks.py
	for name in curvature any_network pruning landscape ensembles; do $(BENCH)/bin/python tests/benchmarks/$$name.py || exit 1; done

colab-check: $(VENV)/.installed-test
	@mkdir -p artefacts
	@for list in pip-freeze.txt pip-freeze.gpu.txt; do \
	  curl --fail --silent --show-error --location --output artefacts/$$list \
	    https://raw.githubusercontent.com/googlecolab/backend-info/main/$$list || exit 1; \
	  echo "$$list:"; COLAB_FREEZE=artefacts/$$list $(PYTEST) -q -s tests/test_colab.py || exit 1; done

# Colab's widgets and kernel, and the notebook that they were made for, tried in a browser by a slow test.
$(CLASSIC)/.installed: $(BIN)/python pyproject.toml
	@echo "Installing into $(CLASSIC) (once, a few minutes) ..."
	@$(PYTHON) -m venv $(CLASSIC)
	@$(CLASSIC)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 notebook==6.5.7 \
	  ipywidgets==7.7.1 "jupyterlab-widgets<2" ipython==7.34.0 ipykernel==6.17.1 traitlets==5.7.1 "setuptools<81" \
	  matplotlib==3.10.0 seaborn==0.13.2 --editable .
	@touch $@

# An environment of its own. Without dependencies, because theirs would bring a CUDA build of torch along.
$(BENCH)/.installed: $(BIN)/python constraints.txt pyproject.toml
	@echo "Installing into $(BENCH) (once, a few minutes) ..."
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  backpack-for-pytorch==1.7.1 nngeometry==0.4 einops==0.8.2 unfoldNd==0.2.3 \
	  curvlinops-for-pytorch==3.0.1 einconv==0.1.0 linear_operator==0.6.1 opt_einsum==3.4.0 \
	  timm==1.0.31 torchvision==0.28.0
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  scipy safetensors pyyaml pillow huggingface_hub==2.4.0 pytest hypothesis
	@touch $@

# In an environment of its own: the auditor's packages are none of ours. Without --strict it calls clean what it never looked up.
audit: $(BIN)/python
	@$(PYTHON) -m venv artefacts/audit
	@artefacts/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@artefacts/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt || { \
	  echo "Not clean: a vulnerability is listed above, or the advisories could not be asked for and nothing is audited."; exit 1; }

clean:
	rm -rf $(VENV) $(BENCH) $(CLASSIC) artefacts .mypy_cache .ruff_cache .hypothesis *.egg-info

# Debian's python3 comes without what makes environments; root is offered it, others are told.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Name another one: make lab PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	  then apt-get update -qq && apt-get install -qq -y python3-venv >/dev/null && $(PYTHON) -m venv $(VENV); \
	  else echo "This Python cannot make environments. On Debian: sudo apt-get install python3-venv"; exit 1; fi; }

$(VENV)/.installed: $(BIN)/python constraints.txt pyproject.toml
	@echo "Installing into $(VENV) (once, a few minutes) ..."
	@$(TORCH_FIRST)
	@$(INSTALL) --editable ".[course]"
	@$(BIN)/jupyter labextension disable "@jupyterlab/apputils-extension:announcements" >/dev/null 2>&1
	@touch $@

# A notebook that is opened again without its kernel then shows the last picture instead of "model not found".
$(LAB_SETTINGS): $(VENV)/.installed
	@mkdir -p $(@D)
	@echo '{"@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": true}}' > $@

# What shows slides; its files are copied beside the decks, which then need no network.
artefacts/reveal/.fetched: Makefile
	@command -v npm >/dev/null || { echo "Slides need reveal.js, which npm fetches. On Debian: sudo apt-get install npm"; exit 1; }
	@rm -rf $(@D) && mkdir -p $(@D)
	@cd $(@D) && npm pack --silent reveal.js@6.0.2 >/dev/null && tar -xzf reveal.js-6.0.2.tgz
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@$(INSTALL) --editable ".[test]"
	@touch $@

$(VENV)/.installed-grading: $(VENV)/.installed
	@$(INSTALL) --editable ".[grading]"
	@touch $@

$(VENV)/.installed-site: $(VENV)/.installed
	@$(INSTALL) --editable ".[site]"
	@touch $@

# What looks for barriers in the pages; without npm the tests that need it are skipped.
$(AXE):
	@mkdir -p artefacts/axe-core
	@if command -v npm >/dev/null; \
	then cd artefacts/axe-core && npm pack --silent axe-core@4.14.1 && tar -xzf axe-core-4.14.1.tgz; \
	else echo "No npm on this machine, so the pages are not searched for barriers (Debian: apt-get install npm)."; fi

# Networks of others, for one slow test. Without dependencies, because torchvision's would bring a CUDA build of torch along.
$(VENV)/.installed-architectures: $(VENV)/.installed-test
	@$(INSTALL) --no-deps timm torchvision transformers
	@$(INSTALL) huggingface_hub regex tokenizers typer
	@touch $@
