"""From the files of a tree to how its dependencies are installed."""

import json
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.local.installers import settings
from backendctl.platforms.local.recipes import Language, Recipe, recognise

UVICORN = ("uvicorn", "main:app")


def tree_of(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def recipe_of(folder: Path, files: dict[str, str], start: tuple[str, ...] = UVICORN) -> Recipe:
    found = recognise(tree_of(folder, files), start, ())
    assert found is not None
    return found


def words(recipe: Recipe) -> str:
    return " && ".join(" ".join(step) for step in recipe.steps)


def test_a_tree_without_dependencies_has_no_environment(tmp_path: Path) -> None:
    assert recognise(tree_of(tmp_path, {"server": "x"}), ("./server",), ()) is None


def test_a_pyproject_that_only_configures_tools_asks_for_nothing(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"pyproject.toml": "[tool.ruff]\nline-length = 90\n"})
    assert recognise(tree, UVICORN, ()) is None


def test_requirements_with_all_they_include_decide(tmp_path: Path) -> None:
    recipe = recipe_of(
        tmp_path,
        {
            "requirements.txt": "-r deps/base.txt\n-c limits.txt\nfastapi  # web\n",
            "deps/base.txt": "-r more.txt\nhttpx==0.28.1 --hash=sha256:aa\n",
            "deps/more.txt": "",
            "limits.txt": "anyio<5",
            "requirements-dev.txt": "pytest",
        },
    )
    assert recipe.language is Language.PYTHON
    assert recipe.inputs == ("deps/base.txt", "deps/more.txt", "limits.txt", "requirements.txt")
    assert not recipe.whole
    assert words(recipe).endswith("-r requirements.txt")


@pytest.mark.parametrize(
    "line", ["-e .", "--editable ./lib", ".", "./lib", "x @ file:lib", "lib/x.whl", ".[extra]"]
)
def test_requirements_from_the_tree_itself_tie_the_environment_to_the_code(
    tmp_path: Path, line: str
) -> None:
    assert recipe_of(tmp_path, {"requirements.txt": f"fastapi\n{line}\n"}).whole


@pytest.mark.parametrize(
    "line", ["fastapi", "x @ https://example.invalid/x.whl", "--index-url https://e.invalid/"]
)
def test_requirements_from_elsewhere_are_shared(tmp_path: Path, line: str) -> None:
    assert not recipe_of(tmp_path, {"requirements.txt": line}).whole


def test_an_included_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendctlError) as caught:
        recipe_of(tmp_path, {"requirements.txt": "-r base.txt"})
    assert "base.txt" in caught.value.cause


def test_a_uv_lock_is_shared_unless_the_project_is_a_package(tmp_path: Path) -> None:
    project = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\n'
    lock = '[[package]]\nname = "shop"\nsource = { virtual = "." }\n'
    files = {"pyproject.toml": project, "uv.lock": lock, "requirements.txt": "x"}
    recipe = recipe_of(tmp_path, files)
    assert (recipe.source, recipe.whole, recipe.inputs) == ("uv.lock", False, ("uv.lock",))
    assert recipe.python == ">=3.11"
    assert "--no-install-project" in words(recipe)
    packaged = recipe_of(
        tmp_path, {**files, "pyproject.toml": f"{project}[build-system]\nrequires = []\n"}
    )
    assert packaged.whole


def test_a_project_to_be_built_ties_the_environment_to_the_code(tmp_path: Path) -> None:
    project = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["fastapi"]\n'
    assert not recipe_of(tmp_path, {"pyproject.toml": project}).whole
    built = f'{project}[build-system]\nrequires = ["hatchling"]\n'
    assert recipe_of(tmp_path, {"pyproject.toml": built}).whole


def test_poetry_is_read_without_poetry(tmp_path: Path) -> None:
    recipe = recipe_of(
        tmp_path,
        {
            "pyproject.toml": "[tool.poetry.dependencies]\npython = '^3.11'\nfastapi = '^0.1'\n"
            "uvicorn = {version = '*', extras = ['standard']}\nextra = {version='1',optional=true}",
            "poetry.lock": "[[package]]\nname = 'fastapi'\nversion = '0.1.2'\n"
            "[[package]]\nname = 'two'\nversion = '1'\n[[package]]\nname = 'two'\nversion = '2'\n",
        },
    )
    assert recipe.generated["requirements.txt"].split() == ["fastapi", "uvicorn[standard]"]
    assert recipe.generated["constraints.txt"].split() == ["fastapi==0.1.2"]


def test_a_poetry_dependency_from_elsewhere_asks_for_an_install_command(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": "[tool.poetry.dependencies]\nlib = {path = '../lib'}\n",
        "poetry.lock": "",
    }
    with pytest.raises(BackendctlError, match=r"poetry\.lock") as caught:
        recipe_of(tmp_path, files)
    assert "install = " in caught.value.next[0]


def test_the_wanted_python_comes_from_the_file_for_it(tmp_path: Path) -> None:
    files = {"requirements.txt": "x", ".python-version": "# pin\n3.12\n"}
    assert recipe_of(tmp_path, files).python == "3.12"


def node(**package: object) -> dict[str, str]:
    return {"package.json": json.dumps(package), "package-lock.json": "{}"}


def test_a_node_project_installs_from_its_lock(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, node(dependencies={"express": "^4"}), ("node", "server.js"))
    assert recipe.language is Language.NODE
    assert words(recipe) == "npm ci --no-audit --no-fund --omit=dev"
    assert recipe.inputs == ("package.json", "package-lock.json")
    assert not recipe.whole


def test_a_node_project_without_a_lock_is_installed_all_the_same(tmp_path: Path) -> None:
    files = {"package.json": "{}"}
    assert words(recipe_of(tmp_path, files, ("node", "x"))).startswith("npm install ")


@pytest.mark.parametrize(
    "package",
    [
        {"scripts": {"build": "tsc"}},
        {"scripts": {"postinstall": "prisma generate"}},
        {"workspaces": ["a"]},
        {"dependencies": {"lib": "file:../lib"}},
    ],
    ids=["build", "lifecycle", "workspaces", "local"],
)
def test_a_node_project_that_builds_from_its_code_is_tied_to_it(
    tmp_path: Path, package: dict[str, object]
) -> None:
    recipe = recipe_of(tmp_path, node(**package), ("npm", "start"))
    assert recipe.whole
    assert words(recipe).endswith("npm run build") == ("build" in package.get("scripts", {}))


def test_another_package_managers_lock_asks_for_an_install_command(tmp_path: Path) -> None:
    with pytest.raises(BackendctlError) as caught:
        recipe_of(tmp_path, {"package.json": "{}", "yarn.lock": ""}, ("node", "x"))
    assert "yarn install" in caught.value.next[0]


def test_where_a_tree_is_both_the_start_command_decides(tmp_path: Path) -> None:
    files = {**node(), "requirements.txt": "django"}
    assert recipe_of(tmp_path, files, ("gunicorn", "x")).language is Language.PYTHON
    assert recipe_of(tmp_path, files, ("npm", "start")).language is Language.NODE


def test_the_install_command_has_the_last_word(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"requirements.txt": "x"})
    recipe = recognise(tree, UVICORN, ("make", "deps"))
    assert recipe is not None
    assert (recipe.steps, recipe.whole, recipe.language) == (
        (("make", "deps"),),
        True,
        Language.PYTHON,
    )


@pytest.mark.parametrize(
    "files", [{"pyproject.toml": "[project"}, {"package.json": "{"}, {"package.json": "[]"}]
)
def test_a_broken_file_is_named(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(BackendctlError) as caught:
        recipe_of(tmp_path, files)
    assert caught.value.code == "release.package"
    assert next(iter(files)) in caught.value.message


def test_settings_for_pip_hold_for_uv_where_it_has_none() -> None:
    found = settings(
        {
            "PIP_INDEX_URL": "https://a.invalid",
            "PIP_FIND_LINKS": "/one /two",
            "PIP_CERT": "/ca.pem",
            "PIP_EXTRA_INDEX_URL": "https://b.invalid",
            "UV_EXTRA_INDEX_URL": "https://c.invalid",
            "VIRTUAL_ENV": "/mine",
            "HOME": "/home/ana",
        }
    )
    assert found["UV_DEFAULT_INDEX"] == "https://a.invalid"
    assert found["UV_FIND_LINKS"] == "/one,/two"
    assert found["SSL_CERT_FILE"] == "/ca.pem"
    assert "UV_INDEX" not in found
    assert "VIRTUAL_ENV" not in found
    assert found["HOME"] == "/home/ana"
    assert settings({"PIP_CERT": "/a", "SSL_CERT_FILE": "/b"})["SSL_CERT_FILE"] == "/b"
