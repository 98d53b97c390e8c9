# SPDX-License-Identifier: GPL-2.0
#
# Targets for users and developers. Kbuild has the rules of the kernel's build; scripts/ makes guests,
# kernels and the toolchain (see scripts/README.md).

# For `module`: the build directory of the kernel that is to load it.
KDIR ?= /lib/modules/$(shell uname -r)/build

# For `demo` and `shell`: the stock kernel if the processor can run it, else user-mode Linux.
MACHINE ?= $(shell if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then echo debian; else echo uml; fi)

# For `test`, `bench` and `deb`: arguments for their scripts.
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help check demo examples shell test test-long bench module tools deb fmt lint doc clean

help:
	@echo 'Everything but `module` and `check` runs in guests and in a Debian root of its own, made by the'
	@echo 'first run and kept in a cache (8 GB). It needs root.'
	@echo
	@echo '  make demo      a kernel boots, blocks move under I/O, a stress run is judged (MACHINE=debian|uml)'
	@echo '  make test      every test but those that take minutes each (ARGS=... for tests/all)'
	@echo '  make test-long every test'
	@echo '  make examples  runs the sessions in README.md and docs/interface.md, and compares their output'
	@echo '  make bench     measures the cost of dm-remap, next to dm-linear (ARGS=... for tests/bench/run)'
	@echo '  make check     what needs neither root nor a kernel, with the host'\''s cargo: three minutes'
	@echo '  make shell     a shell in a guest, $$DM_REMAP_KO is the module (MACHINE=debian|uml|uml-debug|uml-smp)'
	@echo
	@echo '  make module    dm_remap.ko here, for the running kernel or KDIR=/path/to/kernel/build'
	@echo '  make tools     remapctl and the tools for metadata in target/release, manual and completions in target'
	@echo '  make deb       packages for Debian in target/deb: tools, DKMS, module and Rust metadata for the stock kernel'
	@echo '  make clean     removes what `module`, `tools`, `bench`, `doc`, cargo and fuzzers have left; the cache stays'
	@echo
	@echo '  make fmt       formats the Rust sources as the kernel does'
	@echo '  make lint      formatting, clippy, shellcheck, checkpatch and the rules of the house'
	@echo '  make doc       target/doc/dm_remap/index.html'

# -M 3G, since the disks are in memory.
demo:
	@scripts/vm -m $(MACHINE) -M 3G -t 300 -- scripts/demo

# Runs the sessions of these documents, and compares their output.
examples:
	@scripts/vm -M 3G -- scripts/run-examples -q README.md docs/interface.md

shell:
	@scripts/vm -m $(MACHINE) -- bash || [ $$? -lt 124 ] # of the last command in the shell

check:
	@scripts/check

test:
	@tests/all $(ARGS)

test-long:
	@tests/all -l $(ARGS)

bench:
	@tests/bench/run $(ARGS)

# Builds in target/module, so that this tree has no objects: the guests' modules are built from it, and
# the kernel's build refuses a source tree with objects.
module:
	@if [ ! -e "$(KDIR)/Makefile" ]; then \
		echo "There is no kernel build directory $(KDIR)."; \
		echo "Name one: make module KDIR=/path/to/kernel/build"; \
		exit 1; \
	elif [ ! -e "$(KDIR)/rust/libkernel.rmeta" ]; then \
		echo "$(KDIR) has no rust/libkernel.rmeta: that kernel was built without CONFIG_RUST, or this"; \
		echo "is a header package, which leaves it out. The build directory of the kernel itself has it."; \
		exit 1; \
	fi >&2
	@mkdir -p target/module
	$(MAKE) -C $(KDIR) M=$(CURDIR) MO=$(CURDIR)/target/module modules
	cp target/module/dm_remap.ko .

# Builds and runs the tools in the toolchain's root, since the host may have an older C library.
tools:
	@scripts/toolchain cargo build --release --package remapctl --package remap_metadata
	@mkdir -p target/completions
	@scripts/toolchain sh -ec ' \
		rm -rf target/man; \
		target/release/remapctl man --output target/man; \
		target/release/remap_metadata_manual target/man; \
		target/release/remapctl completions bash >target/completions/remapctl.bash; \
		target/release/remapctl completions zsh >target/completions/_remapctl; \
		target/release/remapctl completions fish >target/completions/remapctl.fish'

deb:
	@scripts/deb $(ARGS)

fmt:
	@scripts/lint --fix format

lint:
	@scripts/lint

doc:
	@scripts/document

clean:
	rm -rf target dm_remap.ko
