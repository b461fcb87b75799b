# One image for every ATS service; docker-compose.yml picks the command. Not built here (no Docker engine where this was
# written): checked are the instructions' files and that the same pip commands work outside of a container.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements/runtime.lock requirements/runtime.lock
RUN python -m venv /opt/ats && /opt/ats/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY bus bus
COPY dhan dhan
COPY streams streams
COPY agents agents
COPY executors executors
COPY simulator simulator
COPY audit audit
COPY backtest backtest
COPY ats ats
COPY supabase supabase
RUN /opt/ats/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
RUN useradd --create-home --uid 10001 ats
COPY --from=build /opt/ats /opt/ats
ENV PATH=/opt/ats/bin:$PATH PYTHONUNBUFFERED=1 ATS_LOG_FORMAT=json NUMBA_CACHE_DIR=/home/ats/numba
USER ats
WORKDIR /home/ats
# a volume that is mounted here belongs to ats then
RUN mkdir state
# compile the engine's kernels into the image, never in the middle of a stream
RUN python -c "from streams.engine.machine import warm_up; warm_up()"
ENTRYPOINT ["ats"]
CMD ["--help"]
