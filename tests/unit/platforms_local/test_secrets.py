"""Secret values: versioned, private, and nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

from backendctl.errors import BackendctlError
from backendctl.platforms.local.layout import Layout
from backendctl.platforms.local.secrets import LocalSecrets


@pytest.fixture
def secrets(tmp_path: Path) -> LocalSecrets:
    return LocalSecrets(Layout(tmp_path, "local"))


def test_reading_touches_nothing(secrets: LocalSecrets, tmp_path: Path) -> None:
    assert secrets.current() == {}
    assert list(tmp_path.iterdir()) == []


def test_each_change_is_a_version_and_old_ones_stay_with_those_who_pinned_them(
    secrets: LocalSecrets,
) -> None:
    first = secrets.set("KEY", "one")
    second = secrets.set("KEY", "two")
    assert first != second
    assert secrets.current() == {"KEY": second}
    assert secrets.values({"KEY": first}) == {"KEY": "one"}
    assert secrets.values({"KEY": second}) == {"KEY": "two"}


def test_setting_the_same_value_changes_nothing(secrets: LocalSecrets) -> None:
    assert secrets.set("KEY", "one") == secrets.set("KEY", "one")


def test_an_unset_name_is_gone_for_the_future_only(secrets: LocalSecrets) -> None:
    first = secrets.set("KEY", "one")
    secrets.unset("KEY")
    secrets.unset("OTHER")
    assert secrets.current() == {}
    assert secrets.values({"KEY": first}) == {"KEY": "one"}
    assert secrets.set("KEY", "one") != first


def test_a_version_that_is_not_there_is_named_without_any_value(secrets: LocalSecrets) -> None:
    secrets.set("KEY", "hunter2")
    with pytest.raises(BackendctlError, match="KEY has no version v9") as caught:
        secrets.values({"KEY": "v9"})
    assert "hunter2" not in str(vars(caught.value))


def test_the_file_is_private_whatever_the_umask(secrets: LocalSecrets, tmp_path: Path) -> None:
    secrets.set("KEY", "one")
    folder = Layout(tmp_path, "local").secrets
    assert folder.stat().st_mode & 0o777 == 0o700
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_value_no_process_can_be_given_is_refused(secrets: LocalSecrets) -> None:
    with pytest.raises(ValueError, match="zero byte"):
        secrets.set("KEY", "a\0b")
    assert secrets.current() == {}


def test_several_processes_set_at_once_and_none_is_lost(
    secrets: LocalSecrets, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from backendctl.platforms.local.layout import Layout\n"
        "from backendctl.platforms.local.secrets import LocalSecrets\n"
        "s = LocalSecrets(Layout(Path(sys.argv[1]), 'local'))\n"
        "[s.set(f'{sys.argv[2]}_{n}', 'x') for n in range(10)]\n"
    )
    many = [subprocess.Popen([sys.executable, "-c", script, tmp_path, n]) for n in "ABC"]
    assert [process.wait() for process in many] == [0, 0, 0]
    assert len(secrets.current()) == 30


def test_secrets_set_before_the_first_up_are_hidden_from_git_and_from_others(
    secrets: LocalSecrets, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    secrets.set("KEY", "one")
    seen = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--porcelain", "--untracked-files=all"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout == ""
    made = [path for path in tmp_path.rglob("*") if ".git" not in path.parts]
    assert all(path.stat().st_mode & 0o077 == 0 for path in made)
