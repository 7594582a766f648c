//! The port: `/health` and `/metrics`, until it is dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Pages;
use super::connection::BoundedListener;

/// What Prometheus is told that the page is.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A port on which a process tells how it is. It is closed when this is dropped.
#[derive(Debug)]
pub(crate) struct ObservePort {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ObservePort {
    /// Listens. An error names the address.
    pub(crate) async fn open(listen: SocketAddr, pages: impl Pages) -> io::Result<ObservePort> {
        let refused = |error: io::Error| {
            let text = format!("cannot listen on {listen} for health and metrics: {error}");
            io::Error::new(error.kind(), text)
        };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr()?;
        let pages: Arc<dyn Pages> = Arc::new(pages);
        let routes =
            Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(pages);
        let serving = axum::serve(BoundedListener::new(listener), routes);
        let task = tokio::spawn(async move {
            // It ends by an error of the listener alone, which tries again by itself.
            let _ = serving.await;
        });
        Ok(ObservePort { address, task })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ObservePort {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn health(State(pages): State<Arc<dyn Pages>>) -> Response {
    let health = pages.health();
    let code = StatusCode::from_u16(health.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match serde_json::to_string(&health) {
        Ok(body) => (code, [(header::CONTENT_TYPE, "application/json")], body + "\n").into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn metrics(State(pages): State<Arc<dyn Pages>>) -> Response {
    match pages.metrics() {
        Ok(page) => ([(header::CONTENT_TYPE, OPEN_METRICS)], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
