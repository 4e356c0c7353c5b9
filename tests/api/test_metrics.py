"""Metrics count decisions, anomalies and the models in use."""

from __future__ import annotations

from api.metrics import Metrics


def test_metrics_tell_decisions_by_effect_and_reason() -> None:
    metrics = Metrics()
    metrics.decided("gift_send", "deny", ("DAILY_CAP", "NOT_TWO_WAY_FRIENDS"))
    metrics.decided("gift_send", "deny", ("DAILY_CAP",))
    metrics.decided("gift_send", "allow")
    metrics.anomaly("not_drained")
    text = metrics.render().decode()
    counted = 'lishang_decisions_total{decision="gift_send",effect='
    assert f'{counted}"deny",reason="DAILY_CAP"}} 2.0' in text
    assert f'{counted}"deny",reason="NOT_TWO_WAY_FRIENDS"}} 1.0' in text
    assert f'{counted}"allow",reason="none"}} 1.0' in text
    assert 'lishang_policy_anomalies_total{kind="not_drained"} 1.0' in text


def test_metrics_show_one_version_of_a_model_in_use() -> None:
    metrics = Metrics()
    metrics.model_in_use("ties", "1")
    metrics.model_in_use("ties", "2")
    metrics.model_in_use("gifts", "7")
    text = metrics.render().decode()
    assert 'lishang_model_in_use{model="ties",version="1"} 0.0' in text
    assert 'lishang_model_in_use{model="ties",version="2"} 1.0' in text
    assert 'lishang_model_in_use{model="gifts",version="7"} 1.0' in text


def test_metrics_count_retired_engines_once_each_and_never_back() -> None:
    metrics, retired = Metrics(), [0]
    metrics.follow_retired_engines(lambda: retired[0])
    for told, expected in ((0, 0), (2, 2), (2, 2), (1, 2), (3, 3)):
        retired[0] = told
        metrics.count_retired_engines()
        text = metrics.render().decode()
        assert f"lishang_policy_engines_retired_total {expected}.0" in text


def test_metrics_of_two_applications_are_apart() -> None:
    one, other = Metrics(), Metrics()
    one.anomaly("x")
    assert "anomalies_total{" not in other.render().decode()
