# The project's tasks. `make help` lists them; `make demo` and `make test` need nothing else first.

PYTHON ?= python3
VENV ?= .venv
# The optional parts of pareja that running it needs.
EXTRAS ?= server
# Where development gets torch from, if not from PyPI: https://download.pytorch.org/whl/cpu is much smaller.
TORCH_INDEX ?=
PIP_INSTALL = -m pip --disable-pip-version-check install --quiet -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help runtime install demo test notebooks cluster coverage soak lint format docs wheel clean docker-build docker-run

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.pareja: $(VENV)/bin/python pyproject.toml constraints.txt
	$(VENV)/bin/python $(PIP_INSTALL) -e '.[$(EXTRAS)]'
	@touch $@

$(VENV)/.develop: $(VENV)/bin/python pyproject.toml constraints.txt
	$(VENV)/bin/python $(PIP_INSTALL) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -e '.[dev]'
	@touch $@ $(VENV)/.pareja

runtime: $(VENV)/.pareja ## Create the virtual environment with what running it needs

install: $(VENV)/.develop ## Create the virtual environment with everything that development needs

demo: $(VENV)/.pareja ## Study and report on 20 bundled pictures, then search 220 others with ten queries
	$(VENV)/bin/pareja demo
	$(VENV)/bin/pareja index commons200 --index pareja-demo-index
	$(VENV)/bin/pareja evaluate commons200-en --index pareja-demo-index
	$(VENV)/bin/pareja search "fish in the sea" --index pareja-demo-index
	@echo "The same in a browser: $(VENV)/bin/pareja serve --index pareja-demo-index --open"

test: install lint ## Run the linters and all tests
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2

notebooks: install ## Run every notebook from its first cell to its last
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 -m notebooks tests/notebooks

cluster: install ## Embed on a Ray cluster of two nodes on this machine, and kill one of them
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -m cluster tests/embedding

coverage: install ## Run all tests and say which lines none of them reached (half as long again)
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 2 --cov --cov-report=term

soak: install ## Kill, damage and bother what is here, and write docs/benchmarks/soak.md
	$(VENV)/bin/python benchmarks/soak.py --write docs/benchmarks/soak.md

lint: install ## Check style and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

format: install ## Rewrite the code in the agreed style
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

docs: install ## Rebuild the generated pages of docs/
	$(VENV)/bin/python docs/generate.py

wheel: install ## Build the wheel into dist, check it, and run it in an empty environment
	rm -rf dist build
	$(VENV)/bin/python -m build --outdir dist
	$(VENV)/bin/twine check --strict dist/*
	$(PYTHON) -m venv build/venv
	build/venv/bin/python $(PIP_INSTALL) dist/*.whl
	cd build && venv/bin/pareja demo

clean: ## Remove what the tasks have made, except the virtual environment
	rm -rf out pareja-demo pareja-demo-index dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*

DOCKER ?= docker
IMAGE ?= pareja
docker-build: ## Build the container image (EXTRAS=server,models for CLIP and SigLIP)
	$(DOCKER) build --build-arg EXTRAS=$(EXTRAS) --tag $(IMAGE) .

docker-run: ## Run the demo in the container; the report lands in ./out
	mkdir -p out
	$(DOCKER) run --rm --user "$$(id -u):$$(id -g)" --volume "$(CURDIR)/out:/work/out" $(IMAGE)
