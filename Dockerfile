# One image whose command says what it does: `api`, `worker` or `migrate`.
# The base can be a mirror's, or a digest: --build-arg BASE=...
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src

# The whole lock, each wheel checked against its hash. It is the only step that asks the network.
COPY requirements.lock ./
RUN pip download --quiet --require-hashes --no-deps --only-binary :all: --dest /wheels --requirement requirements.lock

# From those wheels and nothing else: what the extra `server` needs, and setuptools to build Tidemark itself. So the
# image has a subset of the lock, and there is no second list that could drift from it.
COPY pyproject.toml README.md ./
COPY services services
COPY license_api license_api
COPY report_worker report_worker
COPY site_manager site_manager
COPY ops ops
COPY migrations migrations
RUN python -m venv --without-pip /opt/tidemark \
    && pip --python /opt/tidemark/bin/python install --quiet --no-index --find-links /wheels "/src[server]"


FROM ${BASE}
LABEL org.opencontainers.image.title="Tidemark" \
      org.opencontainers.image.description="Metered licence keys for backup agents: License API and report worker"
# HOME: a numeric user has no entry in /etc/passwd, and asyncpg asks for one. Bytecode was compiled by the build.
ENV PATH=/opt/tidemark/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /opt/tidemark /opt/tidemark
WORKDIR /
USER 65532:65532
EXPOSE 8080

# No HEALTHCHECK: it would hold for all three commands, and only the API has an address to ask. deploy/compose.yaml
# gives the API its own. Exec form: SIGTERM reaches Python, which drains.
ENTRYPOINT ["tidemark"]
CMD ["--help"]
