# Client, server and sniffer are one image: docker build --target lab. The target `test` runs the tests inside,
# `test-wireshark` those that ask tshark, with Debian's newer one.
# Without a container registry scripts/base-image makes the base.
# What an image is made of stands above it, so that a build leaves no image without a name behind.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS packages
COPY requirements.lock .
RUN apt-get update -qq \
    && apt-get install -qq --no-install-recommends python3 python3-venv ca-certificates >/dev/null \
    && python3 -m venv /opt/lab \
    && /opt/lab/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock \
    && /opt/lab/bin/pip uninstall --quiet --yes hatchling editables pip \
    && apt-get purge -qq --auto-remove python3-venv >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /usr/share/doc /usr/share/man

FROM packages AS lab
ENV PATH=/opt/lab/bin:$PATH PYTHONPATH=/lab PYTHONUNBUFFERED=1 LANG=C.UTF-8
WORKDIR /lab
COPY lab lab
RUN python3 -m compileall -q lab
ENTRYPOINT ["python3", "-m", "lab.app.container"]

FROM lab AS test
COPY requirements-dev.lock .
RUN apt-get update -qq \
    && apt-get install -qq --no-install-recommends python3-venv ca-certificates >/dev/null \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-dev.lock
ENV PATH=/opt/tools/bin:$PATH
COPY . .
ENTRYPOINT ["python3", "-m", "pytest", "-p", "no:cacheprovider"]

FROM test AS test-wireshark
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends tshark >/dev/null \
    && rm -rf /var/lib/apt/lists/*
