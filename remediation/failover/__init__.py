"""Fail-over within a group of containers, as state machines that name one step at a time.

``active_passive``: one of the group runs, and another is started when it fails, but not before the one
that failed is seen to stand still. ``active_active``: all run, and those that are ill leave the group's
network, so that its DNS no longer names them, until they are well. ``groups`` reads who belongs to which
group.

Both machines have the same contract. ``next_step`` is given the members as they are **now**: inspected after
the step before has ended. It returns a step, the same one until ``ended`` is told how it ended, or None when
there is nothing to do. The state is a struct that its keeper writes down before a step is carried out; each
step has an id, so that a keeper that crashed may ask an actor for it again.
"""
