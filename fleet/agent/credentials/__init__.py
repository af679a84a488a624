"""The agent's own credential: asked for after joining, tried before it is kept, renewed before it ends."""

from fleet.agent.credentials.keeper import Candidate, Credentials
from fleet.agent.credentials.store import CredentialFile, Kept

__all__ = ["Candidate", "CredentialFile", "Credentials", "Kept"]
