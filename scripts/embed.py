#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a file as a C array: embed.py FILE NAME HEADER OUT.c"""
import sys

path, name, header, out = sys.argv[1:]
data = open(path, "rb").read()
with open(out, "w") as f:
    f.write(f'#include "{header}"\n\nconst char {name}[] = {{\n')
    for at in range(0, len(data), 16):
        f.write("    " + ", ".join(f"{b if b < 128 else b - 256}" for b in data[at:at + 16]) + ",\n")
    f.write(f"    0\n}};\nconst size_t {name}_len = {len(data)};\n")
