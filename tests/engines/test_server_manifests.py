"""The servers that docs/sites.md starts: its Docker and Kubernetes files are what these programs read."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..helpers import PATIENCE, ROOT
from ..nats_servers import PROGRAM, needs_nats

yaml: Any = pytest.importorskip("yaml", reason="PyYAML is not installed: pip install -e '.[docs]'")

PAGE = (ROOT / "docs" / "sites.md").read_text(encoding="utf-8")
COMPOSE, MANIFESTS = (
    list(yaml.safe_load_all(block)) for block in re.findall(r"^```yaml\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)
)
PORTS = {"nats": 4222, "zenoh": 7447}


def of_kind(*kinds: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in MANIFESTS if each["kind"] in kinds}


def test_docker_starts_a_server_of_each_kind_at_the_port_that_programs_look_for() -> None:
    (document,) = COMPOSE
    services = document["services"]
    assert {name: f"{port}:{port}" in services[name]["ports"] for name, port in PORTS.items()} == {
        "nats": True,
        "zenoh": True,
    }
    volumes = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    assert volumes == set(document["volumes"])


def test_each_manifest_says_what_it_is_and_each_workload_selects_its_own_pods() -> None:
    assert all(set(each) >= {"apiVersion", "kind", "metadata"} for each in MANIFESTS)
    for workload in of_kind("StatefulSet", "Deployment", "DaemonSet").values():
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"] == labels
        pod = workload["spec"]["template"]["spec"]
        mounted = {mount["name"] for each in pod["containers"] for mount in each.get("volumeMounts", ())}
        claims = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
        assert mounted == claims | {volume["name"] for volume in pod.get("volumes", ())}


def test_each_service_leads_to_a_port_of_pods_that_there_are() -> None:
    for service in of_kind("Service").values():
        pods = [
            workload["spec"]["template"]
            for workload in of_kind("StatefulSet", "Deployment").values()
            if workload["spec"]["template"]["metadata"]["labels"] == service["spec"]["selector"]
        ]
        (pod,) = pods
        there = {port["containerPort"] for each in pod["spec"]["containers"] for port in each["ports"]}
        assert {port["port"] for port in service["spec"]["ports"]} <= there
    services = of_kind("Service")
    assert {name: services[name]["spec"]["ports"][0]["port"] for name in PORTS} == PORTS


@needs_nats
def test_a_server_takes_the_configuration_of_the_cluster(tmp_path: Path) -> None:
    text = of_kind("ConfigMap")["nats"]["data"]["nats.conf"]
    replicas = of_kind("StatefulSet")["nats"]["spec"]
    routes = re.findall(r"nats://(nats-\d)\.([\w-]+):6222", text)
    assert routes == [(f"nats-{number}", replicas["serviceName"]) for number in range(replicas["replicas"])]
    (tmp_path / "nats.conf").write_text(text)
    environment = {**os.environ, "POD_NAME": "nats-0"}
    command = [str(PROGRAM), "-t", "-c", str(tmp_path / "nats.conf")]
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert checked.returncode == 0, checked.stderr
