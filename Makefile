# everreel: `make help` lists what can be done. Everything below starts from a bare Python >= 3.11.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv/bin/python
export DEMO_SECONDS SOURCE
RUNS ?= 1

.PHONY: help setup check test demo bench fault fault-long layers synth deploy golden clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv, .engine and .lambda from the pinned requirements (quick when nothing changed)
	@$(PYTHON) infra/local/bootstrap.py

check: setup ## Fast gate: format, lint, types, import rules, unit + contract + meta tests
	$(VENV) -m ruff format --check .
	$(VENV) -m ruff check .
	$(VENV) -m mypy
	.venv/bin/lint-imports
	$(VENV) -m pytest -q -n 2 tests/unit tests/contract tests/meta

test: setup ## Install what the suite needs (apt as root, npm), build the layers, run every test
	$(VENV) -m tests.prepare
	$(VENV) layers/build.py --host
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(VENV) -m pytest tests --no-skips

demo: setup ## Record a live stream on the real stack, here: DEMO_SECONDS=60, SOURCE=rtmp://... for your own
	$(VENV) -m infra.local.demo

bench: setup ## Measure against ffmpeg; writes .bench/results.json
	$(VENV) -m tests.bench

fault: setup ## Break recordings in every way and count what is lost: CASES="kill/*/redundant", RUNS=1, SEED=
	$(VENV) -m tests.fault --runs $(RUNS) $(if $(SEED),--seed $(SEED)) $(if $(CASES),--cases $(CASES))

fault-long: setup ## 100 hand-overs and 1,000 kills; writes .fault/results.json
	$(VENV) -m tests.fault --long $(if $(SEED),--seed $(SEED))

layers: setup ## Build the layers for arm64 and x86_64 (no Docker)
	$(VENV) layers/build.py --all

synth: layers ## Synthesise and check the CloudFormation template: cdk.out/ (CONTEXT="key=value ...")
	$(VENV) -m infra.app

deploy: layers ## Deploy to the AWS account of your credentials (CONTEXT="key=value ...", docs/deploying.md)
	$(VENV) -m infra.deploy

golden: setup ## Rewrite the golden files; review the diff as an API change
	$(VENV) -m tests.golden

clean: ## Remove everything that was built, the virtual environments included
	rm -rf .venv .engine .lambda .build .demo .bench .fault cdk.out .pytest_cache .mypy_cache .ruff_cache \
	  .hypothesis .import_linter_cache tests/web/node_modules
