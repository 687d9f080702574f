"""Whatever the answers, what is rendered is sound."""

import ast
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies

from backendctl.scaffold.accepted import AnswerError, Value, as_resource, singular_of
from backendctl.scaffold.questions import NEW_QUESTIONS, resolve
from backendctl.scaffold.render import Rendered, render_service
from backendctl.spec.load import read_spec
from backendctl.spec.model import Regime

LONGEST = "wildest_zebras_of_africas"[:24]


def answers(**given: object) -> dict[str, Value]:
    return resolve(NEW_QUESTIONS, {"name": "shop", **given}, use_defaults=True)[0]


LOAD = strategies.one_of(
    strategies.fixed_dictionaries({"peak_rps": strategies.integers(1, 100_000)}),
    strategies.fixed_dictionaries(
        {"peak_users": strategies.integers(1, 1_000_000), "think_time": strategies.just("1500ms")}
    ),
)
REST = strategies.fixed_dictionaries(
    {
        "name": strategies.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True),
        "resource": strategies.from_regex(r"[a-z]{2,12}(_[a-z]{1,10})?s", fullmatch=True),
        "p95": strategies.integers(1, 900).map(lambda ms: f"{ms}ms"),
        "p99": strategies.integers(900, 5000).map(lambda ms: f"{ms}ms"),
        "availability": strategies.integers(900, 999).map(lambda n: n / 1000),
        "team_size": strategies.integers(1, 500),
        "compliance": strategies.lists(strategies.sampled_from(list(Regime)), unique=True),
        "residency": strategies.sampled_from(["", "eu", "eu-central-1"]),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LOAD, REST)
def test_any_answers_give_valid_python_and_a_valid_spec(
    load: dict[str, object], rest: dict[str, object]
) -> None:
    try:
        as_resource(rest["resource"])
        as_resource(singular_of(str(rest["resource"])))
    except AnswerError:
        assume(False)
    rendered = render_service(answers(**load, **rest))
    for path, body in rendered.files.items():
        if path.suffix == ".py":
            ast.parse(body)
    for path, body in rendered.files.items():
        text = body.decode()
        assert not re.search(r"\{\{|\{%|%\}", text), f"{path} holds template marks"
        assert "__plural__" not in str(path)
    spec = rendered.files[PurePosixPath("backend.toml")].decode()
    assert len(spec.splitlines()) < 40
    read = read_spec(spec.encode(), "backend.toml")
    assert read.service.name == rest["name"]
    assert read.slo.p95 == int(str(rest["p95"]).removesuffix("ms")) / 1000
    assert read.compliance == set(rest["compliance"])  # type: ignore[call-overload]


def test_no_secret_and_no_registry_host_is_rendered() -> None:
    for path, body in render_service(answers()).files.items():
        assert not re.search(rb"https?://(?!127\.0\.0\.1)", body), f"{path} names a host"
        assert not re.search(rb"(?i)(password|secret|token)\s*=\s*['\"][^'\"]", body), path


@pytest.mark.parametrize("resource", ["items", "axs", LONGEST, "zebras", "people", "a_bs"])
def test_formatting_and_lint_do_not_depend_on_the_name(resource: str, tmp_path: Path) -> None:
    for path, body in render_service(answers(resource=resource)).files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(body)
    for arguments in (["format", "--check"], ["check"]):
        argv = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."]
        result = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_no_accepted_resource_collides_with_a_name_that_the_template_uses() -> None:
    plain = render_service(answers(resource="zebras"))
    paths = {str(path) for path in plain.files}
    modules = [bound_names(module) for module in own_files(plain, Rendered({}, 0)).values()]
    tried = 0
    for word in sorted(taken_words(plain)):
        for plural in (word, f"{word}s"):
            try:
                singular = as_resource(singular_of(as_resource(plural)))
            except AnswerError:
                continue
            tried += 1
            taken = {path.replace("zebras", plural) for path in paths if "zebra" in path} & paths
            assert not taken, f"{plural}: {taken} is there already"
            for names in modules:
                fixed = {name for name in names if "zebra" not in name.lower()}
                own = {renamed(name, plural, singular) for name in set(names) - fixed}
                assert not own & fixed, f"{plural} would bind {own & fixed} twice"
    assert tried > 50


def renamed(name: str, plural: str, singular: str) -> str:
    """A name made from "zebras", as it would be made from another resource."""
    pascal = "".join(part.capitalize() for part in singular.split("_"))
    return name.replace("zebras", plural).replace("zebra", singular).replace("Zebra", pascal)


def own_files(rendered: Rendered, plain: Rendered) -> dict[PurePosixPath, ast.Module]:
    """The modules in which the resource's name stands."""
    return {
        path: ast.parse(body)
        for path, body in rendered.files.items()
        if path.suffix == ".py" and plain.files.get(path) != body
    }


def taken_words(plain: Rendered) -> set[str]:
    """Every module's name, and every name that a module with the resource's name binds."""
    without = Rendered({}, 0)
    words = {path.stem for path in plain.files if path.suffix == ".py"}
    for module in own_files(plain, without).values():
        words |= set(bound_names(module))
    snake = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).lower().strip("_") for word in words}
    return {word for word in snake if "zebra" not in word and re.fullmatch("[a-z_]+", word)}


def bound_names(module: ast.Module) -> list[str]:
    """What a module binds at its top; and, where functions assemble, in them."""
    names = []
    for node in module.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [t.id for t in node.targets if isinstance(t, ast.Name)]
        if isinstance(node, ast.FunctionDef) and node.name == "create_app":
            stored = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
            names += {n.id for n in stored if isinstance(n.ctx, ast.Store)}
    return names
