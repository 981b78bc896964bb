"""prometheus_client's parser against the metrics of the example server.

    metrics_scraper.py ISSUER SEED

Arguments and output are those of authlib_client.py.
"""

import sys

import requests
from prometheus_client.parser import text_string_to_metric_families

from checks import check

COUNTERS = {
    "grantor_requests": {"endpoint", "outcome"},
    "grantor_token_requests": {"grant_type", "outcome"},
    "grantor_refusals": {"endpoint", "reason"},
    "grantor_audit_dropped_events": set(),
}
GAUGES = {"grantor_audit_queue_events": set(), "grantor_audit_writers": {"state"}}
HISTOGRAMS = {"grantor_request_seconds": {"endpoint"}, "grantor_step_seconds": {"step"}}


def main():
    issuer = sys.argv[1]
    for method in ["client_credentials", "refresh_token", "password"]:
        requests.post(issuer + "/oauth/token", data={"grant_type": method, "client_id": "x"}, timeout=120)
    answer = requests.get(issuer + "/metrics", timeout=120)
    check("the metrics have the type of the format", "version=0.0.4" in answer.headers["content-type"])
    families = list(text_string_to_metric_families(answer.text))
    by_name = {family.name: family for family in families}
    check("each family occurs once", len(by_name) == len(families))
    check("each family has a help", all(family.documentation for family in families))
    kinds = {"counter": COUNTERS, "gauge": GAUGES, "histogram": HISTOGRAMS}
    for kind, expected in kinds.items():
        found = {family.name for family in families if family.type == kind}
        check(f"the families of type {kind} are those in docs/http.md", found == set(expected))
    labels = {
        name: names | ({"le"} if kind == "histogram" else set())
        for kind, expected in kinds.items()
        for name, names in expected.items()
    }
    samples = [sample for family in families for sample in family.samples]
    check(
        "each sample has the labels of its family",
        all(set(sample.labels) <= labels[family.name] for family in families for sample in family.samples),
    )
    series = {(sample.name, frozenset(sample.labels.items())) for sample in samples}
    check("each series occurs once", len(series) == len(samples))
    refused = [
        sample.value
        for sample in by_name["grantor_refusals"].samples
        if sample.labels == {"endpoint": "token", "reason": "unsupported_grant_type"}
    ]
    check("a refusal is counted by its reason", refused == [1.0])
    print("all checks passed")


main()
