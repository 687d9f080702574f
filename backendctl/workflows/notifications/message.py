"""What a rollout's events say to somebody who is not watching: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backendctl.rollout.events import Began, Ended, Event, Held
from backendctl.rollout.states import Kind, Result
from backendctl.spec.model import News


@dataclass(frozen=True, slots=True)
class Message:
    """One piece of news."""

    news: News
    at: float
    """Seconds since the epoch."""
    service: str
    environment: str
    rollout: str
    text: str
    """One sentence that names the environment."""
    reason: str
    next: tuple[str, ...]
    """Commands for whoever reads it."""


def message_of(event: Event, service: str, environment: str) -> Message | None:
    """The news in an event; None where there is none for people outside."""
    where = f"{service} on {environment}"
    rollout = event.rollout
    explain = f"backendctl rollout explain {rollout} --env {environment}"
    match event:
        case Began(plan=plan):
            what = f"release {plan.candidate} over {plan.stable}"
            if plan.kind is Kind.FIRST:
                what = f"release {plan.candidate}, the first"
            news, reason = News.BEGAN, f"by {plan.begun_by}"
            text = f"{where}: rollout {rollout} began ({plan.kind}, {what})"
            steps: tuple[str, ...] = (f"backendctl rollout watch {rollout} --env {environment}",)
        case Held(hold=hold):
            news, reason = News.WAITS, hold.why.message
            text = f"{where}: rollout {rollout} waits for a person ({hold.kind})"
            steps = (f"backendctl rollout status --env {environment}", explain)
        case Ended(result=Result.PROMOTED):
            news, reason, steps = News.PROMOTED, "; ".join(event.notes), (explain,)
            text = f"{where}: rollout {rollout} ended well, its release serves all requests"
        case Ended():
            news, reason = News.UNDONE, event.why.message if event.why else ""
            text = f"{where}: rollout {rollout} was undone"
            steps = (explain, f"backendctl status --env {environment}")
        case _:
            return None
    return Message(news, event.at, service, environment, rollout, text, reason, steps)


def slack(message: Message) -> Mapping[str, Any]:
    """The body of a Slack incoming webhook (https://api.slack.com/messaging/webhooks)."""
    lines = [f"*{_escaped(message.text)}*"]
    if message.reason:
        lines.append(_escaped(message.reason))
    lines += [f"`{_escaped(each)}`" for each in message.next]
    return {"text": "\n".join(lines)}


def webhook(message: Message) -> Mapping[str, Any]:
    """Every field, for a program."""
    return {
        "schema": "backendctl/v1",
        "news": message.news.value,
        "at": message.at,
        "service": message.service,
        "environment": message.environment,
        "rollout": message.rollout,
        "text": message.text,
        "reason": message.reason,
        "next": list(message.next),
    }


def _escaped(text: str) -> str:
    """Slack's three control characters (https://api.slack.com/reference/surfaces/formatting)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
