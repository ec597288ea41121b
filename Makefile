# The one entry point; `make` alone lists what there is.

CARGO ?= cargo
# Follows cargo's own variable, so that a target folder elsewhere is found.
BIN := $(or $(CARGO_TARGET_DIR),target)/release

# What `make train` trains, for example: make train DATA=emnist-bymerge WORKERS=4 TARGET=0.8
DATA ?=
DATA_DIR ?=
WORKERS ?=
TARGET ?=
# Further flags of `downpour train`, for example: ARGS='--epochs 15 --learning-rate 0.2'
ARGS ?=

# How many runs `make chaos` disturbs, and the first one's seed: `RUNS=1 SEED=7` does the run of seed 7 again.
RUNS ?=
SEED ?=

# Which benchmarks `make bench` runs; all without it.
BENCH ?=

# What `make fuzz` runs, all targets without it, and for how long each.
TARGET ?=
SECONDS ?= 60

# Which images `make images` builds; all without it.
IMAGES ?=

TRAIN_PACKAGES := -p downpour -p emnist-setup -p emnist-train -p emnist-single
TRAIN_FLAGS := $(if $(DATA),--dataset '$(DATA)') $(if $(DATA_DIR),--data-dir '$(DATA_DIR)') \
               $(if $(WORKERS),--workers '$(WORKERS)') $(if $(TARGET),--target-accuracy '$(TARGET)') $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help train test test-kubectl chaos model fuzz sanitize lint fmt build bench template template-dist images grid-files deps

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make train takes DATA=NAME DATA_DIR=FOLDER WORKERS=N TARGET=ACCURACY ARGS='FURTHER FLAGS'"

train: ## Set everything up and train a network through functions and Redis
	@scripts/install-deps.sh compiler redis $(if $(DATA)$(DATA_DIR),,fashion-mnist)
	@$(CARGO) build --release --locked $(TRAIN_PACKAGES)
	@$(BIN)/downpour train $(TRAIN_FLAGS)

test: deps ## Run every test
	$(CARGO) test --release --locked --workspace

test-kubectl: build ## Run the real kubectl, which must be on the PATH, against the local gateway
	$(CARGO) test --release --locked --workspace --test scenarios kubectl -- --ignored

chaos: ## Disturb runs by a seed, and check that nothing is lost and nothing counts twice (RUNS=20 SEED=1)
	@scripts/install-deps.sh compiler redis fashion-mnist
	@$(CARGO) build --release --locked $(TRAIN_PACKAGES) -p chaos
	@RUNS='$(RUNS)' SEED='$(SEED)' $(BIN)/chaos

model: ## Check the protocol of leases and log in more states than a test has time for
	$(CARGO) test --release --locked -p sgd-lib --lib link::model -- --include-ignored --nocapture

fuzz: ## Search for bytes that break a decoder, with nightly Rust and cargo-fuzz (TARGET=reply SECONDS=600)
	scripts/fuzz.sh '$(SECONDS)' $(TARGET)

sanitize: ## Test the unsafe code under an address sanitizer, with nightly Rust
	scripts/sanitize.sh

lint: ## Check format, lints and, where cargo-deny is, dependencies; warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	@scripts/deny.sh

fmt: ## Format the code
	$(CARGO) fmt --all

build: ## Build everything
	$(CARGO) build --release --locked --workspace

bench: deps build ## Measure everything; takes up to 45 minutes (BENCH='kernel store' for some of it)
	$(BIN)/downpour bench $(BENCH)

template: ## Derive the template's manifest from Cargo.toml
	scripts/template.sh manifest > template/rust-sgd/Cargo.toml

template-dist: ## Write a template for other repositories into dist/
	@rm -rf dist/template/rust-sgd
	@scripts/template.sh dist dist
	@echo "dist/template/rust-sgd: commit template/ to a Git repository for faas-cli template pull URL"

images: ## Build the images with docker or podman, and try each
	scripts/images.sh $(IMAGES)

grid-files: ## Derive tests/emnist*.yml from stack.yml
	$(CARGO) run --quiet --release --locked -p downpour -- grid --write-files tests

deps: ## Install what is missing on Debian and Ubuntu, or say what to install
	@scripts/install-deps.sh compiler redis fashion-mnist kubernetes-validate
