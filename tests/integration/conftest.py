# SPDX-License-Identifier: Apache-2.0
"""Fixtures with verbs. A test is a conversation with a running server and driver, and with services that it scripts."""
import pytest

from services import Service
from site_under_test import Site


@pytest.fixture
def site(tmp_path):
    """A site with a configuration of its own; what it started is stopped afterwards."""
    s = Site(tmp_path)
    yield s
    s.stop()


@pytest.fixture
def served(site):
    """A site with a server that is ready."""
    site.serve()
    return site


@pytest.fixture
def make_service():
    """Makes scripted services: make_service() gives one on a free port."""
    made = []

    def make(**options):
        made.append(Service(**options))
        return made[-1]

    yield make
    for service in made:
        service.stop()
