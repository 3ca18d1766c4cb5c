# pareja in a container; `make docker-build` and `make docker-run` use it. The installation is the
# Makefile's, so that what the tests run is what the image runs.
FROM python:3.11-slim AS build

RUN apt-get update && apt-get install --yes --no-install-recommends make

# The optional parts of pareja; with `models` come torch and its CUDA libraries, several gigabytes.
ARG EXTRAS=server
ENV PIP_NO_CACHE_DIR=1 VENV=/opt/venv
WORKDIR /opt/pareja

# The packages come first and alone: this layer is built again only when they change.
COPY Makefile pyproject.toml constraints.txt README.md ./
RUN mkdir -p src/pareja && touch src/pareja/__init__.py && make runtime EXTRAS="$EXTRAS"
COPY src src
COPY data data
RUN /opt/venv/bin/python -m compileall -q src

FROM python:3.11-slim
COPY --from=build /opt /opt
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp
RUN useradd --create-home --home-dir /work pareja
USER pareja
WORKDIR /work
ENTRYPOINT ["pareja"]
CMD ["demo", "--out", "out/demo"]
