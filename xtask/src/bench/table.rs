//! The figures, and how they are shown.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde::Serialize;

use super::{
    gateways::Gateway,
    phases::{Measured, PhaseName},
};

/// Cores of other work beyond which figures are not to be quoted.
const BEARABLE: f64 = 0.3;

/// All that was measured of one gateway.
#[derive(Debug, Default, Serialize)]
pub(super) struct Record {
    pub(super) starts_ms: Vec<f64>,
    pub(super) rest_mb: f64,
    pub(super) peak_mb: f64,
    /// Answers that the load generator had of it, those of warm-ups and starts included.
    pub(super) answers: u64,
    /// Usage rows that it says it has.
    pub(super) usage_rows: Option<u64>,
    pub(super) measured: Vec<Measured>,
}

pub(super) type Records = BTreeMap<Gateway, Record>;

/// A line of the table.
struct Row {
    name: &'static str,
    value: fn(&Record, &Record) -> Option<f64>,
    /// The upstream alone has a figure too.
    direct: bool,
    /// A ratio of it means something.
    ratio: bool,
    decimals: usize,
}

const ROW: Row = Row { name: "", value: |_, _| None, direct: false, ratio: true, decimals: 1 };

/// The median of a figure over the runs of a phase.
fn median(record: &Record, phase: PhaseName, of: impl Fn(&Measured) -> f64) -> Option<f64> {
    middle(record.measured.iter().filter(|m| m.phase == phase).map(of).collect())
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    let upper = *values.get(half)?;
    if !values.len().is_multiple_of(2) {
        return Some(upper);
    }
    values.get(half.checked_sub(1)?).map(|lower| f64::midpoint(*lower, upper))
}

/// What a gateway adds to the upstream's own figure.
fn added(
    record: &Record,
    direct: &Record,
    phase: PhaseName,
    of: impl Fn(&Measured) -> f64,
) -> Option<f64> {
    Some(median(record, phase, &of)? - median(direct, phase, &of)?)
}

const ROWS: [Row; 17] = {
    use PhaseName as P;
    [
        Row {
            name: "CPU µs / request, 1 kB",
            value: |r, _| median(r, P::Short, Measured::cpu_us_per_answer),
            ..ROW
        },
        Row {
            name: "  of it in the kernel",
            value: |r, _| median(r, P::Short, |m| m.system_s * 1e6 / m.report.ok.max(1) as f64),
            ..ROW
        },
        Row {
            name: "CPU µs / event, back to back",
            value: |r, _| median(r, P::Stream, Measured::cpu_us_per_event),
            decimals: 2,
            ..ROW
        },
        Row {
            name: "CPU µs / event, paced",
            value: |r, _| median(r, P::Paced, Measured::cpu_us_per_event),
            decimals: 2,
            ..ROW
        },
        Row {
            name: "CPU µs / request, 100 kB",
            value: |r, _| median(r, P::Large, Measured::cpu_us_per_answer),
            ..ROW
        },
        Row {
            name: "CPU µs / request, bridged",
            value: |r, _| median(r, P::Bridged, Measured::cpu_us_per_answer),
            ..ROW
        },
        Row {
            name: "CPU µs / event, bridged",
            value: |r, _| median(r, P::BridgedPaced, Measured::cpu_us_per_event),
            decimals: 2,
            ..ROW
        },
        Row {
            name: "requests/s, 1 kB",
            value: |r, _| median(r, P::Short, |m| m.report.ok_per_s),
            direct: true,
            decimals: 0,
            ..ROW
        },
        Row {
            name: "events/s, back to back",
            value: |r, _| median(r, P::Stream, Measured::events_per_s),
            direct: true,
            decimals: 0,
            ..ROW
        },
        Row {
            name: "requests/s, 100 kB",
            value: |r, _| median(r, P::Large, |m| m.report.ok_per_s),
            direct: true,
            decimals: 0,
            ..ROW
        },
        Row {
            name: "added latency, p50 µs",
            value: |r, d| added(r, d, P::Latency, |m| m.report.latency.p50_us),
            ..ROW
        },
        Row {
            name: "added latency, p99 µs",
            value: |r, d| added(r, d, P::Latency, |m| m.report.latency.p99_us),
            ..ROW
        },
        Row {
            name: "first event, added p50 µs",
            value: |r, d| added(r, d, P::Paced, |m| m.report.first_byte.p50_us),
            ..ROW
        },
        Row { name: "memory at rest, MB", value: |r, _| Some(r.rest_mb), ..ROW },
        Row { name: "memory at its peak, MB", value: |r, _| Some(r.peak_mb), ..ROW },
        Row { name: "start to first 200, ms", value: |r, _| middle(r.starts_ms.clone()), ..ROW },
        Row {
            name: "failed or malformed answers",
            value: |r, _| Some(r.measured.iter().map(|m| m.report.failed as f64).sum()),
            direct: true,
            ratio: false,
            decimals: 0,
        },
    ]
};

/// A column: a gateway's figures, or what they are to another's.
#[derive(Clone, Copy)]
enum Column {
    Figures(Gateway),
    Ratio(Gateway, Gateway),
}

/// The table as text.
pub(super) fn render(records: &Records) -> String {
    let columns = columns(records);
    let none = Record::default();
    let direct = records.get(&Gateway::Direct).unwrap_or(&none);
    let mut text = format!("{:<30}", "");
    for column in &columns {
        let title = match column {
            Column::Figures(gateway) => gateway.name().to_owned(),
            Column::Ratio(_, to) => format!("÷ {}", to.name().replace("bare proxy", "bare")),
        };
        text += &pad(&title);
    }
    text.push('\n');
    for row in &ROWS {
        text += &format!("{:<30}", row.name);
        for column in &columns {
            let value = |gateway: Gateway| {
                let shown = row.direct || gateway != Gateway::Direct;
                records.get(&gateway).filter(|_| shown).and_then(|r| (row.value)(r, direct))
            };
            let cell = match *column {
                Column::Figures(gateway) => value(gateway).map(|v| grouped(v, row.decimals)),
                Column::Ratio(of, to) => {
                    let ratio = value(of)
                        .zip(value(to))
                        .filter(|(of, to)| row.ratio && *of > 0.0 && *to > 0.0);
                    ratio.map(|(of, to)| format!("{:.2}", of / to))
                }
            };
            text += &pad(&cell.unwrap_or_else(|| "–".to_owned()));
        }
        text.push('\n');
    }
    text
}

fn columns(records: &Records) -> Vec<Column> {
    let mut columns = Vec::new();
    for &gateway in records.keys() {
        columns.push(Column::Figures(gateway));
        for to in [Gateway::Proxy, Gateway::Nginx] {
            if to < gateway && records.contains_key(&to) {
                columns.push(Column::Ratio(gateway, to));
            }
        }
    }
    columns
}

fn pad(cell: &str) -> String {
    format!("{cell:>12}")
}

/// `87436` as `87,436`.
fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (sign, text) = text.strip_prefix('-').map_or(("", &*text), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').map_or((text, ""), |(whole, f)| (whole, f));
    let mut out = sign.to_owned();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && whole.len().saturating_sub(n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        // Writing to a string cannot fail.
        let _written = write!(out, ".{fraction}");
    }
    out
}

/// What went wrong and what to doubt, line by line.
pub(super) fn doubts(records: &Records) -> Vec<String> {
    let mut doubts = Vec::new();
    let mut limited = BTreeSet::new();
    let (mut disturbed, mut most) = (0_u32, 0.0_f64);
    for (gateway, record) in records {
        for m in &record.measured {
            let what = format!("{}, {:?}", gateway.name(), m.phase).to_lowercase();
            for (error, count) in &m.report.errors {
                doubts.push(format!("{what}: {count} × {error}"));
            }
            if m.foreign_cores > BEARABLE {
                disturbed = disturbed.saturating_add(1);
                most = most.max(m.foreign_cores);
            }
            if m.upstream_cores > 0.97 && m.phase != PhaseName::Latency {
                limited.insert(what);
            }
        }
    }
    if !limited.is_empty() {
        let limited: Vec<String> = limited.into_iter().collect();
        doubts.push(format!("the upstream was the limit of the rate in {}", limited.join("; ")));
    }
    if disturbed > 0 {
        doubts.push(format!(
            "other work on this machine kept up to {most:.1} cores busy, in {disturbed} loads: \
             do not quote these figures"
        ));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(middle(vec![]), None);
        assert_eq!(middle(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(middle(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(87436.4, 0), "87,436");
        assert_eq!(grouped(-1234.56, 1), "-1,234.6");
        assert_eq!(grouped(12.0, 2), "12.00");
    }

    #[test]
    fn ratios_are_to_the_bare_proxy_and_to_nginx() {
        let record = |start| Record { starts_ms: vec![start], ..Record::default() };
        let records = Records::from([
            (Gateway::Proxy, record(10.0)),
            (Gateway::Nginx, record(20.0)),
            (Gateway::Tollgate, record(30.0)),
        ]);
        let table = render(&records);
        let line = table.lines().find(|line| line.starts_with("start to first 200"));
        let cells: Vec<&str> = line.unwrap_or_default().split_whitespace().skip(5).collect();
        assert_eq!(cells, ["10.0", "20.0", "2.00", "30.0", "3.00", "1.50"]);
    }
}
