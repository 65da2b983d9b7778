import pytest

from muybridge.evaluation import EVALUATORS, evaluate, find_evaluator, register_evaluator


def judge_boxes(*_arguments, **_options):
    """A fake that stands for what a later task brings."""


def test_video_classifiers_are_judged_by_evaluate_and_unknown_tasks_by_nothing():
    assert find_evaluator("video-classification") is evaluate
    assert find_evaluator("video-question-answering") is None


def test_a_task_that_is_registered_has_its_evaluator(monkeypatch):
    monkeypatch.setattr("muybridge.evaluation.evaluators.EVALUATORS", dict(EVALUATORS))
    register_evaluator("action-detection", f"{__name__}:judge_boxes")
    assert find_evaluator("action-detection").__doc__ == judge_boxes.__doc__
    with pytest.raises(ValueError, match="'action-detection' has an evaluator already"):
        register_evaluator("action-detection", "elsewhere:judge")
