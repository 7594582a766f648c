# The image of `podway`: proxy, topology node and every administrative command.
#   docker build -t podway .
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin podway

FROM debian:bookworm-slim
# openssl: `compose/make-secrets` makes the certificates of a new cluster with it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends openssl \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 podway \
    && useradd --uid 10001 --gid podway --home-dir /var/lib/podway --shell /usr/sbin/nologin podway \
    && install -d -o podway -g podway -m 0700 /var/lib/podway
COPY --from=build /src/target/release/podway /usr/local/bin/podway
USER podway
VOLUME /var/lib/podway
# 6033: MySQL clients (proxy). 7400: proxies and administrators, 7401: other nodes (topology).
EXPOSE 6033 7400 7401
ENTRYPOINT ["podway"]
CMD ["--help"]
