"""What the manager sets on agents: layers with versions, what each agent is to have of them, roll-outs.

::

    push ──> Store ──> Layers ──> Desired (per agent: layers that match → merged files → hash)
                         ▲                 │ offered by the desk, pushed at once
              Rollouts ──┘ released        ▼
                  ▲                      agents ── APPLYING, APPLIED, FAILED ──> Office ──> history
                  └───────────────── gate: failed, unhealthy, silent ───────────────┘
"""
