//! `/health…`: is this process there, can it serve, and how are its targets.

use std::time::Duration;

use serde_json::{Value, json};

use super::members;
use crate::core::Gateway;

/// Whoever asks whether we are ready does not wait for long either.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// `GET /health/readiness`: whether requests are served, and the state of what they depend on.
/// Not ready while draining; a database that is down is told but does not stop keys that are known.
pub async fn readiness(gw: &Gateway) -> (bool, Value) {
    let ready = gw.is_ready();
    let ping = tokio::time::timeout(PING_TIMEOUT, gw.store.ping()).await;
    let connected = ping.is_ok_and(|answer| answer.is_ok());
    let status = match (ready, connected) {
        (true, true) => "healthy",
        (true, false) => "degraded",
        (false, _) => "draining",
    };
    let body = json!({
        "status": status,
        "db": if connected { "connected" } else { "Not connected" },
        "keys_loaded": gw.keys.is_warm(),
        "journal_pending": gw.recorder.pending(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    (ready, body)
}

/// `GET /health`: each target's state as the traffic showed it. No call is made: LiteLLM's
/// `/health` costs money, this one does not.
pub fn targets(gw: &Gateway, now_ms: u64) -> Value {
    let snapshot = gw.snapshot.load();
    let mut healthy = Vec::new();
    let mut unhealthy = Vec::new();
    for (group, member) in members(&snapshot.table) {
        let cooling_ms = member.health.cooling(now_ms).unwrap_or(0);
        let shown = json!({
            "model_name": group,
            "model": format!("{}/{}", member.target.provider.name, member.target.model),
            "model_id": member.target.id,
            "in_flight": member.health.in_flight(),
            "cooldown_seconds": cooling_ms.div_ceil(1_000),
        });
        if cooling_ms == 0 { healthy.push(shown) } else { unhealthy.push(shown) }
    }
    json!({
        "healthy_count": healthy.len(),
        "unhealthy_count": unhealthy.len(),
        "healthy_endpoints": healthy,
        "unhealthy_endpoints": unhealthy,
    })
}
