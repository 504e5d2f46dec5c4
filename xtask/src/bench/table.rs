//! Two results side by side.

use std::collections::BTreeSet;

use super::{Unit, Values};

/// A benchmark, before and now.
#[derive(Debug, PartialEq)]
pub(super) struct Row<'a> {
    path: &'a str,
    before: Option<u64>,
    now: Option<u64>,
    change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Same,
    More,
    Less,
    New,
    Gone,
}

/// A row for each benchmark. Of a partial run, what was not run is not missed.
pub(super) fn rows<'a>(
    before: &'a Values,
    now: &'a Values,
    unit: Unit,
    partial: bool,
) -> Vec<Row<'a>> {
    let paths: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let rows = paths.into_iter().map(|path| {
        let (before, now) = (before.get(path).copied(), now.get(path).copied());
        let change = Change::of(before, now, unit);
        Row {
            path,
            before,
            now,
            change,
        }
    });
    rows.filter(|row| !(partial && row.change == Change::Gone))
        .collect()
}

/// The table, with `name` over the column of what was before.
pub(super) fn render(rows: &[Row<'_>], name: &str, unit: Unit) -> String {
    let unit_name = unit.to_string();
    let paths = rows.iter().map(|row| row.path.len());
    let width = paths.chain([unit_name.len()]).max().unwrap_or(0);
    let mut table = format!(
        "{unit_name:<width$}  {name:>12}  {:>12}  {:>6}\n",
        "now", "ratio"
    );
    for row in rows {
        let show = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |v| unit.show(v));
        let ratio = ratio(row.before, row.now);
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.3}"));
        let line = format!(
            "{:<width$}  {:>12}  {:>12}  {ratio:>6}  {}",
            row.path,
            show(row.before),
            show(row.now),
            row.change.mark(),
        );
        table += line.trim_end();
        table.push('\n');
    }
    table
}

/// One line about all rows.
pub(super) fn summary(rows: &[Row<'_>], unit: Unit) -> String {
    let count = |change| rows.iter().filter(|row| row.change == change).count();
    let percent = unit.tolerance() * 100.0;
    let compared = rows.len() - count(Change::New) - count(Change::Gone);
    let mut summary = format!("{unit} of {compared} benchmarks: ");
    summary += &match (count(Change::More), count(Change::Less)) {
        (0, 0) => format!("all within {percent:.0} %"),
        (more, less) => format!("{more} more, {less} less by over {percent:.0} %"),
    };
    for (change, what) in [(Change::New, "new"), (Change::Gone, "gone")] {
        if count(change) > 0 {
            summary += &format!(", {} {what}", count(change));
        }
    }
    summary
}

/// The instructions of one result, with nothing to compare them with.
pub(super) fn list(values: &Values) -> String {
    let width = values.keys().map(String::len).max().unwrap_or(0);
    let lines = values
        .iter()
        .map(|(path, value)| format!("{path:<width$}  {value:>12}\n"));
    lines.collect()
}

// ===== impl Change =====

impl Change {
    fn of(before: Option<u64>, now: Option<u64>, unit: Unit) -> Self {
        match (before, now) {
            (None, _) => Self::New,
            (_, None) => Self::Gone,
            _ => match ratio(before, now) {
                Some(ratio) if ratio > 1.0 + unit.tolerance() => Self::More,
                // Undone, it would be more by as much.
                Some(ratio) if ratio < 1.0 / (1.0 + unit.tolerance()) => Self::Less,
                _ => Self::Same,
            },
        }
    }

    const fn mark(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::More => "more",
            Self::Less => "less",
            Self::New => "new",
            Self::Gone => "gone",
        }
    }
}

fn ratio(before: Option<u64>, now: Option<u64>) -> Option<f64> {
    let (before, now) = (before.filter(|&before| before > 0)?, now?);
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let ratio = now as f64 / before as f64;
    Some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[(&str, u64)]) -> Values {
        values
            .iter()
            .map(|&(path, value)| (path.to_owned(), value))
            .collect()
    }

    #[test]
    fn what_differs_is_marked() {
        let before = values(&[
            ("echo", 1000),
            ("faster", 1000),
            ("gone", 7),
            ("slower", 1000),
        ]);
        let now = values(&[
            ("echo", 1019),
            ("faster", 900),
            ("new", 7),
            ("slower", 1021),
        ]);
        let rows = rows(&before, &now, Unit::Instructions, false);
        assert_eq!(
            render(&rows, "before", Unit::Instructions),
            "instructions        before           now   ratio\n\
             echo                  1000          1019   1.019\n\
             faster                1000           900   0.900  less\n\
             gone                     7             -          gone\n\
             new                      -             7          new\n\
             slower                1000          1021   1.021  more\n"
        );
        assert_eq!(
            summary(&rows, Unit::Instructions),
            "instructions of 3 benchmarks: 1 more, 1 less by over 2 %, 1 new, 1 gone"
        );
    }

    #[test]
    fn a_partial_run_misses_nothing() {
        let (before, now) = (values(&[("a", 5), ("b", 5)]), values(&[("a", 5)]));
        let rows = rows(&before, &now, Unit::Picoseconds, true);
        assert_eq!(
            summary(&rows, Unit::Picoseconds),
            "times of 1 benchmarks: all within 10 %"
        );
    }

    #[test]
    fn nothing_to_divide_by_is_no_change() {
        assert_eq!(
            Change::of(Some(0), Some(9), Unit::Instructions),
            Change::Same
        );
        assert_eq!(ratio(Some(0), Some(9)), None);
    }

    #[test]
    fn a_list_is_aligned() {
        assert_eq!(
            list(&values(&[("a", 5), ("a/longer", 12)])),
            "a                    5\na/longer            12\n"
        );
    }
}
