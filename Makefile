# SPDX-License-Identifier: Apache-2.0
# What people call. Meson and Ninja do the work; packages.txt lists what they need.

.PHONY: all demo test bench packages clean

all: build/build.ninja
	@ninja -C build

build/build.ninja: meson.build | packages
	@meson setup build

demo: all
	@/usr/bin/python3 demo/demo.py build/lethe --keep build/demo

test:
	@scripts/packages
	@python3 scripts/test.py

bench: all
	@scripts/packages
	@python3 bench/bench.py build

packages:
	@scripts/packages build

clean:
	rm -rf build build-asan build-tsan build-coverage
