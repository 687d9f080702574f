"""Answers: given, asked for, or assumed; never guessed in silence."""

import pytest
from hypothesis import given, settings, strategies

from backendctl.errors import BackendctlError
from backendctl.scaffold.accepted import AnswerError, as_name, as_resource, singular_of, slug
from backendctl.scaffold.questions import (
    INIT_QUESTIONS,
    NEW_QUESTIONS,
    Question,
    defaults_of,
    resolve,
)


def refused(**given: object) -> BackendctlError:
    with pytest.raises(BackendctlError) as raised:
        resolve(NEW_QUESTIONS, given, use_defaults=True)
    assert raised.value.code == "scaffold.answer"
    return raised.value


def test_with_yes_every_default_is_taken_and_listed() -> None:
    answers, assumed = resolve(NEW_QUESTIONS, {"name": "shop", "p95": "200ms"}, use_defaults=True)
    assert answers["p95"] == 0.2
    assert answers["resource"] == "items"
    assert answers["singular"] == "item"
    assert answers["peak_rps"] == 200
    assert "peak_users" not in answers
    assert set(assumed) == {
        "resource", "peak_rps", "p99", "availability", "team_size", "compliance", "residency",
    }  # fmt: skip


def test_users_and_think_time_stand_in_for_a_rate() -> None:
    answers, assumed = resolve(
        NEW_QUESTIONS, {"name": "shop", "peak_users": "5k"}, use_defaults=True
    )
    assert answers["peak_users"] == 5000
    assert answers["think_time"] == 7.0
    assert "peak_rps" not in answers
    assert "think_time" in assumed


def test_without_a_terminal_and_without_yes_everything_missing_is_named() -> None:
    with pytest.raises(BackendctlError) as raised:
        resolve(NEW_QUESTIONS, {"name": "shop", "p95": "200ms"})
    assert raised.value.code == "scaffold.answer"
    assert "peak_rps" in raised.value.message
    assert "p95" not in raised.value.message
    assert any("--yes" in line for line in raised.value.next)


def test_a_person_is_asked_each_open_question_once_in_order() -> None:
    asked: list[str] = []

    def ask(question: Question, default: str) -> object:
        asked.append(question.key)
        return default

    answers, assumed = resolve(NEW_QUESTIONS, {"name": "shop", "p99": "2s"}, ask=ask)
    assert asked == ["resource", "peak_users", "peak_rps", "p95", "availability", "team_size",
                     "compliance", "residency"]  # fmt: skip
    assert not assumed
    assert answers["p99"] == 2.0


def test_a_misspelt_key_or_regime_gets_a_suggestion_and_its_place() -> None:
    error = refused(complience="gdpr")
    assert "did you mean 'compliance'?" in error.message
    assert "did you mean 'hipaa'?" in refused(compliance="hippa").message
    with pytest.raises(BackendctlError, match=r"answers\.toml:3 p9"):
        resolve(NEW_QUESTIONS, {"p9": 1}, where={"p9": "answers.toml:3"}, use_defaults=True)


def test_all_wrong_answers_are_told_at_once() -> None:
    error = refused(p95="fast", availability="nearly always")
    assert "p95" in error.message
    assert "availability" in error.cause


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("p95", 300),
        ("p95", "0s"),
        ("availability", "100%"),
        ("availability", "101%"),
        ("peak_rps", 0),
        ("peak_rps", "lots"),
        ("team_size", "2.5"),
        ("name", "Shop Front"),
        ("name", "-shop"),
        ("name", "x" * 41),
        ("resource", "class"),
        ("resource", "pages"),
        ("resource", "Items; drop table"),
        ("residency", "../../etc"),
    ],
)
def test_what_is_not_accepted_is_refused(key: str, written: object) -> None:
    assert key in refused(**{key: written}).message


def test_defaults_fit_what_was_given() -> None:
    answers, _ = resolve(NEW_QUESTIONS, {"name": "a", "p99": "100ms"}, use_defaults=True)
    assert answers["p95"] == 0.03
    answers, _ = resolve(NEW_QUESTIONS, {"name": "a", "p95": "3s"}, use_defaults=True)
    assert answers["p99"] == 10.0


def test_what_is_shown_can_be_given_again() -> None:
    first, _ = resolve(
        NEW_QUESTIONS,
        {"name": "shop", "compliance": ["gdpr", "pci_dss"], "peak_users": 700},
        use_defaults=True,
    )
    shown = {q.key: q.show(first[q.key]) for q in NEW_QUESTIONS if q.key in first}
    again, assumed = resolve(NEW_QUESTIONS, shown)
    assert again == first
    assert not assumed


@settings(deadline=None)
@given(strategies.text(max_size=60))
def test_a_slug_is_a_name_or_empty(text: str) -> None:
    found = slug(text)
    assert found == "" or as_name(found) == found


@settings(deadline=None)
@given(strategies.from_regex(r"[a-z]{2,10}(_[a-z]{2,8})?", fullmatch=True))
def test_a_resource_is_taken_as_it_is_or_refused_by_name(text: str) -> None:
    try:
        found = as_resource(text)
    except AnswerError as error:
        found = str(error).partition("'")[2].partition("'")[0]
    assert found == text


@pytest.mark.parametrize(
    ("plural", "singular"),
    [("items", "item"), ("categories", "category"), ("boxes", "box"), ("addresses", "address"),
     ("branches", "branch"), ("dishes", "dish"), ("houses", "house"), ("people", "people"),
     ("line_items", "line_item"), ("glass", "glass")],
)  # fmt: skip
def test_singulars_of_regular_plurals(plural: str, singular: str) -> None:
    assert singular_of(plural) == singular


def test_init_asks_no_more_than_a_repository_cannot_show() -> None:
    asked = {q.key for q in INIT_QUESTIONS if q.asked}
    assert asked == {q.key for q in NEW_QUESTIONS if q.asked} - {"resource"}


@pytest.mark.parametrize("question", {q.key: q for q in (*NEW_QUESTIONS, *INIT_QUESTIONS)}.values())
def test_what_a_question_says_it_accepts_is_what_its_refusal_says(question: Question) -> None:
    with pytest.raises(AnswerError) as refused:
        question.parse("no ' such")
    words = question.accepted if ", " not in question.accepted else question.accepted.split(", ")[0]
    assert any(word in str(refused.value) for word in words.split() if len(word) > 3)


def test_every_question_has_a_default_to_show_and_it_is_accepted() -> None:
    for questions in (NEW_QUESTIONS, INIT_QUESTIONS):
        shown = defaults_of(questions)
        assert list(shown) == [q.key for q in questions]
        for question in questions:
            question.parse(shown[question.key])


@pytest.mark.parametrize(
    ("text", "name"),
    [("shop2", "shop2"), ("api-v2", "api-v2"), ("2nd Shop!", "nd-shop"), ("-x-", "x"), ("42", "")],
)
def test_a_name_made_of_a_folder_keeps_its_number(text: str, name: str) -> None:
    assert slug(text) == name
