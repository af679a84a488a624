"""What remediation must not forget: signals, episodes, intents, budgets and the audit, in one SQLite file.

::

    journal = Journal(state_dir)
    journal.receive(signals)                        # on disk, with fsync, when it returns
    journal.write(lambda tx: tx.put_intent(intent)) # one transaction; StateError if it is not on disk
    journal.read(lambda view: view.in_state(State.EXECUTING))
"""

from compose_agent.audit.chain import Entry
from remediation.journal.journal import Journal, look, verify_audit
from remediation.journal.records import FREEZE_FLAG, Occurrence
from remediation.journal.tx import Fault, Tx
from remediation.journal.view import View

__all__ = ["FREEZE_FLAG", "Entry", "Fault", "Journal", "Occurrence", "Tx", "View", "look", "verify_audit"]
