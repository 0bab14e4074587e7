# Targets only delegate to scripts/ and to the commands.
CONFIG ?= configs/demo.yaml
ARGS ?=
# Another package index for torch, or a folder of wheels: make setup TORCH_INDEX=URL
export TORCH_INDEX
# Recipes must not inherit the virtual environment or paths of another checkout. Compiled modules are kept.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run demo-training test check fix chaos bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

setup: ## set everything up: environments, demo data, tiny models
	@scripts/setup.sh dev demo
	@.venv/bin/python -m tests.set_up

run: ## run an evaluation: make run [CONFIG=configs/demo.yaml] [ARGS="--limit 2"]
	@scripts/setup.sh run --config $(CONFIG) $(ARGS)
	@.venv/bin/warmbench run --config $(CONFIG) $(ARGS)

demo-training: ## train a tiny editor, evaluate its checkpoints as they appear
	@scripts/setup.sh run --config configs/demo-training.yaml
	@scripts/demo_training/run.sh $(ARGS)

test: ## run all tests: make test [ARGS="-k rounds"]
	@scripts/setup.sh dev
	@.venv/bin/python -m tests.set_up
	@.venv/bin/python -m pytest --numprocesses=4 --dist=loadscope $(ARGS)

check: ## check lint, format and types
	@scripts/setup.sh dev
	@scripts/check.sh

fix: ## format, and fix what can be fixed
	@scripts/setup.sh dev
	@scripts/fix.sh

chaos: ## run with injected faults and audit the results: make chaos [ARGS="runs --seeds 200"]
	@scripts/setup.sh dev demo
	@.venv/bin/python -m scripts.tiny_models outputs/tiny-models --only reward-trained
	@.venv/bin/python -m tests.chaos $(or $(ARGS),runs --seeds 20)

bench: ## measure performance, as ratios: make bench [ARGS="--all"]
	@scripts/setup.sh bench
	@.venv/bin/python -m scripts.bench $(ARGS)

clean: ## remove outputs and caches (not .venv)
	@rm -rf outputs .mypy_cache .ruff_cache .pytest_cache .hypothesis
