# SPDX-License-Identifier: Apache-2.0
"""The demo is a promise of the README: its story checks itself."""
import os
import subprocess

from site_under_test import LETHE

DEMO = os.path.join(os.path.dirname(__file__), "..", "..", "demo", "demo.py")


def test_the_story_of_the_demo_holds():
    told = subprocess.run(["/usr/bin/python3", DEMO, os.path.abspath(LETHE)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300)
    assert told.returncode == 0, told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80
