//! The metrics page: numbers with their names and meaning, in the text format of OpenMetrics, which Prometheus reads. The format itself is
//! `prometheus_client`'s.

use std::fmt;

use podway_proxy::{LatencySnapshot, Measured, MeasuredKind};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// Every name begins so.
const PREFIX: &str = "podway";

/// What a page shows, as it reads at one moment.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Numbers without labels.
    pub numbers: Vec<Measured>,
    /// Gauges with one label each.
    pub labelled: Vec<Labelled>,
    /// How long statements took.
    pub latency: Option<LatencySnapshot>,
}

/// A gauge that reads once for each value of a label.
#[derive(Debug)]
pub(crate) struct Labelled {
    /// Its name, without the prefix.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// The label's name.
    pub label: &'static str,
    /// By the label's value.
    pub values: Vec<(String, i64)>,
}

impl Page {
    /// The page as text.
    pub(crate) fn text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        text::encode(&mut page, &registry)?;
        Ok(page)
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for one in &self.numbers {
            match one.kind {
                MeasuredKind::Counter => {
                    let counter = ConstCounter::new(one.value);
                    counter.encode(encoder.encode_descriptor(
                        one.name,
                        one.help,
                        None,
                        counter.metric_type(),
                    )?)?;
                }
                MeasuredKind::Gauge => {
                    let gauge = ConstGauge::new(i64::try_from(one.value).unwrap_or(i64::MAX));
                    gauge.encode(encoder.encode_descriptor(
                        one.name,
                        one.help,
                        None,
                        gauge.metric_type(),
                    )?)?;
                }
            }
        }
        for one in &self.labelled {
            let mut family = encoder.encode_descriptor(one.name, one.help, None, MetricType::Gauge)?;
            for (value, reads) in &one.values {
                let labels = [(one.label, value.as_str())];
                ConstGauge::new(*reads).encode(family.encode_family(&labels)?)?;
            }
        }
        let Some(latency) = &self.latency else { return Ok(()) };
        let help = "How long statements took, from the client's last byte to the answer's last one";
        let mut histogram =
            encoder.encode_descriptor("statement_seconds", help, None, MetricType::Histogram)?;
        let mut buckets: Vec<(f64, u64)> =
            latency.doublings().map(|(bound, count)| (bound.as_secs_f64(), count)).collect();
        if let Some((bound, _)) = buckets.last_mut() {
            *bound = f64::MAX;
        }
        histogram.encode_histogram::<NoLabelSet>(
            latency.took().as_secs_f64(),
            latency.count(),
            &buckets,
            None,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let counter = Measured::counter("statements", 3, "Statements that clients sent");
        let gauge = Measured::gauge("sessions", 3, "Sessions that are open");
        let labelled = Labelled {
            name: "backend_connections",
            help: "Open connections",
            label: "server",
            values: vec![("10.0.0.1:3306".to_owned(), 2)],
        };
        let page = Page { numbers: vec![counter, gauge], labelled: vec![labelled], latency: None };
        let text = page.text().unwrap();
        let lines = [
            "# TYPE podway_statements counter",
            "podway_statements_total 3",
            "podway_sessions 3",
            "podway_backend_connections{server=\"10.0.0.1:3306\"} 2",
            "# EOF",
        ];
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
