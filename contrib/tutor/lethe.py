# SPDX-License-Identifier: Apache-2.0
"""A plugin for Tutor: Lethe retires the users of the LMS, which stays the authority over who asked.

docs/tutor.md says how to put it into use. It gives the LMS the states of the stages, the user and the OAuth2 application of
the driver, and one more salt; and runs the driver beside the LMS, with Docker Compose and with Kubernetes. A test renders
all of it (tests/integration/test_tutor.py).
"""
import os

from tutor import hooks

# [working state, completed state, service, method], as in the file of the driver scripts. Enrolments come before all that
# renames the account, and the account comes once more behind the forum: docs/open-edx.md, "The order of stages".
PIPELINE = [
    ["RETIRING_ENROLLMENTS", "ENROLLMENTS_COMPLETE", "LMS", "retirement_unenroll"],
    ["RETIRING_LMS_MISC", "LMS_MISC_COMPLETE", "LMS", "retirement_lms_retire_misc"],
    ["RETIRING_LMS", "LMS_COMPLETE", "LMS", "retirement_lms_retire"],
    ["RETIRING_FORUMS", "FORUMS_COMPLETE", "LMS", "retirement_retire_forum"],
    ["RETIRING_ACCOUNT", "ACCOUNT_COMPLETE", "LMS", "retirement_lms_retire"],
]

hooks.Filters.CONFIG_DEFAULTS.add_items([
    ("LETHE_DOCKER_IMAGE", "lethe:0.1.0"),
    ("LETHE_USERNAME", "lethe_worker"),
    ("LETHE_OAUTH2_CLIENT_ID", "lethe"),
    ("LETHE_COOL_OFF_DAYS", 30),
    ("LETHE_FUSE_PEOPLE", 300),
    ("LETHE_PIPELINE", PIPELINE),
])
# Kept in Tutor's config.yml: the salt for ever, since retired names are recognised by it.
hooks.Filters.CONFIG_UNIQUE.add_items([
    ("LETHE_OAUTH2_CLIENT_SECRET", "{{ 32|random_string }}"),
    ("LETHE_RETIRED_USER_SALT", "{{ 32|random_string }}"),
])

hooks.Filters.ENV_TEMPLATE_ROOTS.add_item(os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates"))
hooks.Filters.ENV_TEMPLATE_TARGETS.add_item(("lethe/apps", "plugins"))

hooks.Filters.CLI_DO_INIT_TASKS.add_item(("lms", """
./manage.py lms manage_user {{ LETHE_USERNAME }} {{ LETHE_USERNAME }}@openedx --staff --unusable-password
./manage.py lms create_dot_application --grant-type client-credentials \\
    --client-id {{ LETHE_OAUTH2_CLIENT_ID }} --client-secret {{ LETHE_OAUTH2_CLIENT_SECRET }} \\
    --update lethe {{ LETHE_USERNAME }}
./manage.py lms populate_retirement_states
"""))

hooks.Filters.ENV_PATCHES.add_items([
    ("openedx-lms-common-settings", """
RETIREMENT_SERVICE_WORKER_USERNAME = "{{ LETHE_USERNAME }}"
USERNAME_REPLACEMENT_WORKER = "{{ LETHE_USERNAME }}"
RETIREMENT_STATES = [
    "PENDING",
{% for row in LETHE_PIPELINE %}    "{{ row[0] }}", "{{ row[1] }}",
{% endfor %}    "ERRORED", "ABORTED", "COMPLETE",
]
# The last salt is the one of new retirements; those before it recognise names that were retired earlier.
RETIRED_USER_SALTS = [*globals().get("RETIRED_USER_SALTS", []), "{{ LETHE_RETIRED_USER_SALT }}"]
"""),
    ("local-docker-compose-services", """
lethe:
  image: {{ LETHE_DOCKER_IMAGE }}
  command: drive --config /etc/lethe/config.yml
  user: "{{ HOST_USER_ID }}"
  restart: unless-stopped
  environment:
    LETHE_CLIENT_SECRET: "{{ LETHE_OAUTH2_CLIENT_SECRET }}"
  volumes:
    - ../plugins/lethe/apps/lethe:/etc/lethe:ro
    - ../../data/lethe:/var/lib/lethe
  depends_on:
    - lms
    - permissions
"""),
    ("local-docker-compose-permissions-command", "setowner {{ HOST_USER_ID }} /mounts/lethe"),
    ("local-docker-compose-permissions-volumes", "- ../../data/lethe:/mounts/lethe"),
    ("kustomization-configmapgenerator", """
- name: lethe-config
  files:
  - plugins/lethe/apps/lethe/config.yml
"""),
    ("k8s-volumes", """
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: lethe
  labels:
    app.kubernetes.io/component: volume
    app.kubernetes.io/name: lethe
spec:
  accessModes:
    - ReadWriteOnce
  resources:
    requests:
      storage: 1Gi
"""),
    # One driver at a time works with a data directory, so the old one ends before the new one starts.
    ("k8s-deployments", """
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: lethe
  labels:
    app.kubernetes.io/name: lethe
spec:
  replicas: 1
  strategy:
    type: Recreate
  selector:
    matchLabels:
      app.kubernetes.io/name: lethe
  template:
    metadata:
      labels:
        app.kubernetes.io/name: lethe
    spec:
      securityContext:
        runAsUser: 1000
        runAsGroup: 1000
        fsGroup: 1000
        fsGroupChangePolicy: "OnRootMismatch"
      containers:
        - name: lethe
          image: {{ LETHE_DOCKER_IMAGE }}
          args: ["drive", "--config", "/etc/lethe/config.yml"]
          env:
            - name: LETHE_CLIENT_SECRET
              value: "{{ LETHE_OAUTH2_CLIENT_SECRET }}"
          volumeMounts:
            - mountPath: /etc/lethe
              name: config
            - mountPath: /var/lib/lethe
              name: data
          securityContext:
            allowPrivilegeEscalation: false
      volumes:
        - name: config
          configMap:
            name: lethe-config
        - name: data
          persistentVolumeClaim:
            claimName: lethe
"""),
])
