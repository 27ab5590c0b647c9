# Everything here works from a fresh clone: what is missing is installed first (see scripts/setup.sh).
# CARGO_TARGET_DIR is honoured; without it everything is built in ./target.
.PHONY: help build demo test test-full test-drivers test-guest test-fresh lint bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

build: ## the release binary, with the supervisor inside
	@scripts/build.sh

demo: ## one real job from submission to its log, then clean up
	@scripts/demo.sh

test: ## everything that CI runs as tests
	@scripts/test.sh

test-full: ## the same and what is slow
	@scripts/test.sh --full

test-drivers: ## container tests under every driver, and a table of how each fared (an hour, most of it the guest)
	@scripts/drivers.sh

test-guest: ## container tests in an emulated machine with control groups of version 2 alone
	@scripts/drivers.sh guest

test-fresh: ## demo and test in a Debian made for it, which has only the toolchains
	@scripts/test-fresh.sh

lint: ## format, clippy, licences, house rules
	@scripts/lint.sh

bench: ## speed beside the limits of this machine, as a table
	@scripts/bench.sh

clean: ## what was built and installed here
	@scripts/clean.sh

# Used by hand and by test-fresh's own check: what is missing is installed, nothing is built.
.PHONY: setup
setup: ## install what build and tests need
	@scripts/setup.sh
