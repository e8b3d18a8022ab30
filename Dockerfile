# Serves the page and the interface on a CPU; docs/serve.md says how to build and run it.
FROM python:3.11-slim AS build

# Where wheels of torch are, such as PyTorch's own index of CPU builds; else from pip's index, which
# for some machines has those with CUDA alone: gigabytes that a CPU has no use for.
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

RUN python -m venv /opt/egoframe
WORKDIR /build
COPY constraints.txt ./
RUN /opt/egoframe/bin/pip install -c constraints.txt \
        ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch==2.13.0
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN /opt/egoframe/bin/pip install -c constraints.txt ".[serve]"

FROM python:3.11-slim

# The cache is made here so that a volume in its place belongs to the user.
RUN useradd --create-home --uid 1000 egoframe \
    && install -d -o egoframe -g egoframe /home/egoframe/.cache/egoframe
COPY --from=build /opt/egoframe /opt/egoframe
ENV PATH=/opt/egoframe/bin:$PATH PYTHONUNBUFFERED=1
USER egoframe
WORKDIR /home/egoframe
VOLUME /home/egoframe/.cache
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
ENTRYPOINT ["egoframe"]
CMD ["serve", "--host", "0.0.0.0"]
