# SPDX-License-Identifier: Apache-2.0
# What people call. Meson and Ninja do the work; packages.txt lists what they need.

.PHONY: all demo test bench packages clean

all: packages build/build.ninja
	@ninja -C build

build/build.ninja: meson.build
	@meson setup build

demo: all
	@/usr/bin/python3 demo/demo.py build/lethe --keep build/demo

test: packages
	@python3 scripts/test.py

bench: all
	@python3 bench/bench.py build

packages:
	@scripts/packages

clean:
	rm -rf build build-asan build-tsan build-coverage
