# The image of Compose Agent: one program, compose-agent, with all its roles.
#
#     docker build -t custom/compose-agent .
#
# Behind a company's proxy give its certificate authority, and where packages come from, as secrets: neither stays in
# the image.
#
#     docker build -t custom/compose-agent \
#       --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt --secret id=pip,src=$HOME/.config/pip/pip.conf .
#
# Any base with Python 3.11 or newer and its venv module will do: --build-arg BASE=...
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS builder
# requirements.lock is the same without the sink for Kafka.
ARG REQUIREMENTS=requirements-kafka.lock
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/compose-agent
WORKDIR /src
COPY ${REQUIREMENTS} requirements-build.lock ./
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=secret,id=pip,target=/run/pip.conf \
    if [ -s /run/ca.crt ]; then export PIP_CERT=/run/ca.crt; fi; \
    if [ -s /run/pip.conf ]; then export PIP_CONFIG_FILE=/run/pip.conf; fi; \
    /opt/build/bin/pip install --require-hashes -r requirements-build.lock && \
    /opt/build/bin/pip --python /opt/compose-agent install --require-hashes -r ${REQUIREMENTS}
COPY pyproject.toml README.md LICENSE ./
COPY alerts alerts
COPY broker broker
COPY compose_agent compose_agent
COPY exporter exporter
COPY log_forwarder log_forwarder
COPY remediation remediation
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel . && \
    /opt/build/bin/pip --python /opt/compose-agent install --no-deps --no-index /tmp/wheel/*.whl
# What is in the image beside its base, as CycloneDX; `docker sbom` and scanners read what the base has by themselves.
COPY scripts/sbom.py scripts/sbom.py
RUN mkdir -p /opt/compose-agent/share && \
    /opt/compose-agent/bin/python scripts/sbom.py >/opt/compose-agent/share/sbom.cdx.json

FROM ${BASE}
ARG BASE
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Compose Agent" \
      org.opencontainers.image.description="Observability and self-healing for Docker Compose hosts" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}" \
      io.compose-agent.sbom="/opt/compose-agent/share/sbom.cdx.json"
COPY --from=builder /opt/compose-agent /opt/compose-agent
# A named volume takes over the owner of the folder that it is mounted on.
RUN install -d -m 0700 -o 65532 -g 65532 /var/lib/compose-agent
# There is no USER: root joins the group of the Engine's socket and becomes this user before anything else is done.
ENV COMPOSE_AGENT_CONTAINER_USER=65532:65532 \
    HOME=/ \
    PATH=/opt/compose-agent/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    COMPOSE_AGENT_STATE_DIR=/var/lib/compose-agent \
    COMPOSE_AGENT_EXPORTER_WEB_LISTEN_ADDRESS=:9417 \
    COMPOSE_AGENT_LOGS_WEB_LISTEN_ADDRESS=:9418
WORKDIR /
EXPOSE 9417 9418 9419
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["compose-agent", "health"]
ENTRYPOINT ["compose-agent"]
