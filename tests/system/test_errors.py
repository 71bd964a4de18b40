"""Errors carry their meaning: typed attributes, what they say of the worker and of a retry, and copies that keep both."""

from __future__ import annotations

import copy
import pickle

import pytest

import lean_worker as lw
from error_table import attributes_of, in_order

CLASSES = [kind for kind, _ in in_order()]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_copy_says_the_same(kind):
    facts = {name: f"<{name}>" for base in kind.__mro__ for name in attributes_of(base)}
    facts |= {"entered_worker": False, "undeclared": [1]}
    error = kind("it failed", hint="Do this.", **facts)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(other), str(other), dict(other.facts)) == (kind, str(error), facts)
        assert (other.retry, other.ends_worker, other.by_request) == (error.retry, error.ends_worker, error.by_request)
        for name, value in facts.items():
            assert getattr(other, name) == value
    assert "it failed" in error._repr_html_()


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_what_is_not_known_is_empty_and_what_is_unheard_of_is_refused(kind):
    error = kind("it failed")
    assert dict(error.facts) == {}
    for base in kind.__mro__:
        for name in attributes_of(base):
            assert not getattr(error, name), name
    with pytest.raises(AttributeError, match="no_such_fact"):
        _ = error.no_such_fact


def test_a_later_fact_does_not_replace_one_that_stands():
    error = lw.ChildExited("it ended", exit_code=None, rows_delivered=3)
    assert error.retry == "if idempotent"
    error.add_facts(exit_code=1, rows_delivered=4, entered_worker=False, generation=2)
    assert (error.exit_code, error.rows_delivered, error.generation, error.retry) == (None, 3, 2, "safe")


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        (lw.errors.PoolFull("x"), "safe"),
        (lw.errors.RestartLimitExceeded("x"), "safe"),
        (lw.ChildExited("x"), "if idempotent"),
        (lw.ChildExited("x", entered_worker=True), "if idempotent"),
        (lw.errors.StaleLease("x", entered_worker=False), "safe"),
        (lw.errors.UnexpectedMessage("x"), "no"),
        (lw.errors.UnexpectedMessage("x", entered_worker=False), "safe"),
        (lw.Cancelled("x", entered_worker=False), "no"),
        (lw.errors.PoisonRequest("x", entered_worker=False), "no"),
        (lw.errors.SequenceGap("x", entered_worker=False), "no"),
    ],
)
def test_a_retry_is_safe_where_nothing_ran(error, retry):
    assert error.retry == retry


def test_only_a_value_that_cannot_be_stored_is_the_fault_of_a_request():
    assert not lw.SinkError("disk full").by_request
    assert lw.SinkError("too large", column="v").by_request
    assert lw.CommandFailed("no").by_request
    assert not lw.errors.UnknownCommand("no").by_request


def test_a_report_names_the_module_that_was_refused():
    refused = lw.errors.ModuleRefused("x", reason="damaged", module="A.B", file="/a/B.olean")
    assert (refused.report_code, refused.report_subject) == ("module_damaged", "A.B")
    assert lw.errors.ModuleRefused("x", reason="needs_init").report_code == "script_needs_init"
    other = lw.errors.ModuleRefused("x", file="/a/B.olean")
    assert (other.report_code, other.report_subject) == ("cannot_be_hosted", "/a/B.olean")


def test_only_a_refusal_by_a_rule_of_the_pool_leaves_the_workers_blameless():
    assert {kind.__name__ for kind in CLASSES if kind.by_pool} == {
        *("AdmissionError", "PoolFull", "QueueTimeout", "MemoryBudgetExceeded", "RestartLimitExceeded"),
    }
    assert [kind for kind in CLASSES if kind.is_late] == [lw.RequestTimeout]
    assert [kind for kind in CLASSES if kind.by_node] == [lw.errors.NodeLost]


def test_a_closed_pool_says_so_to_those_who_wait_for_it():
    pool = lw.Pool(max_workers=1)
    pool.close()
    with pytest.raises(lw.UsageError) as caught:
        pool.lease(lw.PythonCapability("builtins:dir"))
    assert caught.value.pool_is_closed and caught.value.concerns_all
