# Targets only delegate; what they do is in scripts/ and in the commands.
CONFIG ?= configs/demo.yaml
ARGS ?=
# Recipes must not inherit a virtual environment or paths of another checkout.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help setup run test check fix chaos bench clean

help: ## what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: ## all of the set-up: environment, demo data, tiny models
	@scripts/setup.sh dev demo

run: ## run an evaluation: make run [CONFIG=configs/demo.yaml] [ARGS="--limit 2"]
	@scripts/setup.sh run demo
	@.venv/bin/warmbench run --config $(CONFIG) $(ARGS)

test: ## the whole test suite: make test [ARGS="-k rounds"]
	@scripts/setup.sh dev
	@.venv/bin/python -m pytest --numprocesses=3 --dist=worksteal $(ARGS)

check: ## linters and types
	@scripts/setup.sh dev
	@scripts/check.sh

fix: ## format, and mend what can be mended
	@scripts/setup.sh dev
	@scripts/fix.sh

chaos: ## faults of every kind, for as long as asked: make chaos [ARGS="runs --seeds 200"]
	@scripts/setup.sh dev demo
	@.venv/bin/python -m tests.chaos $(or $(ARGS),runs --seeds 20)

bench: ## performance, as ratios: make bench [ARGS="--all"]
	@scripts/setup.sh bench
	@.venv/bin/python -m scripts.bench $(ARGS)

clean: ## remove what was made: outputs and caches (not .venv)
	@rm -rf outputs .mypy_cache .ruff_cache .pytest_cache .hypothesis
