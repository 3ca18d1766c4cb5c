# pareja in a container; `make docker-build` and `make docker-run` use it. The installation is the
# Makefile's, so that what the tests run is what the image runs.
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

# cpu, or cuda for torch's default build with the CUDA libraries (several gigabytes).
ARG DEVICE=cpu
ENV PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH \
    HOME=/tmp
WORKDIR /opt/pareja

# The packages come first and alone: this layer is built again only when they change.
COPY Makefile pyproject.toml constraints.txt README.md ./
RUN mkdir -p src/pareja && touch src/pareja/__init__.py \
    && if [ "$DEVICE" = cpu ]; then index=https://download.pytorch.org/whl/cpu; fi \
    && make runtime TORCH_INDEX="${index:-}"
COPY src src
COPY data data

RUN useradd --create-home --home-dir /work pareja
USER pareja
WORKDIR /work
ENTRYPOINT ["pareja"]
CMD ["demo", "--out", "out/demo"]
