# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
WORKDIR /src
# What `mailgrant doctor` and the page About say the program was built from, and when.
ARG MAILGRANT_BUILD_COMMIT=""
ARG MAILGRANT_BUILD_DATE=""
COPY . .
# What is compiled stays in the builder's cache, so that the next build takes only what changed.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin mailgrant \
    && install -D -m 0755 target/release/mailgrant /out/mailgrant

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 mailgrant \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin mailgrant \
    && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /out/mailgrant /usr/local/bin/mailgrant
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/mailgrant/

ENV MAILGRANT_DATA_DIR=/data \
    MAILGRANT_LISTEN=0.0.0.0:8080
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM

# Asks the server itself; the image has no HTTP client, and bash can open the connection.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["bash", "-c", "exec 3<>\"/dev/tcp/127.0.0.1/${MAILGRANT_LISTEN##*:}\" && printf 'GET /health/live HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]

CMD ["mailgrant", "serve"]
