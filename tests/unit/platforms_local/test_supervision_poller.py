"""supervisord's poller with our extension: no descriptor keeps it awake for ever."""

import os
import select
from types import SimpleNamespace

import pytest
from supervisor.poller import PollPoller

from backendctl.platforms.local.supervision import forget_broken


@pytest.mark.skipif(not hasattr(select, "poll"), reason="this system has no poll()")
def test_a_descriptor_with_nothing_but_an_error_is_let_go() -> None:
    # given the number of a closed connection that has become a pipe nobody reads
    poller = PollPoller(SimpleNamespace())
    forget_broken(poller)
    read_end, write_end = os.pipe()
    poller.register_readable(write_end)
    os.close(read_end)
    # when supervisord waits
    assert poller.poll(0) == ([], [])
    # then the next wait is a wait
    assert write_end not in poller.readables
    assert poller._poller.poll(0) == []
    os.close(write_end)


@pytest.mark.skipif(not hasattr(select, "poll"), reason="this system has no poll()")
def test_a_descriptor_with_news_is_kept() -> None:
    poller = PollPoller(SimpleNamespace())
    forget_broken(poller)
    read_end, write_end = os.pipe()
    poller.register_readable(read_end)
    os.write(write_end, b"w")
    assert poller.poll(0) == ([read_end], [])
    assert read_end in poller.readables
    os.close(read_end)
    os.close(write_end)
