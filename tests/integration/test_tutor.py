# SPDX-License-Identifier: Apache-2.0
"""The plugin for Tutor and the container: rendered as Tutor renders them, as far as that can be tried without Tutor. The names
of Tutor's filters, patches and variables are those of its documentation."""
import importlib.util
import os
import re
import subprocess
import sys
import types

import jinja2
import pytest
import yaml

from site_under_test import LETHE, Site

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
FILTERS = ["CONFIG_DEFAULTS", "CONFIG_UNIQUE", "ENV_TEMPLATE_ROOTS", "ENV_TEMPLATE_TARGETS", "CLI_DO_INIT_TASKS", "ENV_PATCHES"]
PATCHES = {"openedx-lms-common-settings", "local-docker-compose-services", "local-docker-compose-permissions-command",
           "local-docker-compose-permissions-volumes", "kustomization-configmapgenerator", "k8s-volumes", "k8s-deployments"}
OF_TUTOR = {"ENABLE_HTTPS": True, "LMS_HOST": "learn.example.com", "HOST_USER_ID": 1000, "patch": lambda name: ""}


class Filter(list):
    add_item, add_items = list.append, list.extend


@pytest.fixture(scope="module")
def plugin():
    """What the plugin adds to each filter, by name; .render(text) renders as `tutor config save` does."""
    filters = types.SimpleNamespace(**{name: Filter() for name in FILTERS})
    tutor = types.ModuleType("tutor")
    tutor.hooks = types.SimpleNamespace(Filters=filters)
    sys.modules["tutor"] = tutor
    try:
        spec = importlib.util.spec_from_file_location("lethe_plugin", os.path.join(ROOT, "contrib", "tutor", "lethe.py"))
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    finally:
        del sys.modules["tutor"]
    filters.config = {**OF_TUTOR, **dict(filters.CONFIG_DEFAULTS), **{name: "s3cret" * 6 for name, _ in filters.CONFIG_UNIQUE}}
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    filters.render = lambda text, **more: environment.from_string(text).render({**filters.config, **more})
    filters.patches = {name: filters.render(text) for name, text in filters.ENV_PATCHES}
    return filters


def test_the_plugin_uses_what_tutor_has(plugin):
    assert set(plugin.patches) == PATCHES
    names = [name for name, _ in (*plugin.CONFIG_DEFAULTS, *plugin.CONFIG_UNIQUE)]
    assert all(name.startswith("LETHE_") for name in names) and len(names) == len(set(names))
    [root], [(folder, target)] = plugin.ENV_TEMPLATE_ROOTS, plugin.ENV_TEMPLATE_TARGETS
    assert os.path.isfile(os.path.join(root, folder, "lethe", "config.yml")) and target == "plugins"


def test_the_lms_gets_states_worker_and_a_salt_behind_those_it_has(plugin):
    settings = {"RETIRED_USER_SALTS": ["old"]}
    exec(plugin.patches["openedx-lms-common-settings"], settings)  # pylint: disable=exec-used
    states = [state for row in plugin.config["LETHE_PIPELINE"] for state in row[:2]]
    assert settings["RETIREMENT_STATES"] == ["PENDING", *states, "ERRORED", "ABORTED", "COMPLETE"]
    assert settings["RETIREMENT_SERVICE_WORKER_USERNAME"] == settings["USERNAME_REPLACEMENT_WORKER"] == "lethe_worker"
    assert settings["RETIRED_USER_SALTS"] == ["old", plugin.config["LETHE_RETIRED_USER_SALT"]]
    [(service, task)] = plugin.CLI_DO_INIT_TASKS
    script = plugin.render(task)
    assert service == "lms" and "lethe_worker" in script and "populate_retirement_states" in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_the_driver_runs_with_compose_and_with_kubernetes(plugin):
    [(name, service)] = yaml.safe_load(plugin.patches["local-docker-compose-services"]).items()
    assert name == "lethe" and service["user"] == "1000" and service["environment"]["LETHE_CLIENT_SECRET"]
    [deployment] = [doc for doc in yaml.safe_load_all(plugin.patches["k8s-deployments"]) if doc]
    [volume] = [doc for doc in yaml.safe_load_all(plugin.patches["k8s-volumes"]) if doc]
    [config_map] = yaml.safe_load(plugin.patches["kustomization-configmapgenerator"])
    pod = deployment["spec"]["template"]
    assert deployment["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    [container], volumes = pod["spec"]["containers"], {v["name"]: v for v in pod["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == config_map["name"]
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == volume["metadata"]["name"]
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert service["command"].split() == container["args"]
    mounted = dict(mount.rsplit(":", 1 + mount.endswith(":ro"))[:2][::-1] for mount in service["volumes"])
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == set(mounted) == {"/etc/lethe", "/var/lib/lethe"}
    assert config_map["files"] == [mounted["/etc/lethe"].removeprefix("../") + "/config.yml"]


@pytest.mark.parametrize("more", [{}, {"CREDENTIALS_HOST": "credentials.example.com", "ENABLE_HTTPS": False}], ids=["alone", "credentials"])
def test_the_rendered_file_is_right(plugin, tmp_path, more):
    [root], [(folder, _)] = plugin.ENV_TEMPLATE_ROOTS, plugin.ENV_TEMPLATE_TARGETS
    if more:
        row = ["RETIRING_CREDENTIALS", "CREDENTIALS_COMPLETE", "CREDENTIALS", "retire_learner"]
        more["LETHE_PIPELINE"] = [*plugin.config["LETHE_PIPELINE"], row]
    with open(os.path.join(root, folder, "lethe", "config.yml"), encoding="utf-8") as f:
        text = plugin.render(f.read(), **more)
    site = Site(tmp_path)
    site.file = tmp_path / "config.yml"
    site.file.write_text(text.replace("/var/lib/lethe/data", str(tmp_path / "data")))
    told = site.lethe("config", "check", "--config", str(site.file), config=False,
                      env={"LETHE_CLIENT_SECRET": plugin.config["LETHE_OAUTH2_CLIENT_SECRET"]})
    assert told.code == 0 and f"{len(yaml.safe_load(text)['retirement_pipeline'])} stages" in told.out, told


def test_the_container_has_what_the_program_is_linked_with():
    with open(os.path.join(ROOT, "contrib", "container", "Dockerfile"), encoding="utf-8") as f:
        listed = set(re.findall(r"\blib[\w.-]+|zlib1g", f.read().split("--no-install-recommends", 1)[1].split("ca-certificates")[0]))
    needed = set(re.findall(r"NEEDED.*\[(.*?)\]", subprocess.run(["readelf", "-d", LETHE], capture_output=True, text=True, check=True).stdout))
    places = dict(re.findall(r"^\s*(\S+) .*=> (\S+)$", subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout, re.M)[::-1])
    owners = set()
    for library in needed - {"libasan.so.8", "libubsan.so.1", "libtsan.so.2"}:
        path = os.path.realpath(places[library])
        found = [subprocess.run(["dpkg", "-S", p], capture_output=True, text=True).stdout for p in (path, path.removeprefix("/usr"))]
        owners.add("".join(found).split(":")[0])
    assert owners - {"libc6"} <= listed, owners - listed
