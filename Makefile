# "make" alone lists what there is. Each target makes what it needs first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

help:
	@echo "make demo        convert a real ResNet-50, prove it against real Caffe; track an object"
	@echo "make test        the whole test suite"
	@echo "make check       format, lint, types, generated docs"
	@echo "make docs        write docs/layers.md and docs/cli.md from the code"
	@echo "make regressor   write src/goturn/regressor.py, the published GOTURN as source"
	@echo "make fuzz        20,000 damaged files (CASES=n for another number)"
	@echo "make benchmarks  each headline figure beside a peer"

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e . --group test --group lint
	@touch $@

install: $(VENV)/installed

demo: install
	scripts/demo

test: install
	scripts/test

check: install
	scripts/check

docs: install
	$(BIN)/python scripts/docs.py

regressor: install
	$(BIN)/python scripts/regressor.py

fuzz: install
	$(BIN)/python -m tests.fuzz --cases $(or $(CASES),20000)

benchmarks: install
	for file in benchmarks/*.py; do $(BIN)/python $$file || exit 1; done

.PHONY: help install demo test check docs regressor fuzz benchmarks
