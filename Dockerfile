# Client, server and sniffer are one image: docker build --target lab. The target `test` runs the tests inside.
# Without a container registry scripts/base-image makes the base.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS packages
RUN apt-get update -qq \
    && apt-get install -qq --no-install-recommends python3-venv ca-certificates >/dev/null \
    && rm -rf /var/lib/apt/lists/*
COPY requirements.lock .
RUN python3 -m venv /opt/lab \
    && /opt/lab/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
    && /opt/lab/bin/pip uninstall --quiet --yes hatchling editables pip

FROM ${BASE} AS lab
RUN apt-get update -qq \
    && apt-get install -qq --no-install-recommends python3 >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /usr/share/doc /usr/share/man
COPY --from=packages /opt/lab /opt/lab
ENV PATH=/opt/lab/bin:$PATH PYTHONPATH=/lab PYTHONUNBUFFERED=1 LANG=C.UTF-8
WORKDIR /lab
COPY lab lab
RUN python3 -m compileall -q lab
ENTRYPOINT ["python3", "-m", "lab.app.container"]

FROM packages AS tools
COPY requirements-dev.lock .
RUN python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-dev.lock

FROM lab AS test
COPY --from=tools /opt/tools /opt/tools
ENV PATH=/opt/tools/bin:$PATH
COPY . .
ENTRYPOINT ["python3", "-m", "pytest", "-p", "no:cacheprovider"]
