"""TLS towards servers that speak a protocol of their own, switched on with ``tls=1``."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from compose_agent.config import kinds
from log_forwarder.sinks.word import SinkWord

OPTIONS = {
    "tls": "Whether to connect with TLS (default false).",
    "ca": "File with the certificates of trusted authorities; default: those of the system.",
    "cert": "File with the client's certificate, for a server that asks for one.",
    "key": "File with the private key of the client's certificate; default: it stands in the same file.",
    "server-name": "Name that the server's certificate must have; default: the host of the address.",
    "insecure": "Whether to take any certificate of the server, whoever made it (default false).",
}
_ONLY_WITH_TLS = ("ca", "cert", "key", "server-name", "insecure")


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Where certificates lie, and what is checked; ``server_name`` is empty for the host of the address."""

    word: SinkWord
    ca: Path | None
    cert: Path | None
    key: Path | None
    server_name: str
    insecure: bool

    @classmethod
    def read(cls, word: SinkWord) -> Self | None:
        """Return the options of a word, None without ``tls=1``; raises ConfigError."""
        if not word.read("tls", kinds.boolean, default=False):
            for name in _ONLY_WITH_TLS:
                if name in word.options:
                    raise word.problem(f"{name}: has a meaning only with tls=1")
            return None
        options = cls(
            word,
            word.path_of("ca"),
            word.path_of("cert"),
            word.path_of("key"),
            word.read("server-name", kinds.string, ""),
            word.read("insecure", kinds.boolean, default=False),
        )
        options._check()
        return options

    def _check(self) -> None:
        if self.key and not self.cert:
            raise self.word.problem("key: needs cert= as well")
        if self.insecure and self.ca:
            raise self.word.problem("ca: has no meaning with insecure=1, which trusts every certificate")
        self.context()

    def context(self) -> ssl.SSLContext:
        """Return a context with what the files hold now, so that renewed certificates are taken.

        ConfigError when one cannot be used.
        """
        context = self._trusting()
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert:
            try:
                # Without a password function OpenSSL would ask the terminal.
                context.load_cert_chain(self.cert, self.key, password=lambda: b"")
            except (ssl.SSLError, OSError) as error:
                raise self.word.problem(
                    f"cert: {self.cert} and {self.key or 'its key'} cannot be used ({_reason(error)}),"
                    " expected a PEM certificate and its unencrypted key"
                ) from error
        return context

    def _trusting(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (ssl.SSLError, OSError) as error:
            raise self.word.problem(
                f"ca: {self.ca} cannot be used ({_reason(error)}), expected PEM certificates"
            ) from error
        # Whatever stands in the file is trusted, and certificates of many guides, which lack extensions,
        # are taken by every Python and not only by those before 3.13.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT
        return context


def _reason(error: OSError) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or str(error)
