"""The files of deploy/: what they name exists, and what belongs together agrees. tests/outside/test_prometheus.py loads them by real programs."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.telemetry import METRICS, Kind
from tests.pages import page
from tests.unit.test_docs import commands

yaml = pytest.importorskip("yaml")

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCUMENT = page("metrics.md").read_text()
ALERTS: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"]
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text())
KUBERNETES: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
SAMPLES = {metric.name for metric in METRICS} | {
    f"{metric.name}_{suffix}" for metric in METRICS if metric.kind is Kind.histogram for suffix in ("bucket", "sum", "count")
}
LABELS = {label for metric in METRICS for label in metric.labels} | {"queue", "instance", "le"}


def panels() -> Iterator[dict[str, Any]]:
    yield from (panel for panel in BOARD["panels"] if panel["type"] != "row")


def queries() -> dict[str, str]:
    """Every query of the dashboard, the alerts and the scaling, by what it is for."""
    found = {f"{panel['title']} {target['refId']}": target["expr"] for panel in panels() for target in panel["targets"]}
    found |= {alert["alert"]: alert["expr"] for alert in ALERTS}
    return found | {"scaling": KUBERNETES["ScaledObject"]["spec"]["triggers"][0]["metadata"]["query"]}


@pytest.mark.parametrize("name", queries())
def test_a_query_names_metrics_and_labels_that_there_are(name: str) -> None:
    query = queries()[name]
    metrics = set(re.findall(r"\brunner_\w+", query))
    labels = {word.strip() for words in re.findall(r"by \(([^)]*)\)", query) for word in words.split(",")}
    labels |= {label for selectors in re.findall(r"\{([^}]*)\}", query) for label in re.findall(r"(\w+)(?==|!=|!~|=~)", selectors)}

    assert metrics
    assert metrics - SAMPLES == set()
    assert labels - LABELS == set()


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for panel in panels() for target in panel["targets"] for name in re.findall(r"\brunner_\w+", target["expr"])}

    assert [metric.name for metric in METRICS if not any(name.startswith(metric.name) for name in shown)] == ["runner_slots"]


def test_panels_have_numbers_of_their_own_titles_and_what_they_mean() -> None:
    assert [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"] == ["At a glance", "Limits", "Jobs", "Workers", "Redis"]
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    document, _, anchor = alert["annotations"]["runbook"].partition("#")
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).strip().replace(" ", "-"): line
        for line in re.findall(r"^#+ (.*)$", DOCUMENT, re.MULTILINE)
    }

    assert document == "docs/reference/metrics.md"
    assert anchor in headings
    section = DOCUMENT.partition(f"### {headings[anchor]}\n")[2].partition("\n#")[0]
    assert f"`{alert['alert']}`" in section
    assert alert["labels"]["severity"] in ("critical", "warning")


def test_every_alert_has_a_test() -> None:
    tested = yaml.safe_load((DEPLOY / "alerts_test.yml").read_text())["tests"]
    fired = {rule["alertname"] for test in tested for rule in test["alert_rule_test"] if rule.get("exp_alerts")}

    assert fired == {alert["alert"] for alert in ALERTS}


def options() -> dict[str, str]:
    """What the container's worker is started with."""
    command, *words = container()["args"]
    assert command == "worker"
    return dict(word.partition("=")[::2] for word in words)


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = KUBERNETES["Deployment"]["spec"]["template"]
    return spec


def container() -> dict[str, Any]:
    (only,) = pod()["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def test_the_options_of_the_container_exist() -> None:
    assert options().keys() - commands()["worker"] == set()


def test_ports_and_paths_agree() -> None:
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}

    assert ports == {"metrics": int(options()["--metrics-port"]), "health": int(options()["--health-port"])}
    assert options()["--metrics-host"] == options()["--health-host"] == "0.0.0.0"
    assert pod()["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
    probes = {name: container()[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in probes.values()} == {"health"}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/readyz", "livenessProbe": "/healthz", "readinessProbe": "/readyz",
    }  # fmt: skip


def test_a_worker_has_the_time_to_drain_before_it_is_killed() -> None:
    before = int(container()["lifecycle"]["preStop"]["exec"]["command"][1])

    assert pod()["spec"]["terminationGracePeriodSeconds"] > before + float(options()["--drain"]) + 10


def test_what_selects_the_pods_is_what_they_have() -> None:
    labels = pod()["metadata"]["labels"]

    assert KUBERNETES["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert KUBERNETES["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert KUBERNETES["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == KUBERNETES["Deployment"]["metadata"]["name"]
