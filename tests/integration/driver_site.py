# SPDX-License-Identifier: Apache-2.0
"""A machine with nothing but the driver file of Open edX, and an LMS of before that it drives."""
import pytest

from old_lms import OldLms
from site_under_test import Site

STATES = ["PENDING", "RETIRING_FORUMS", "FORUMS_COMPLETE", "RETIRING_ECOM", "ECOM_COMPLETE", "RETIRING_LMS",
          "LMS_COMPLETE", "ERRORED", "ABORTED", "COMPLETE"]
WAY = [*STATES[1:7], "COMPLETE"]
FORUM, ECOM, LMS = ("/api/discussion/v1/accounts/retire_forum/", "/api/v2/user_management/replace_usernames/",
                    "/api/user/v1/accounts/retire/")


class DriverSite(Site):
    """A machine with nothing but config.yml."""

    def __init__(self, folder, lms):
        super().__init__(folder)
        self.lms = lms
        self.file = folder / "config.yml"
        self.data_dir = folder / "lethe-data"
        self.config = {
            "client_id": "worker",
            "client_secret": "secret",
            "base_urls": {"lms": lms.url + "/", "ecommerce": lms.url + "/", "credentials": None},
            "retirement_pipeline": [
                ["RETIRING_FORUMS", "FORUMS_COMPLETE", "LMS", "retirement_retire_forum"],
                ["RETIRING_ECOM", "ECOM_COMPLETE", "ECOMMERCE", "replace_usernames"],
                ["RETIRING_LMS", "LMS_COMPLETE", "LMS", "retirement_lms_retire"],
            ],
            "drive_partners_folder": "of another script",
        }

    def drive_one(self, name):
        return self.lethe("drive", "--username", name)

    def start_once(self, *words):
        return self.start("drive", "--once", *words)


@pytest.fixture
def lms(make_service):
    return OldLms(make_service, STATES)


@pytest.fixture
def driver(tmp_path, lms):
    site = DriverSite(tmp_path, lms)
    yield site
    site.stop()
    site.check()
