# SPDX-License-Identifier: Apache-2.0
"""Fixtures with verbs. A test is a conversation with a running server and driver, and with services that it scripts."""
import signal

import pytest

from post_office import PostOffice
from services import Service
from site_under_test import Site

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a shell; programs would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def site(tmp_path):
    """A site with a configuration of its own; its processes are stopped afterwards, and its database and logs are checked."""
    s = Site(tmp_path)
    yield s
    s.stop()
    s.check()


@pytest.fixture
def served(site):
    """A site with a server that is ready."""
    site.serve()
    return site


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A server that all tests of a file share: each brings its own people."""
    s = Site(tmp_path_factory.mktemp("authority"))
    s.serve()
    yield s
    assert s.violations() == []
    assert s.kill(s.processes[0], signal.SIGTERM) == 0
    s.stop()
    s.check()


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


@pytest.fixture
def make_office():
    """Makes scripted mail servers."""
    made = []

    def make(**options):
        made.append(PostOffice(**options))
        return made[-1]

    yield make
    for office in made:
        office.stop()


STAGES = ["forum", "notes", "store"]


@pytest.fixture
def pipeline(site, make_service):
    """A site with three stages, each at a service of its own: site.forum, site.notes, site.store."""
    for name in STAGES:
        service = make_service()
        setattr(site, name, service)
        site.service(name, service)
        site.stage(f"RETIRING_{name.upper()}", f"{name.upper()}_COMPLETE",
                   http={"service": name, "post": f"/{name}/retire", "json": {"username": "{original_username}"}},
                   retry={"for": "20s", "first": "20ms", "longest": "200ms"})
    site.configure(driver={"poll": "100ms"})
    site.everywhere = [site.forum, site.notes, site.store]
    return site
