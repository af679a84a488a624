"""Containers without the Engine's socket: what dockerd keeps of them in its own folders, read only.

::

    ROOT/containers/ID/            0710, made first of all
        config.v2.json             0600, moby container/container.go: the container with its State
        hostconfig.json            0600 or 0644, likewise: limits, log driver, network mode
        ID-json.log[.N[.gz]]       0640, made when the container starts (json-file)
        local-logs/container.log   0640, likewise (local)
        container-cached.log       0640, likewise: a copy of what other drivers send elsewhere
        hostname hosts resolv.conf resolv.conf.hash checkpoints/ mounts/

Both JSON files are written beside (``.tmp-…``) and renamed into place, hostconfig.json first, at each change
of state: create, start, die, pause, rename, update, connect. So a reader sees whole files only, each with a
new inode. ``docker rm`` writes ``Dead`` and then removes the files one by one, and the folder last; a
descriptor that is open by then keeps its file.

The files say what dockerd last wrote. Engine 20.10 writes each health check, Engine 28 does not, so health
may be older than what inspect says; 28 does not write ``RemovalInProgress`` either, so that a container that
is being removed is "dead" here. After a crash of dockerd a container is "running" in them until dockerd is
back.
"""
