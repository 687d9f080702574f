"""A shop: one local environment whose release serves users, and what its engineers do with it."""

import dataclasses
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from backendctl.platforms.base import Configuration, Package, Platform, Processes, Release
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.supervisor import Supervisor
from backendctl.platforms.open import open_platform
from backendctl.rollout.history import serving
from backendctl.rollout.lease import held
from backendctl.rollout.outcome import Outcome
from backendctl.rollout.states import Word
from backendctl.spec.model import Environment, Load, Rollout, Service, Slo, Spec, Strategy
from backendctl.workflows.rollouts import post_command, recover, run_rollback, run_rollout
from bench.shop.drivers import Cue, Death, DyingStore, means

MIGRATION = 'import time\ntime.sleep(0.1)\nprint("migrated", flush=True)\n'
GRACE = 5.0
"""Seconds a release's process has after SIGTERM."""
_SERVERS = ("supervisor.supervisord", "/envoy ", "workflows.watchdog")


@dataclass(frozen=True)
class Pace:
    """How long things may take, in seconds."""

    step: float = 0.5
    bake: float = 0.5
    drain: float = 10.0


@dataclass(frozen=True)
class Shop:
    """The environment and the one package that all its releases share."""

    platform: Platform
    spec: Spec
    package: Package
    project: Path

    @property
    def port(self) -> int:
        return int(self.platform.router.url.rpartition(":")[2])

    @property
    def stable(self) -> int | None:
        """The release that serves, as the journals have it."""
        return serving(self.platform.store).stable

    @property
    def admin_socket(self) -> Path:
        """Of the gateway."""
        return Layout(self.project, self.platform.name).admin_socket

    def dying(self, death: Death | None, cues: tuple[Cue, ...] = ()) -> "Shop":
        """The same shop for a driver that dies there and hears those commands."""
        store = DyingStore(self.platform, death, cues)
        platform = dataclasses.replace(self.platform, store=store)
        return dataclasses.replace(self, platform=platform)

    # --- what engineers do, each in a process of its own ---

    def deploy(
        self,
        strategy: Strategy = Strategy.CANARY,
        *,
        migrate: bool = False,
        bad: bool = False,
        unjudged: bool = False,
        mirror: int | None = None,
    ) -> Outcome:
        """A new release, rolled out; `unjudged`: on a person's word and without a bake; `mirror`:
        percent of reads that it is tried on first."""
        store, spec = self.platform.store, self.spec
        if mirror is not None:
            copying = {"mirror": mirror, "mirror_time": self.spec.rollout.step_time * 2}
            rollout = spec.rollout.model_copy(update=copying)
            spec = spec.model_copy(update={"rollout": rollout})
        if unjudged:
            short = spec.rollout.model_copy(update={"bake": 0.0})
            spec = spec.model_copy(update={"rollout": short})
        with held(store, "ann", "deploy") as lease:
            number = len(store.releases()) + 1
            values = {"LABEL": str(number), **({"BAD": "yes"} if bad else {})}
            migration = (spec.service.start[0], "-I", "migrate.py") if migrate else ()
            release = Release(
                number=number,
                package=self.package,
                configuration=Configuration(values),
                processes=Processes(
                    start=spec.service.start,
                    migrate=migration,
                    ready_path="/readyz",
                    stop_grace=GRACE,
                ),
                created=time.time(),
                created_by="ann",
            )
            return run_rollout(
                self.platform,
                spec,
                release,
                strategy,
                lambda _: None,
                lease=lease,
                by="ann",
                override=Word("ann", "checked by hand") if unjudged else None,
                means=means(),
            )

    def rollback(self) -> Outcome:
        """Back to the release that served before."""
        return run_rollback(self.platform, self.spec, lambda _: None, by="ann", means=means())

    def recover(self, take_over: bool = False) -> Outcome | None:
        """What is typed after a driver died."""
        return recover(
            self.platform, lambda _: None, by="on-call", take_over=take_over, means=means()
        ).outcome

    def say(self, verb: str) -> Outcome:
        """`rollout resume`, `rollout abort` and the like."""
        return post_command(
            self.platform,
            verb,  # type: ignore[arg-type]
            lambda _: None,
            by="on-call",
            reason="as planned",
            means=means(),
        )

    # --- what runs ---

    def process_of(self, number: int | None) -> object:
        """What tells the release's one process from any other: its pid; None if it has none."""
        programs = Supervisor(Layout(self.project, self.platform.name).home).programs()
        program = programs.get(f"release-{number}-0")
        return None if program is None else program.pid

    def strays(self) -> dict[int, str]:
        """Living processes of this environment that nothing accounts for, by pid, in words: none
        of its servers (each of which runs once) and not the serving release's."""
        process = self.process_of(self.stable)
        strays, servers = {}, set[str]()
        for pid, words in self._processes().items():
            server = next((name for name in _SERVERS if name in words), None)
            if pid == process or "bench.shop.users" in words:
                continue
            if server is None or server in servers:
                strays[pid] = words
            else:
                servers.add(server)
        return strays

    def _processes(self) -> dict[int, str]:
        found = {}
        home = str(self.project)
        for process in psutil.process_iter(["cmdline", "status"]):
            if process.info["status"] == psutil.STATUS_ZOMBIE:
                continue
            words = " ".join(process.info["cmdline"] or [])
            try:
                if home in words or process.cwd().startswith(home):
                    found[process.pid] = words
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


def spec(pace: Pace) -> Spec:
    """Steps of a moment and promises that only a broken release breaks."""
    return Spec(
        service=Service(name="shop", start=(sys.executable, "-I", "service.py")),
        load=Load(peak_rps=100, peak_users=100, sustained_users=50, think_time=1.0),
        slo=Slo(error_rate=0.05, p95=5.0, p99=10.0),
        rollout=Rollout(
            steps=(50,),
            warm_up=0.0,
            step_time=pace.step,
            deadline=3600.0,
            bake=pace.bake,
            drain_deadline=pace.drain,
        ),
        environments={"local": Environment(name="local")},
    )


@contextmanager
def open_shop(project: Path, pace: Pace, on_line: Callable[[str], None]) -> Iterator[Shop]:
    """An environment that is up, without a release yet; nothing is left of it afterwards."""
    promises = spec(pace)
    platform = open_platform(project, promises, "local")
    tree = project / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("service.py"), tree / "service.py")
    (tree / "migrate.py").write_text(MIGRATION)
    try:
        platform.foundation.ensure(on_line)
        package = platform.runtime.package(tree, on_line)
        yield Shop(platform, promises, package, project.resolve())
    finally:
        platform.foundation.stop(purge=True)
