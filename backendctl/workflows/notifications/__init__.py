"""Telling people what becomes of rollouts: `message` says what, `delivery` carries it there."""

from backendctl.workflows.notifications.delivery import notifying

__all__ = ["notifying"]
