# ruff: noqa: E501 - repositories in a few lines
"""Tiny repositories, and what is recognised in them, from which file and line."""

from pathlib import Path

import pytest

from backendctl.scaffold.recognise.detect import recognise
from tests.unit.scaffold.recognise_cases import APP, UVICORN, Tree, recognised, remarks, repository

# --- FastAPI ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "target"),
    [
        ({"main.py": APP}, "main:app"),
        ({"main.py": "import fastapi\napi = fastapi.FastAPI()\n"}, "main:api"),
        ({"main.py": "from fastapi import FastAPI as F\napp: F = F()\n"}, "main:app"),
        ({"app/__init__.py": "", "app/main.py": APP}, "app.main:app"),
        ({"app/main.py": f"from app.db import x\n{APP}", "app/db.py": "x = 1"}, "app.main:app"),
        ({"app/__init__.py": APP}, "app:app"),
        ({"src/shop/__init__.py": "", "src/shop/web.py": APP}, "shop.web:app --app-dir src"),
        ({"backend/main.py": APP}, "main:app --app-dir backend"),
        (
            {"main.py": "from fastapi import FastAPI\ndef make(debug=False):\n"
             "    application = FastAPI()\n    return application\n"},
            "--factory main:make",
        ),
        ({"main.py": "import fastapi\ndef make():\n    return fastapi.FastAPI()\n"},
         "--factory main:make"),
        (
            {"app/__init__.py": "", "app/factory.py": "from fastapi import FastAPI\n"
             "def create_app():\n    app = FastAPI()\n    return app\n",
             "app/main.py": "from app.factory import create_app\napp = create_app()\n"},
            "app.main:app",
        ),
        ({"other.py": APP, "main.py": APP}, "main:app"),
        ({"tests/main.py": APP, "deep/er/server.py": APP}, "server:app --app-dir deep/er"),
    ],
)  # fmt: skip
def test_the_application_is_found_wherever_it_is(tree: Tree, target: str, tmp_path: Path) -> None:
    found = recognised(tmp_path, tree)
    assert found.kind.value == "fastapi"
    words, _, app_dir = target.partition(" --app-dir ")
    tail = f" --app-dir {app_dir} {UVICORN}" if app_dir else f" {UVICORN}"
    assert found.start.value == f"uvicorn {words}{tail}"


def test_a_factory_that_needs_an_argument_is_no_application(tmp_path: Path) -> None:
    text = "from fastapi import FastAPI\ndef make(config):\n    return FastAPI()\n"
    assert recognise(repository(tmp_path, {"main.py": text})) is None


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        (f"{APP}@app.get('/healthz')\ndef a(): ...\n@app.get('/ready')\ndef b(): ...\n", "/ready", 6),
        (f"{APP}@app.get('/users/{{id}}/health')\ndef a(): ...\n@app.get('/')\ndef b(): ...\n", "/", 6),
        (f"{APP}@app.post('/health')\ndef a(): ...\n", "/openapi.json", 3),
        ("from fastapi import FastAPI\napp = FastAPI(openapi_url=None)\n", "/", 0),
    ],
)  # fmt: skip
def test_the_readiness_path_is_the_likeliest_route(
    text: str, path: str, line: int, tmp_path: Path
) -> None:
    found = recognised(tmp_path, {"main.py": text})
    assert (found.ready.value, found.ready.line) == (path, line)


def test_a_poetry_project_has_its_own_name(tmp_path: Path) -> None:
    tree = {"src/billing/__init__.py": "", "src/billing/main.py": APP, "poetry.lock": "",
            "pyproject.toml": '[tool.poetry]\nname = "billing"\n'}  # fmt: skip
    found = recognised(tmp_path, tree)
    assert found.name is not None
    assert (found.name.value, found.name.place) == ("billing", "pyproject.toml:2")
    assert found.start.value == f"uvicorn billing.main:app --app-dir src {UVICORN}"
    assert found.install is None


def test_requirements_in_a_folder_are_installed_by_their_path(tmp_path: Path) -> None:
    found = recognised(tmp_path, {"backend/main.py": APP, "backend/requirements.txt": "fastapi\n"})
    assert found.install is not None
    assert found.install.value == "pip install -r backend/requirements.txt"


def test_a_pipfile_alone_is_said_to_install_nothing(tmp_path: Path) -> None:
    found = recognised(tmp_path, {"main.py": APP, "Pipfile": "[packages]\nfastapi = '*'\n"})
    assert "Pipfile:1 nothing installs from a Pipfile" in remarks(found)


def test_what_is_installed_without_being_told_is_what_the_platform_says() -> None:
    from backendctl.platforms.local.recipes import REQUIREMENTS
    from backendctl.scaffold.recognise.python_dependencies import INSTALLED

    assert set(REQUIREMENTS) < set(INSTALLED)


def test_prefixes_of_routers_are_followed(tmp_path: Path) -> None:
    found = recognised(tmp_path, {
        "main.py": "from fastapi import FastAPI\nfrom api import checks\nfrom api.v1 import router as v1\n"
        "app = FastAPI()\napp.include_router(checks.router, prefix='/internal')\n"
        "app.include_router(v1, prefix='/v1')\n",
        "api/__init__.py": "", "api/checks.py": "from fastapi import APIRouter\n"
        "router = APIRouter(prefix='/checks')\n@router.get('/live')\nasync def a(): ...\n",
        "api/v1.py": "from fastapi import APIRouter\nrouter = APIRouter()\n"
        "@router.get('/health')\nasync def a(): ...\n",
    })  # fmt: skip
    assert found.ready.value == "/v1/health"
    assert found.live.value == "/internal/checks/live"
    assert found.ready.place == "api/v1.py:3"


def test_the_openapi_path_is_read_and_its_absence_too(tmp_path: Path) -> None:
    text = "from fastapi import FastAPI\napp = FastAPI(openapi_url='/docs/api.json')\n"
    found = recognised(tmp_path / "a", {"main.py": text})
    assert found.openapi is not None
    assert found.openapi.value == "/docs/api.json"
    text = "from fastapi import FastAPI\napp = FastAPI(openapi_url=None)\n"
    assert recognised(tmp_path / "b", {"main.py": text}).openapi is None


@pytest.mark.parametrize(
    ("tree", "database", "cache"),
    [
        ({"requirements.txt": "fastapi==0.1\npsycopg[binary]==3\nredis>=5\n"}, 2, 3),
        ({"requirements.txt": "# psycopg\nfastapi\n"}, None, None),
        ({"requirements-dev.txt": "asyncpg\n"}, None, None),
        ({"requirements/base.txt": "Asyncpg==1\nvalkey==6\n"}, 1, 2),
        ({"pyproject.toml": '[project]\nname = "x"\ndependencies = [\n "asyncpg>=0.30",\n]\n'}, 4, None),
        ({"pyproject.toml": '[tool.poetry.dependencies]\npsycopg2-binary = "^2"\nredis = "*"\n'}, 2, 3),
        ({"Pipfile": '[packages]\n"psycopg2" = "*"\n'}, 2, None),
    ],
)  # fmt: skip
def test_database_and_cache_come_from_the_dependencies(
    tree: Tree, database: int | None, cache: int | None, tmp_path: Path
) -> None:
    found = recognised(tmp_path, {"main.py": APP, **tree})
    assert (found.database.line if found.database else None) == database
    assert (found.cache.line if found.cache else None) == cache


def test_alembic_is_the_migration_even_in_a_folder(tmp_path: Path) -> None:
    found = recognised(tmp_path, {"main.py": APP, "db/alembic.ini": "[alembic]\n"})
    assert found.migrate is not None
    assert found.migrate.value == "alembic --config db/alembic.ini upgrade head"


@pytest.mark.parametrize(
    ("requirement", "said"),
    [("fastapi==1", True), ("fastapi[standard]", False), ("fastapi\nuvicorn", False)],
)
def test_a_server_that_is_not_installed_is_said(
    requirement: str, said: bool, tmp_path: Path
) -> None:
    found = recognised(tmp_path, {"main.py": APP, "requirements.txt": requirement})
    assert ("requirements.txt uvicorn" in remarks(found)) is said


# --- Django -----------------------------------------------------------------------------------

MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
DJANGO = {
    "manage.py": MANAGE,
    "shop/__init__.py": "",
    "shop/settings.py": "import dj_database_url\nALLOWED_HOSTS = ['*']\nDATABASES = {}\n",
    "shop/urls.py": "from django.urls import include, path\nurlpatterns = [\n"
    " path('admin/', admin.site.urls),\n path('api/', include('books.urls')),\n]\n",
    "shop/wsgi.py": "\napplication = 1\n",
    "shop/asgi.py": "application = 1\n",
    "books/urls.py": "from django.urls import path\nurlpatterns = [path('books', v),"
    " path('books/<int:id>', w)]\n",
}


@pytest.mark.parametrize(
    ("requirements", "start"),
    [
        ("django\ngunicorn==1", "gunicorn shop.wsgi:application --threads 8 --bind 127.0.0.1:$PORT "
         "--graceful-timeout 25 --keep-alive 75"),
        ("django\nuvicorn", f"uvicorn shop.asgi:application {UVICORN}"),
        ("django\ndaphne", "daphne shop.asgi:application -b 127.0.0.1 -p $PORT"),
        ("django\nwaitress", "waitress-serve shop.wsgi:application --listen 127.0.0.1:$PORT"),
    ],
)  # fmt: skip
def test_django_runs_on_the_server_it_depends_on(
    requirements: str, start: str, tmp_path: Path
) -> None:
    found = recognised(tmp_path, {**DJANGO, "requirements.txt": requirements})
    assert found.kind.value == "django"
    assert found.start.value == start
    assert found.migrate is not None
    assert found.migrate.value == "python manage.py migrate --noinput"
    assert found.ready.value == "/admin/login/"
    assert not found.ready.certain
    assert sorted(r.value for r in found.routes) == ["/admin/", "/api/books"]


def test_django_without_a_production_server_is_told_so(tmp_path: Path) -> None:
    found = recognised(tmp_path, {**DJANGO, "requirements.txt": "Django==5\n"})
    assert found.start.value.startswith("gunicorn shop.wsgi:application")
    assert "requirements.txt no production server" in remarks(found)


def test_django_settings_that_will_not_work_are_named_by_line(tmp_path: Path) -> None:
    settings = (
        "DEBUG = False\nALLOWED_HOSTS = ['shop.example']\nDATABASES = {'default': {}}\n"
        "SECURE_SSL_REDIRECT = True\n"
    )
    found = recognised(tmp_path, {**DJANGO, "shop/settings.py": settings})
    said = remarks(found)
    assert "shop/settings.py:2 ALLOWED_HOSTS" in said
    assert "shop/settings.py:3 the database is not taken from DATABASE_URL" in said
    assert "shop/settings.py:4 SECURE_SSL_REDIRECT" in said


def test_django_is_migrated_and_looked_at_with_the_settings_that_serve(tmp_path: Path) -> None:
    found = recognised(tmp_path, {
        "manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings.local')\n",
        "requirements/base.txt": "django\ngunicorn\npsycopg\n",
        "config/wsgi.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings.production')\n"
        "application = 1\n",
        "config/settings/__init__.py": "",
        "config/settings/base.py": "DATABASES = {'default': {}}\nALLOWED_HOSTS = ['*']\n",
        "config/settings/local.py": "from .base import *\nDEBUG = True\n",
        "config/settings/production.py": "from .base import *\nDEBUG = False\n"
        "ALLOWED_HOSTS = ['shop.example']\nSECURE_SSL_REDIRECT = True\n",
    })  # fmt: skip
    assert found.migrate is not None
    assert found.migrate.value == (
        "env DJANGO_SETTINGS_MODULE=config.settings.production python manage.py migrate --noinput"
    )
    said = remarks(found)
    assert "DEBUG" not in said
    assert "config/settings/base.py:1 the database is not taken from DATABASE_URL" in said
    assert "config/settings/production.py:3 ALLOWED_HOSTS" in said
    assert "config/settings/production.py:4 SECURE_SSL_REDIRECT" in said


def test_settings_that_import_each_other_end(tmp_path: Path) -> None:
    circle = {**DJANGO, "shop/settings.py": "from shop.other import *\n",
              "shop/other.py": "from shop.settings import *\n"}  # fmt: skip
    assert recognised(tmp_path, circle).kind.value == "django"


def test_a_django_project_in_a_folder_is_run_from_the_root(tmp_path: Path) -> None:
    tree = {f"backend/{name}": text for name, text in DJANGO.items()}
    found = recognised(tmp_path, {**tree, "requirements.txt": "django\ngunicorn\n"})
    assert found.start.value.endswith("--chdir backend")
    assert found.migrate is not None
    assert found.migrate.value == "python backend/manage.py migrate --noinput"


# --- Node -------------------------------------------------------------------------------------

LISTENS = "app.listen(process.env.PORT)\nserver.keepAliveTimeout = 75000\n"


@pytest.mark.parametrize(
    ("package", "start"),
    [
        ('{"scripts": {"start": "node server.js"}, "dependencies": {"express": "5"}}', "node server.js"),
        ('{"scripts": {"start": "nodemon server.js"}, "dependencies": {"koa": "1"}}', "node server.js"),
        ('{"scripts": {"start": "tsx src/x.ts"}, "dependencies": {"fastify": "5"}}', "npm start"),
        ('{"scripts": {"start": "A=1 node x.js && true"}}', "npm start"),
        ('{"main": "server.js", "dependencies": {"express": "5"}}', "node server.js"),
        ('{"dependencies": {"fastify": "5"}}', "node server.js"),
    ],
)  # fmt: skip
def test_node_is_started_as_its_package_says(package: str, start: str, tmp_path: Path) -> None:
    found = recognised(tmp_path, {"package.json": package, "server.js": LISTENS})
    assert found.start.value == start
    assert not [r for r in found.remarks if "port" in r.text.lower()]


def test_yarn_and_pnpm_start_what_they_locked(tmp_path: Path) -> None:
    package = '{"scripts": {"start": "tsx x.ts"}}'
    found = recognised(tmp_path / "a", {"package.json": package, "pnpm-lock.yaml": ""})
    assert found.start.value == "pnpm start"
    found = recognised(tmp_path / "b", {"package.json": package, "yarn.lock": ""})
    assert found.start.value == "yarn start"


@pytest.mark.parametrize(
    ("lock", "scripts", "install", "start"),
    [
        ("yarn.lock", '"start": "node dist/x.js", "build": "tsc"',
         "sh -c 'yarn install --frozen-lockfile && yarn run build'", "node dist/x.js"),
        ("pnpm-lock.yaml", '"start": "tsx x.ts"', "pnpm install --frozen-lockfile", "pnpm start"),
        ("bun.lock", '"start": "bun x.ts"', "bun install --frozen-lockfile", "bun start"),
        ("package-lock.json", '"start": "node dist/index.js", "build": "tsc"', "", "node dist/index.js"),
        ("package-lock.json", '"start": "nest start", "start:prod": "node dist/main"', "", "node dist/main"),
        ("package-lock.json", '"start": "nest start", "start:prod": "A=1 node dist/main"', "",
         "npm run start:prod"),
    ],
)  # fmt: skip
def test_node_is_installed_and_built_from_the_lock_file_that_there_is(
    lock: str, scripts: str, install: str, start: str, tmp_path: Path
) -> None:
    package = '{"scripts": {' + scripts + '}, "dependencies": {"express": "5"}}'
    found = recognised(tmp_path, {"package.json": package, lock: ""})
    assert found.start.value == start
    assert (found.install.value if found.install else "") == install


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("const x = 1\napp.listen(3000, () => {})\n", "server.js:2 port 3000"),
        ("const port = 8080;\napp.listen(port)\n", "server.js:1 port 8080"),
        ("fastify.listen({ host: '0.0.0.0', port: 4000 })\n", "server.js:1 port 4000"),
        ("// process.env.PORT\napp.listen(3000)\n", "server.js:2 port 3000"),
        ("app.listen(config.port)\n", "no source reads process.env.PORT"),
    ],
)
def test_a_hard_coded_port_is_said_with_its_line(source: str, place: str, tmp_path: Path) -> None:
    package = '{"main": "server.js", "dependencies": {"express": "5"}}'
    assert place in remarks(recognised(tmp_path, {"package.json": package, "server.js": source}))


def test_node_routes_documents_migrations_and_stores(tmp_path: Path) -> None:
    package = (
        '{"name": "@acme/units",\n"scripts": {"start": "node dist/x.js", "build": "tsc"},\n'
        '"dependencies": {\n"express": "5",\n"pg": "8",\n"ioredis": "5",\n"knex": "3"}}'
    )
    source = (
        "app.get('/openapi.json', f)\napp.get('/items/:id', f)\nrouter.get(`/items`, f)\n"
        "app.get('/health', f)\napp.post('/ready', f)\n"
    )
    found = recognised(tmp_path, {"package.json": package, "src/app.ts": source, "test/a.js": ""})
    assert found.name is not None
    assert found.name.value == "units"
    assert (found.ready.value, found.ready.place) == ("/health", "src/app.ts:4")
    assert found.openapi is not None
    assert found.openapi.value == "/openapi.json"
    assert found.migrate is not None
    assert found.migrate.value == "npx knex migrate:latest"
    assert found.database is not None
    assert found.database.place == "package.json:5"
    assert found.cache is not None
    assert found.install is None  # npm's own lock file is installed from, and built, anyway
    assert [r.value for r in found.routes] == ["/openapi.json", "/items", "/health"]
    assert "keepAliveTimeout" in remarks(found)


@pytest.mark.parametrize(
    "tree",
    [
        {"README.md": "nothing"},
        {"package.json": '{"devDependencies": {"eslint": "9"}}'},
        {"package.json": "{not json"},
        {"main.py": "from fastapi import FastAPI\nthis does not parse"},
        {"Dockerfile": "FROM scratch\n"},
        {"Procfile": "worker: x\n"},
        {"node_modules/x/package.json": '{"scripts": {"start": "node a"}}'},
        {"tests/app.py": APP},
        {".hidden/main.py": APP},
    ],
)
def test_what_is_no_service_is_not_taken_for_one(tree: Tree, tmp_path: Path) -> None:
    assert recognise(repository(tmp_path, tree)) is None
