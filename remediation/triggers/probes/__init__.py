"""Own probes of containers that ask for them by label: over HTTP and TCP, as the kubelet has them.

``spec`` reads the labels, ``attempt`` asks once, ``streak`` counts, ``driver`` does it on time. There are no
exec probes: a ``healthcheck`` of the image or the service is one, the Engine runs it in the container, and
its result comes as an event.
"""
