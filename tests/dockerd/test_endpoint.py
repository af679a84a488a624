"""Where the Engine is looked for, in which order."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compose_agent.dockerd.endpoint import Endpoint, find_endpoint, usual_sockets
from compose_agent.errors import ConfigError

ROOT = Path(__file__).parents[2]
HOME = {"HOME": "/home/me", "XDG_RUNTIME_DIR": "/run/user/7"}
UNKNOWN = "expected a path, unix://PATH, tcp://HOST:PORT or ssh://USER@HOST, not"
SOCKETS = [
    "/var/run/docker.sock",
    "/run/user/7/docker.sock",
    "/home/me/.docker/run/docker.sock",
    "/home/me/.docker/desktop/docker.sock",
    "/run/podman/podman.sock",
    "/run/user/7/podman/podman.sock",
]


def found(configured: str | None = None, there: tuple[str, ...] = (), **environ: str) -> Endpoint:
    return find_endpoint(configured, {**HOME, **environ}, is_socket=lambda path: str(path) in there)


@pytest.mark.parametrize(
    ("configured", "environ", "there", "expected"),
    [
        ("/a.sock", {"DOCKER_HOST": "/b.sock"}, SOCKETS, ("unix:///a.sock", "docker.host")),
        ("unix:///a.sock", {}, SOCKETS, ("unix:///a.sock", "docker.host")),
        ("tcp://h:1", {}, SOCKETS, ("tcp://h:1", "docker.host")),
        (None, {"DOCKER_HOST": "/b.sock"}, SOCKETS, ("unix:///b.sock", "environment DOCKER_HOST")),
        (None, {"DOCKER_HOST": "tcp://[::1]:1"}, SOCKETS, ("tcp://[::1]:1", "environment DOCKER_HOST")),
        (None, {"DOCKER_HOST": ""}, SOCKETS, (f"unix://{SOCKETS[0]}", "found")),
        *((None, {}, SOCKETS[n:], (f"unix://{SOCKETS[n]}", "found")) for n in range(len(SOCKETS))),
        (None, {}, (), ("unix:///var/run/docker.sock", "default")),
    ],
)
def test_the_first_endpoint_in_order_is_taken(
    configured: str | None, environ: dict[str, str], there: tuple[str, ...], expected: tuple[str, str]
) -> None:
    endpoint = found(configured, tuple(there), **environ)
    assert (endpoint.host, endpoint.origin) == expected


def test_without_a_home_or_a_runtime_folder_there_are_still_sockets_to_look_for() -> None:
    assert [str(each) for each in usual_sockets({}, 7)] == [
        each.replace("/home/me", "/root") for each in SOCKETS
    ]


def test_a_folder_that_may_not_be_entered_is_passed_over() -> None:
    def is_socket(path: Path) -> bool:
        if "podman" not in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return True

    assert find_endpoint(None, HOME, is_socket=is_socket).host == "unix:///run/podman/podman.sock"


def test_without_a_home_or_with_a_closed_one_there_is_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(self: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "is_file", closed)
    for environ in ({}, {"HOME": "/root"}, {"DOCKER_CONFIG": "/root/.docker", "DOCKER_CONTEXT": "far"}):
        assert find_endpoint(None, environ, is_socket=lambda _: False).origin == "default"


@pytest.mark.parametrize(
    "host",
    [
        "nonsense",
        "foo:bar",
        "tcp://",
        "tcp://host",
        "tcp://host:bad",
        "tcp://host:99999",
        "npipe:////./x",
        "fd://3",
        "unix://",
    ],
)
@pytest.mark.parametrize("origin", ["docker.host", "environment DOCKER_HOST"])
def test_an_address_that_is_none_is_refused_with_its_origin(host: str, origin: str) -> None:
    configured, named = (host, "") if origin == "docker.host" else (None, host)
    with pytest.raises(ConfigError) as caught:
        found(configured, DOCKER_HOST=named)
    assert str(caught.value) == f"{origin}: {UNKNOWN} '{host}'"


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("unix:///a b.sock", "/a b.sock"),
        ("unix://rel.sock", "rel.sock"),
        ("tcp://h:1", None),
        ("ssh://me@h", None),
    ],
)
def test_only_a_unix_endpoint_has_a_path(host: str, path: str | None) -> None:
    assert Endpoint(host, "test").socket_path == (Path(path) if path else None)


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    for name in ("cert.pem", "key.pem", "ca.pem"):
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.mark.parametrize(("verify", "checked"), [("1", True), ("", False)])
@pytest.mark.parametrize("configured", [None, "tcp://h:1"])
def test_tls_is_what_the_environment_says(
    certs: Path, configured: str | None, verify: str, checked: bool
) -> None:
    tls = found(
        configured, DOCKER_HOST="tcp://h:1", DOCKER_TLS_VERIFY=verify, DOCKER_CERT_PATH=str(certs)
    ).tls
    assert tls.cert == (str(certs / "cert.pem"), str(certs / "key.pem"))
    assert (tls.ca_cert, tls.verify) == (str(certs / "ca.pem"), checked)


@pytest.mark.parametrize("host", ["unix:///x", "/x"])
def test_a_socket_has_no_tls(certs: Path, host: str) -> None:
    assert found(DOCKER_HOST=host, DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(certs)).tls is None


def test_certificates_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        found(DOCKER_HOST="tcp://h:1", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(tmp_path))
    assert str(caught.value) == (
        f"environment DOCKER_CERT_PATH: expected cert.pem, key.pem and ca.pem in {tmp_path}"
    )


# The library reads the CLI's files from where the environment of the process says.
PROGRAM = """
import os
from compose_agent.dockerd.endpoint import find_endpoint
found = find_endpoint(None, os.environ, is_socket=lambda _: False)
print(found.host, "|", found.origin)
"""


def in_process(folder: Path, **environ: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DOCKER_CONFIG": str(folder), **environ}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout.strip() or done.stderr


def make_context(folder: Path, name: str, host: str) -> None:
    meta = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    endpoints = {"docker": {"Host": host, "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))


DEFAULT = "unix:///var/run/docker.sock | default"


@pytest.mark.parametrize(
    ("config", "environ", "expected"),
    [
        ('{"currentContext": "lab"}', {}, "tcp://10.0.0.1:2375 | context lab"),
        ("{}", {"DOCKER_CONTEXT": "lab"}, "tcp://10.0.0.1:2375 | context lab"),
        ('{"currentContext": "lab"}', {"DOCKER_HOST": "/x"}, "unix:///x | environment DOCKER_HOST"),
        ('{"currentContext": "lab"}', {"DOCKER_CONTEXT": "default"}, DEFAULT),
        ("{}", {}, DEFAULT),
        ('{"auths": {}, "currentContext": ""}', {}, DEFAULT),
        ('{"currentContext": "default"}', {}, DEFAULT),
        ('{"currentContext": 7}', {}, DEFAULT),
        (None, {}, DEFAULT),
        ('{"currentContext": "gone"}', {}, DEFAULT),
        ("{", {}, DEFAULT),
        ("[]", {}, DEFAULT),
    ],
)
def test_the_context_of_the_cli_comes_before_the_usual_sockets(
    tmp_path: Path, config: str | None, environ: dict[str, str], expected: str
) -> None:
    make_context(tmp_path, "lab", "tcp://10.0.0.1:2375")
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    assert in_process(tmp_path, **environ) == expected
