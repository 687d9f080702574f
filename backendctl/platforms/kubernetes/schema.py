"""base.Schema on a cluster: asks from inside, by Jobs in a release's own image.

The database may be reachable from there only, and only the image has the code as it was released.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backendctl.clock import Clock, SystemClock
from backendctl.errors import BackendctlError
from backendctl.migrations import render
from backendctl.migrations.books import BOOKS
from backendctl.migrations.revisions import Revision, Tool
from backendctl.platforms import migration_scripts
from backendctl.platforms.base import MigrationScript, OnLine, Rehearsal, Release, Store
from backendctl.platforms.kubernetes import in_image
from backendctl.platforms.kubernetes.cluster import Cluster
from backendctl.platforms.kubernetes.in_image import MARK
from backendctl.platforms.kubernetes.jobs import Jobs
from backendctl.platforms.kubernetes.pods import Surroundings
from backendctl.platforms.migration_scripts import RENDERED, Answers, without_password

_DEADLINE = 60.0
"""Seconds in which a question must be answered, once its pod runs."""

_CAT = (
    'number=0; for file in "$@"; do base64 "$file" | while read -r line; do '
    f'echo "{MARK}$number $line"; done; number=$((number + 1)); done'
)
"""Prints files, for images without a Python: lines of base64 after the file's place in the list."""


class KubernetesSchema:
    """base.Schema. Making one touches nothing."""

    def __init__(
        self,
        cluster: Cluster,
        surroundings: Surroundings,
        store: Store,
        clock: Clock | None = None,
    ) -> None:
        self._jobs = Jobs(cluster, surroundings, clock or SystemClock())
        self._store = store
        self._environment = surroundings.naming.environment

    def applied(self, tool: Tool) -> frozenset[str]:
        """See base.Schema. Asked in the image of the newest release that has this tool, if that
        is a tool in Python: then the image has a driver too."""
        release = self._with(tool)
        if release is None:
            raise _cannot_ask(f"no release of this environment has {tool} and a Python to ask with")
        book = BOOKS[tool]
        question = {"ask": "applied", "table": book.table, "query": book.query}
        answer = self._ask(release, "schema", question)
        if "names" not in answer:
            raise _cannot_ask(without_password(str(answer.get("error", ""))))
        return frozenset(answer["names"])

    def scripts(
        self, release: Release, revisions: Sequence[Revision]
    ) -> Mapping[str, MigrationScript]:
        """See base.Schema. What cannot be read in the image is a problem of each migration."""
        schema = release.package.schema
        if schema is None or not revisions:
            return {}
        try:
            if schema.tool not in RENDERED:
                sources = self._printed(release, revisions)
                return migration_scripts.scripts(schema.tool, revisions, sources, lambda _: {})
            answer = self._rendered(release, schema.tool, revisions)
        except BackendctlError as error:
            if error.code not in ("release.start", "missing.server"):
                raise
            why = f"its text cannot be read in the release's image: {error.cause or error.message}"
            return {each.name: MigrationScript("", problem=why) for each in revisions}
        answers: Answers = answer.get("rendered") or migration_scripts.unanswered(
            revisions, str(answer.get("problem", ""))
        )
        return migration_scripts.scripts(
            schema.tool, revisions, answer["sources"], lambda _asked: answers
        )

    def rehearse(
        self,
        candidate: Release,  # noqa: ARG002 - as the seam has it
        stable: Release,  # noqa: ARG002
        tests: Sequence[str],
        deadline: float,  # noqa: ARG002
        on_line: OnLine,  # noqa: ARG002
    ) -> Rehearsal:
        """Not here. Raises BackendctlError `platform.unsupported`: the database is not ours, and
        nothing is created in it."""
        raise BackendctlError(
            "platform.unsupported",
            f"`{' '.join(tests)}` cannot be run against the new schema in {self._environment!r}",
            cause="that needs an empty copy of the database, and backendctl makes none in a "
            "database that it does not run",
            state="nothing was started and nothing was migrated",
            next=("backendctl deploy --env local  # there it runs, in CI too",),
        )

    def _with(self, tool: Tool) -> Release | None:
        """The newest release that can ask for this tool."""
        return next(
            (
                each
                for each in reversed(self._store.releases())
                if each.package.schema and each.package.schema.tool is tool and tool in RENDERED
            ),
            None,
        )

    def _rendered(
        self, release: Release, tool: Tool, revisions: Sequence[Revision]
    ) -> Mapping[str, Any]:
        question = {
            "ask": "scripts",
            "files": {each.name: each.file for each in revisions},
            "render": Path(render.__file__).read_text(),
            "order": migration_scripts.order(tool, release.processes.migrate, revisions),
        }
        return self._ask(release, "migrations", question)

    def _printed(self, release: Release, revisions: Sequence[Revision]) -> Mapping[str, str]:
        """The migrations' files, by name."""
        argv = ("sh", "-c", _CAT, "sh", *(each.file for each in revisions))
        texts = dict.fromkeys(range(len(revisions)), "")
        for line in self._said(release, "migrations", argv):
            number, _, text = line.partition(" ")
            texts[int(number)] += text
        return {
            each.name: base64.b64decode(texts[place]).decode(errors="replace")
            for place, each in enumerate(revisions)
        }

    def _ask(self, release: Release, name: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        program = Path(in_image.__file__).read_text()
        argv = ("python", "-c", program, json.dumps(question))
        answer = json.loads(base64.b64decode("".join(self._said(release, name, argv))))
        return dict(answer)

    def _said(self, release: Release, name: str, argv: Sequence[str]) -> list[str]:
        """What was answered. Raises BackendctlError `missing.server` when nothing was."""
        lines: list[str] = []
        done = self._jobs.run(release, name, argv, _DEADLINE, lines.append, literal=True)
        answer = [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]
        if done.exit_status or not answer:
            said = done.tail[-1] if done.tail else f"it ended with status {done.exit_status}"
            raise _cannot_ask(without_password(said))
        return answer


def _cannot_ask(why: str) -> BackendctlError:
    return BackendctlError(
        "missing.server",
        "the database cannot be asked which migrations it has",
        cause=why,
        state="nothing was changed",
        next=("backendctl status",),
    )
