"""What holds for every test."""

import contextlib
import os
import signal

from hypothesis import settings

# A busy machine is slow, not wrong: no deadline. In CI the same examples each time, so that a
# change is judged by itself; new examples are found wherever else the tests run.
settings.register_profile("project", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("project")

# Whoever started the tests may ignore signals (a shell's `&`, nohup), and children inherit that;
# the commands under test must be started as from a terminal.
with contextlib.suppress(ValueError):  # not in the main thread
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
