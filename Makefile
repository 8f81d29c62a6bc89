# make run     installs what a build lacks, builds (debug) and starts Keyward on its embedded database
# make test    the whole gate; installs what the tests lack and starts its own database servers, Apache and Chromium
# make check   formatting and lints
# make bench   the figures of docs/performance.md, on a release build
# make release the binary to deploy: target/release/keyward

.PHONY: help run test check bench release clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# make/make/p' Makefile

# More for `serve`, as in: make run ARGS="--listen 127.0.0.1:9000"
ARGS ?=

run:
	@tests/support/packages.sh build
	@echo "Building Keyward: the debug build, for trying and developing (make release makes the one to deploy)."
	@test -e target/debug/keyward || echo "The first time takes 4 to 5 minutes on two cores; after that, seconds."
	@start=$$(date +%s); cargo build --bin keyward && echo "Built in $$(( $$(date +%s) - start )) s. Starting; Ctrl-C stops it."
	@exec cargo run --quiet --bin keyward -- serve $(ARGS)

test:
	@tests/support/gate.sh test

check:
	@tests/support/gate.sh check

bench:
	@tests/support/packages.sh build
	@echo "Building for release: about 11 minutes on two cores the first time."
	cargo build --release --locked
	cargo bench --locked --bench figures

release:
	@tests/support/packages.sh build
	@echo "Building for release: about 11 minutes on two cores the first time."
	cargo build --release --locked
	@ls -lh target/release/keyward

clean:
	cargo clean
	rm -rf target
