"""A watch over Docker's folders, on folders that change as dockerd changes them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from inotify_simple import INotify

from compose_agent.dockerd.folders.contract import FoldersUnreadable
from compose_agent.dockerd.folders.notices import Notice, Notices, Place
from compose_agent.dockerd.folders.watch import FolderWatch
from compose_agent.dockerd.model import Container
from tests.dockerd.folders.trees import ID, Heard, Tree, config, watching
from tests.dockerd.watched import until

OTHER = "cd" * 32
LOG = f"{ID}-json.log"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "docker")


@pytest.fixture
def heard() -> Heard:
    return Heard()


def started(tree: Tree, container_id: str = ID) -> None:
    tree.make(container_id)
    tree.write(container_id)
    tree.log(container_id)


def test_what_is_there_is_reported_when_start_returns(tree: Tree, heard: Heard) -> None:
    started(tree)
    with watching(tree, heard) as watch:
        assert heard.kinds() == ["appeared", "file"]
        assert heard.latest().name == "web"
        assert watch.error == ""


def test_a_container_that_comes_appears_once_and_then_its_log(tree: Tree, heard: Heard) -> None:
    with watching(tree, heard):
        started(tree)
        until(lambda: heard.kinds() == ["appeared", "file"])
        tree.write(Paused=True)
        until(lambda: heard.kinds()[2:] == ["changed"])
    assert heard.latest().state == "paused"
    assert heard.files() == [LOG]


def test_a_configuration_that_says_nothing_new_is_no_change(tree: Tree, heard: Heard) -> None:
    started(tree)
    with watching(tree, heard) as watch:
        tree.write()
        tree.write(name="renamed")
        until(lambda: heard.latest().name == "renamed")
        assert watch.counts().reads >= 2
    assert heard.kinds() == ["appeared", "file", "changed"]


def test_a_new_address_is_a_change(tree: Tree, heard: Heard) -> None:
    started(tree)
    connected = config()
    connected["NetworkSettings"]["Networks"]["back"] = {"Aliases": None, "IPAddress": "172.19.0.2"}
    with watching(tree, heard):
        tree.put("config.v2.json", json.dumps(connected))
        until(lambda: "172.19.0.2" in heard.latest().addresses)


def test_a_log_before_its_configuration_makes_the_container_appear_by_its_id(
    tree: Tree, heard: Heard
) -> None:
    with watching(tree, heard):
        tree.make()
        tree.log()
        until(lambda: heard.kinds() == ["appeared", "file"])
        assert heard.latest() == Container(id=ID, name="", image="", image_id="", state="running")
        tree.write()
        until(lambda: heard.kinds() == ["appeared", "file", "changed"])
    assert heard.latest().name == "web"


def test_a_folder_without_configuration_and_log_is_not_reported(tree: Tree, heard: Heard) -> None:
    tree.make()
    with watching(tree, heard):
        started(tree, OTHER)
        until(lambda: heard.kinds(OTHER) == ["appeared", "file"])
        tree.remove()
        tree.remove(OTHER)
        until(lambda: heard.kinds(OTHER)[-1] == "vanished")
    assert heard.kinds() == []


@pytest.mark.parametrize(
    "text", ["{", "", "[]", '{"State": 3}', json.dumps(config(OTHER)), "\udcff", "[" * 100_000]
)
def test_a_damaged_configuration_is_counted_and_read_when_it_is_whole(
    tree: Tree, heard: Heard, text: str
) -> None:
    tree.make()
    tree.put("hostconfig.json", "{}")
    (tree.folder() / "config.v2.json").write_bytes(text.encode(errors="surrogateescape"))
    with watching(tree, heard) as watch:
        assert heard.all == []
        assert watch.counts().unreadable == 1
        tree.write()
        until(lambda: heard.kinds() == ["appeared"])


def test_each_rotation_is_reported_by_its_names(tree: Tree, heard: Heard) -> None:
    started(tree)
    path = tree.folder() / LOG
    with watching(tree, heard):
        for _ in range(3):
            if (rotated := Path(f"{path}.1")).exists():
                rotated.rename(f"{path}.2")
            path.rename(rotated)
            path.touch()
        until(lambda: len(heard.files()) == 9)
    assert heard.files()[1:] == [f"{LOG}.1", LOG, f"{LOG}.2", f"{LOG}.1", LOG, f"{LOG}.2", f"{LOG}.1", LOG]


def test_a_log_that_is_removed_and_made_anew_is_reported_each_time(tree: Tree, heard: Heard) -> None:
    started(tree)
    with watching(tree, heard):
        for count in range(2, 6):
            (tree.folder() / LOG).unlink()
            tree.log()
            until(lambda count=count: heard.files() == [LOG] * count)  # type: ignore[misc]


def test_logs_of_the_local_driver_are_reported_with_their_folder(tree: Tree, heard: Heard) -> None:
    started(tree, OTHER)
    (tree.folder(OTHER) / "local-logs").mkdir()
    (tree.folder(OTHER) / "local-logs" / "container.log").touch()
    with watching(tree, heard):
        assert heard.files(OTHER) == [f"{OTHER}-json.log", "local-logs/container.log"]
        tree.make()
        tree.write()
        logs = tree.folder() / "local-logs"
        logs.mkdir()
        (logs / "container.log").touch()
        until(lambda: heard.files() == ["local-logs/container.log"])
        (logs / "container.log").rename(logs / "container.log.1")
        (logs / "container.log").touch()
        until(lambda: len(heard.files()) == 3)
    assert heard.files()[1:] == ["local-logs/container.log.1", "local-logs/container.log"]


def test_other_folders_and_files_are_ignored(tree: Tree, heard: Heard) -> None:
    (tree.containers / "lost+found").mkdir()
    (tree.containers / ("ef" * 32)).touch()
    with watching(tree, heard) as watch:
        (tree.containers / "another").mkdir()
        (tree.containers / ("fe" * 32)).touch()
        started(tree)
        until(lambda: heard.kinds() == ["appeared", "file"])
        assert watch.error == ""
    assert {container_id for _, container_id, _ in heard.all} == {ID}


def test_a_removed_container_vanishes_once(tree: Tree, heard: Heard) -> None:
    started(tree)
    with watching(tree, heard):
        tree.remove()
        until(lambda: heard.kinds()[-1] == "vanished")
        started(tree)
        until(lambda: heard.kinds() == ["appeared", "file", "vanished", "appeared", "file"])


def test_many_containers_that_come_and_go_are_all_reported(tree: Tree, heard: Heard) -> None:
    ids = [f"{number:064x}" for number in range(300)]
    with watching(tree, heard):
        for each in ids:
            started(tree, each)
        until(lambda: all(heard.kinds(each) == ["appeared", "file"] for each in ids))
        for each in ids:
            tree.remove(each)
        until(lambda: all(heard.kinds(each)[-1] == "vanished" for each in ids))
    assert len(heard.all) == 900


def test_docker_folders_that_go_away_and_come_back_are_survived(tree: Tree, heard: Heard) -> None:
    started(tree)
    with watching(tree, heard, blind_sweep_seconds=0.02) as watch:
        shutil.rmtree(tree.root)
        until(lambda: heard.kinds()[-1] == "vanished" and "there is no folder" in watch.error)
        tree.containers.mkdir(parents=True)
        started(tree)
        until(lambda: heard.kinds()[-2:] == ["appeared", "file"])
        until(lambda: watch.error == "")
        started(tree, OTHER)
        until(lambda: heard.kinds(OTHER) == ["appeared", "file"])


def test_folders_that_were_replaced_by_others_are_followed(tree: Tree, heard: Heard, tmp_path: Path) -> None:
    started(tree)
    other = Tree(tmp_path / "other")
    started(other, OTHER)
    with watching(tree, heard, sweep_seconds=0.02):
        tree.containers.rename(tmp_path / "gone")
        other.containers.rename(tree.containers)
        until(lambda: heard.kinds()[-1:] == ["vanished"] and heard.kinds(OTHER) == ["appeared", "file"])
        tree.write(OTHER, name="renamed")
        until(lambda: heard.latest(OTHER).name == "renamed")


class ExhaustedNotices(Notices):
    """A kernel without any watch to give, until ``mended``."""

    mended = False

    def _opened(self) -> INotify:
        if self.mended:
            return super()._opened()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_without_inotify_sweeps_see_everything_and_the_setting_is_named(tree: Tree, heard: Heard) -> None:
    notices = ExhaustedNotices()
    started(tree)
    with watching(tree, heard, blind_sweep_seconds=0.02, notices=notices) as watch:
        assert "raise fs.inotify.max_user_watches" in watch.error
        started(tree, OTHER)
        until(lambda: heard.kinds(OTHER) == ["appeared", "file"])
        tree.write(Paused=True)
        until(lambda: heard.latest().state == "paused")
        path = tree.folder() / LOG
        path.rename(f"{path}.1")
        path.touch()
        until(lambda: sorted(heard.files()) == [LOG, LOG, f"{LOG}.1"])
        tree.remove()
        until(lambda: heard.kinds()[-1] == "vanished")
        notices.mended = True
        until(lambda: watch.error == "")
        (tree.folder(OTHER) / f"{OTHER}-json.log").rename(tree.folder(OTHER) / "rotated")
        until(lambda: heard.files(OTHER)[1:] == ["rotated"])


class OverflowingNotices(Notices):
    """A kernel that drops what happens first."""

    dropped = False

    def wait(self, seconds: float) -> list[Notice]:
        notices = super().wait(seconds)
        if notices and not self.dropped:
            self.dropped = True
            return [Notice(None)]
        return notices


def test_dropped_notices_are_made_up_for_by_a_sweep(tree: Tree, heard: Heard) -> None:
    with watching(tree, heard, notices=OverflowingNotices()) as watch:
        started(tree)
        until(lambda: heard.kinds() == ["appeared", "file"])
        assert watch.counts().overflows == 1


def test_a_sweep_of_silent_folders_reads_nothing(tree: Tree, heard: Heard) -> None:
    started(tree)
    long_ago = time.time() - 3600
    for path in (*tree.folder().iterdir(), tree.folder()):
        os.utime(path, (long_ago, long_ago))
    with watching(tree, heard, sweep_seconds=0.01) as watch:
        until(lambda: watch.counts().sweeps > 10)
        assert watch.counts().reads == 1


class Failing(Heard):
    def appeared(self, container: Container, folder: Path) -> None:
        super().appeared(container, folder)
        raise FileNotFoundError("its log")


def test_a_listener_that_fails_loses_nothing_else(tree: Tree) -> None:
    heard = Failing()
    with watching(tree, heard) as watch:
        started(tree)
        until(lambda: heard.kinds() == ["appeared", "file"])
        tree.write(name="renamed")
        until(lambda: heard.kinds() == ["appeared", "file", "changed"])
        assert watch.counts().failures == 1
        assert watch.error == ""


class UnreadableNotices(Notices):
    """A kernel whose notices cannot be read, until ``mended``."""

    mended = False

    def wait(self, seconds: float) -> list[Notice]:
        if not self.mended:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().wait(seconds)


def test_an_unexpected_error_ends_nothing(tree: Tree, heard: Heard) -> None:
    notices = UnreadableNotices()
    with watching(tree, heard, blind_sweep_seconds=0.02, notices=notices) as watch:
        until(lambda: watch.counts().failures > 0)
        notices.mended = True
        started(tree)
        until(lambda: heard.kinds() == ["appeared", "file"])


def test_a_watch_can_be_stopped_twice_and_before_its_start(tree: Tree, heard: Heard) -> None:
    FolderWatch(tree.root, heard).stop()
    with watching(tree, heard) as watch:
        watch.stop()
        started(tree)
    assert heard.all == []


def test_folders_that_are_not_there_are_refused_with_the_mount_that_is_missing(tmp_path: Path) -> None:
    watch = FolderWatch(tmp_path / "docker", Heard())
    with pytest.raises(FoldersUnreadable, match=r"there is no folder .*/docker/containers: .* -v .*:ro"):
        watch.start()
    watch.stop()


@pytest.fixture
def open_tree() -> Iterator[Tree]:
    """Make a tree that other users reach; root is another user while the test runs."""
    with TemporaryDirectory(prefix="compose-agent-folders-") as folder:
        Path(folder).chmod(0o755)
        tree = Tree(Path(folder) / "docker")
        started(tree)
        yield tree


@contextmanager
def unprivileged() -> Iterator[None]:
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("closed", ["", ID, f"{ID}/config.v2.json"])
def test_folders_without_permission_are_refused_with_what_is_missing(open_tree: Tree, closed: str) -> None:
    (open_tree.containers / closed).chmod(0)
    watch = FolderWatch(open_tree.root, Heard())
    with (
        unprivileged(),
        pytest.raises(FoldersUnreadable, match=r"cannot be read \(Permission denied\): run as root"),
    ):
        watch.start()
    (open_tree.containers / closed).chmod(0o700)


def test_a_wake_ends_a_wait_that_comes_later(tmp_path: Path) -> None:
    notices = Notices()
    notices.watch(Place(), tmp_path)
    notices.wake()
    before = time.monotonic()
    assert notices.wait(30.0) == []
    assert time.monotonic() - before < 10
    notices.close()
