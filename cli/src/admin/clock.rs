//! Times of the topology as people read them: UTC, to the second; and how long ago. No clock is read but the one that is passed in.

use podway_topology_api::LogTime;

/// `2026-11-20 17:03:09Z`.
pub(super) fn shown(time: LogTime) -> String {
    let seconds = time.0 / 1_000;
    let (year, month, day) = date(seconds / 86_400);
    let rest = seconds % 86_400;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// `850 ms`, `12 s`, `5 min`, `3 h`, `2 d`.
pub(super) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

/// The Gregorian date of a day counted from 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_utc() {
        let cases = [
            (0, "1970-01-01 00:00:00Z"),
            (951_827_696_000, "2000-02-29 12:34:56Z"),
            (1_735_689_599_999, "2024-12-31 23:59:59Z"),
            (4_107_542_400_000, "2100-03-01 00:00:00Z"),
        ];
        for (ms, text) in cases {
            assert_eq!(shown(LogTime(ms)), text);
        }
    }

    #[test]
    fn spans_print_in_the_unit_that_fits() {
        let cases = [
            (999, "999 ms"),
            (1_000, "1 s"),
            (119_999, "119 s"),
            (3_600_000, "60 min"),
            (172_800_000, "2 d"),
        ];
        for (ms, text) in cases {
            assert_eq!(span(ms), text);
        }
    }
}
