# Everything is made in .venv; `make demo` and `make test` need nothing but Python 3.11 or later.
#   make demo VENV=elsewhere            another place for the environment
#   make demo PYTHON=python3.12         another Python
#   make demo TORCH_INDEX=URL           another build of PyTorch, such as one for CUDA; empty for the one pip finds by itself

SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SCREEN := xvfb-run -a -s "-screen 0 1920x1080x24 +extension GLX"
GUI_TESTS := $(wildcard tests/widgets tests/docks)
# one thread: small tests run faster, and numbers do not depend on the machine; so several run side by side
CALM := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
WORKERS ?= 2
# pairs and runs of the zoo, and which of its models; all where empty
ZOO ?= zoo
ONLY ?=
# where the zoo is trained: cuda for a graphics card, the processor where empty
ZOO_DEVICE ?=

.PHONY: help demo test unit gui coverage lint types contracts screenshots bench window findings samples zoo zoo-ship reference system clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help:
	@echo "make demo         translate the built-in sample pair into demo_output/ and open the window if there is a display"
	@echo "make test         run every test, those of the window under a virtual display"
	@echo "make lint types contracts    check style, types and who may import whom"
	@echo "make screenshots  make the pictures of docs/images again"
	@echo "make reference    make the pages of docs/reference again"
	@echo "make samples      make the sample pairs again, byte for byte"
	@echo "make zoo          simulate pairs and train the small models; ONLY=\"name ...\" for some of them, ZOO_DEVICE=cuda for a graphics card"
	@echo "make zoo-ship     put the trained ones into the package"
	@echo "make findings     measure the findings of the papers and make docs/findings.md (hours; it goes on where it was stopped)"
	@echo "make bench        time a whole volume and a style preview on this machine"
	@echo "make window       measure how long the window is held up by what a user does, and how fast Stop answers"
	@echo "make clean        remove the environment and everything that was made"

demo: $(VENV)/.ready
	$(BIN)/napari-harmonize demo --out demo_output

test: system unit gui coverage

unit: $(VENV)/.ready-test
	rm -f .coverage .coverage.*
	$(CALM) $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal --no-xvfb $(addprefix --ignore=,$(GUI_TESTS)) --cov --cov-report=

# every worker has a screen of its own: a window takes the keyboard from every other on its screen
gui: $(VENV)/.ready-test
	$(CALM) $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(GUI_TESTS) --cov --cov-append --cov-report=

coverage: $(VENV)/.ready-test
	$(BIN)/coverage report --skip-covered --fail-under=90

lint: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-test
	$(BIN)/mypy

contracts: $(VENV)/.ready-test
	$(BIN)/lint-imports

screenshots: system $(VENV)/.ready-test
	$(SCREEN) $(BIN)/python benchmarks/screenshots.py docs/images
	cp docs/images/4-result-dark-1920x1080.png docs/images/workspace.png

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/bench.py

window: system $(VENV)/.ready-test
	$(SCREEN) $(BIN)/python benchmarks/window.py

# REAL=folder with pairs.csv (see `python benchmarks/real_pairs.py`), VIT=ViT-B_16.npz, and whatever else the command takes in FLAGS
findings: $(VENV)/.ready-test
	$(BIN)/napari-harmonize benchmark --out benchmark_output $(if $(REAL),--real $(REAL)) $(if $(VIT),--vit $(VIT)) $(FLAGS)
	$(BIN)/python docs/make_findings.py benchmark_output

samples: $(VENV)/.ready-test
	$(BIN)/python -m napari_harmonize.simulate.samples src/napari_harmonize/sample_data

zoo: $(VENV)/.ready-test
	$(CALM) $(BIN)/python benchmarks/zoo.py $(ONLY) --out $(ZOO) $(if $(ZOO_DEVICE),--device $(ZOO_DEVICE))

zoo-ship: $(VENV)/.ready-test
	$(CALM) $(BIN)/python benchmarks/zoo.py $(ONLY) --out $(ZOO) --ship

reference: $(VENV)/.ready-test
	$(BIN)/python docs/make_reference.py

clean:
	rm -rf $(VENV) build dist demo_output benchmark_output htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/.ready: pyproject.toml constraints.txt | $(BIN)/python
	$(call torch)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[all]"
	touch $@

$(VENV)/.ready-test: pyproject.toml constraints.txt | $(BIN)/python
	$(call torch)
	$(PIP) install --quiet --constraint constraints.txt --editable ".[all,test,train]" hatchling
	touch $@ $(VENV)/.ready

$(BIN)/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or later is needed: make PYTHON=python3.12')"
	@$(PYTHON) -c "import ensurepip" 2>/dev/null || $(MAKE) --no-print-directory system PACKAGES=python3-venv
	$(PYTHON) -m venv $(VENV)

# On Linux the PyTorch that pip finds by itself brings several GB of CUDA, so the CPU build is asked for first; where that
# index cannot be reached, pip takes what it finds.
define torch
	@$(PIP) show --quiet torch 2>/dev/null || { [ -n "$(TORCH_INDEX)" ] && \
	$(PIP) install --quiet --retries 0 --timeout 15 --no-deps --constraint constraints.txt --index-url "$(TORCH_INDEX)" torch 2>/dev/null; } || \
	$(PIP) install --quiet --constraint constraints.txt torch
endef

PACKAGES ?= xvfb xauth libgl1 libgl1-mesa-dri libglx-mesa0 libegl1 libxkbcommon-x11-0 libdbus-1-3 libxcb-cursor0 libxcb-icccm4 \
	libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libfontconfig1

# what a virtual display needs; only on Debian-like systems, only what is missing, and only as root
system:
	@command -v dpkg-query > /dev/null || exit 0; \
	missing=$$(for name in $(PACKAGES); do dpkg-query -W -f='$${db:Status-Status}' $$name 2>/dev/null | grep -qx installed || echo $$name; done); \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ]; then \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -qq --yes --no-install-recommends $$missing < /dev/null; \
	else \
		echo "These packages are missing; as root: apt-get install" $$missing; exit 1; \
	fi
