"""Whether numbered lines of a real container arrive at a sink, each of them once.

A :class:`~log_forwarder.verify.writer.Writer` has a short container write lines with a marker that nothing
else has, and with so small a ``max-size`` that Docker rotates its log meanwhile. The container stays until
all is counted, so that Docker removes nothing. Its labels switch all transforms off.

The lines are counted along a *course*, a forwarder and a place at its end: the running forwarder and a sink
that can be read back, or else a forwarder of our own (:mod:`log_forwarder.verify.own`) and a counting sink.
A count is taken when the forwarder has nothing of the container on its way any more, so that nothing is to
come that would be lost now or repeated later.
"""
