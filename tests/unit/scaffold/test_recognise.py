# ruff: noqa: E501 - repositories in a few lines
"""Tiny repositories, and what is recognised in them, from which file and line."""

from pathlib import Path

import pytest

from backendctl.scaffold.recognise.detect import recognise
from backendctl.scaffold.recognise.facts import Recognition

Tree = dict[str, str]


def repository(folder: Path, tree: Tree) -> Path:
    for name, text in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def recognised(folder: Path, tree: Tree) -> Recognition:
    found = recognise(repository(folder, tree))
    assert found is not None
    return found


def remarks(found: Recognition) -> str:
    return "\n".join(f"{r.place} {r.text}" for r in found.remarks)


# --- FastAPI ----------------------------------------------------------------------------------

APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"
UVICORN = "--host 127.0.0.1 --port $PORT --timeout-graceful-shutdown 25 --timeout-keep-alive 75"


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
    assert found.install is not None
    assert found.install.value == "sh -c 'npm ci && npm run build'"
    assert [r.value for r in found.routes] == ["/openapi.json", "/items", "/health"]
    assert "keepAliveTimeout" in remarks(found)


# --- stated outright --------------------------------------------------------------------------


def test_a_procfile_goes_before_what_the_sources_suggest(tmp_path: Path) -> None:
    procfile = "release: python migrate.py\nweb: uvicorn --workers 2 other:app --port ${PORT:-80}\n"
    found = recognised(tmp_path, {"main.py": APP, "Procfile": procfile})
    assert found.kind.value == "fastapi"
    assert found.start.value == f"uvicorn --workers 2 other:app {UVICORN}"
    assert found.start.place == "Procfile:2"
    assert found.migrate is not None
    assert found.migrate.value == "python migrate.py"


def test_a_procfile_alone_is_enough(tmp_path: Path) -> None:
    found = recognised(tmp_path, {"Procfile": "worker: x\nweb: bundle exec puma -p $PORT\n"})
    assert found.kind.value == "procfile"
    assert found.start.value == "bundle exec puma -p $PORT"
    assert not found.ready.certain


@pytest.mark.parametrize(
    ("dockerfile", "start"),
    [
        ('FROM a\nCMD ["./server", "--port", "8080"]\n', "./server --port 8080"),
        ("FROM a\nCMD gunicorn x:y -b :80\n",
         "gunicorn x:y --bind 127.0.0.1:$PORT --graceful-timeout 25 --keep-alive 75"),
        ('FROM a AS b\nCMD ["wrong"]\nFROM c\nENTRYPOINT ["./server"]\nCMD ["--x", "$PORT"]\n',
         "./server --x $PORT"),
        ("FROM a\n# CMD no\nCMD cd /srv && \\\n  ./run --port $PORT\n",
         "sh -c 'cd /srv && exec ./run --port $PORT'"),
    ],
)  # fmt: skip
def test_a_dockerfile_says_what_its_image_runs(dockerfile: str, start: str, tmp_path: Path) -> None:
    found = recognised(tmp_path, {"Dockerfile": dockerfile})
    assert found.kind.value == "dockerfile"
    assert found.start.value == start
    assert "not in a container" in remarks(found)


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
