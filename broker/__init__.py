"""The broker: the only process that has the Engine's socket, and what of the Engine others get through it.

``read.sock`` answers an exact list of questions (``routes``), ``act.sock`` performs the verbs, once for each
id and within budgets. Neither ever passes on a request: what goes to the Engine is written here.
"""
