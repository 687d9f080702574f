"""The demo's service: scaffolded like any other, then changed as a developer would change it."""

from collections.abc import Mapping
from pathlib import Path

from backendctl.scaffold.new import create_service
from backendctl.scaffold.questions import NEW_QUESTIONS, resolve
from backendctl.spec.edit import add_table, set_value
from backendctl.spec.splice import Value

ANSWERS = {"name": "shop", "resource": "items", "peak_rps": "75/s", "p95": "500ms", "p99": "1s"}
USERS_RPS = 150.0
"""Requests per second of the demo's users: twice the expected peak, so that every promise is
made under the load that the load test offers."""
SETTLE = 1.5
"""Seconds of users before a release begins, so that there is traffic to look at."""

ROLLOUT: Mapping[str, Value] = {
    "steps": [25, 50],
    "warm_up": "1s",
    "step_time": "4s",
    "bake": "2s",
    "deadline": "60s",
    "on_inconclusive": "abort",
}
WHY = """\
Far shorter than the defaults, so that the story fits into a minute. That is sound here only
because the users are synthetic: they come independently of each other and fail independently.
Real failures come in bursts, and the default times are what tells a burst from a bad release."""

HANDLER = Path("app") / "controller" / "items.py"
LIST_STARTS = '    """List items, newest first."""\n'
GOOD = '    response.headers["cache-control"] = "private, max-age=1"\n'
BAD = """    dice = random.random()
    if dice < 0.08:
        raise RuntimeError("the price list has no such column: discount")
    if dice < 0.20:
        await asyncio.sleep(1.3)
"""


def make_shop(folder: Path) -> Path:
    """Scaffold the shop into `folder` and give it the demo's step times."""
    answers, _ = resolve(NEW_QUESTIONS, ANSWERS, where={}, ask=None, use_defaults=True)
    create_service(folder, answers)
    add_table(folder, "rollout", ROLLOUT, WHY)
    set_value(folder, "environments.local.replicas", 1)
    return folder


def improve(folder: Path) -> None:
    """A change that is fine: lists may be cached by the client for a second."""
    _edit(
        folder,
        "    service: Service,\n    limit: Limit",
        "    service: Service,\n    response: Response,\n    limit: Limit",
    )
    _edit(folder, LIST_STARTS, LIST_STARTS + GOOD)


def touch_up(folder: Path) -> None:
    """Another fine change, for the release that a person takes back half-way."""
    _edit(folder, "max-age=1", "max-age=2")


def spoil(folder: Path) -> None:
    """A change that breaks promises: 8 % of lists fail and 12 % take over a second."""
    _edit(
        folder,
        "from datetime import datetime\n",
        "import asyncio\nimport random\nfrom datetime import datetime\n",
    )
    _edit(folder, LIST_STARTS, LIST_STARTS + BAD)


CHANGES = (improve, touch_up, spoil)
"""Each on top of the one before, as the story releases them."""


def _edit(folder: Path, old: str, new: str) -> None:
    file = folder / HANDLER
    text = file.read_text()
    if text.count(old) != 1:
        raise RuntimeError(f"{HANDLER} is not as the demo expects it: {old!r}")
    file.write_text(text.replace(old, new))
