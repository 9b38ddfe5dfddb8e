//! Values of one measurement, and what is told of them.

use std::fmt;
use std::time::Duration;

/// What a value is counted in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unit {
    /// Milliseconds.
    Millis,
    /// Percent of one core.
    Percent,
    /// Megabytes of 1,000,000 bytes.
    Megabytes,
}

/// All values of one measurement, sorted. It has at least one.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    unit: Unit,
    sorted: Vec<f64>,
}

impl Sample {
    /// Takes the values in any order; one that is no number counts as the largest.
    pub(crate) fn new(unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self { unit, sorted }
    }

    /// Times.
    pub(crate) fn times(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::new(Unit::Millis, times.into_iter().map(|time| time.as_secs_f64() * 1_000.0))
    }

    /// The value that this share of all values does not exceed (nearest rank).
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
    }

    /// The middle one.
    pub(crate) fn median(&self) -> f64 {
        let lower = self.percentile(50);
        if self.sorted.len() % 2 == 1 {
            return lower;
        }
        self.sorted.get(self.sorted.len() / 2).map_or(lower, |upper| f64::midpoint(lower, *upper))
    }

    fn shown(&self, value: f64) -> String {
        match self.unit {
            Unit::Millis if value < 9.995 => format!("{value:.2} ms"),
            Unit::Millis if value < 99.95 => format!("{value:.1} ms"),
            Unit::Millis => format!("{value:.0} ms"),
            Unit::Percent => format!("{value:.3} %"),
            Unit::Megabytes => format!("{value:.1} MB"),
        }
    }
}

/// The median, and of several values also the smallest and the largest; from 20 on the 95th percentile too.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(self.median()))?;
        if let (Some(first), Some(last)) = (self.sorted.first(), self.sorted.last())
            && self.sorted.len() > 1
        {
            write!(f, " ({}–{})", self.shown(*first), self.shown(*last))?;
        }
        if self.sorted.len() >= 20 {
            write!(f, ", p95 {}", self.shown(self.percentile(95)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert!((Sample::new(Unit::Millis, [3.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
        assert!((Sample::new(Unit::Millis, [4.0, 1.0, 3.0, 2.0]).median() - 2.5).abs() < 1e-9);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let sample = Sample::new(Unit::Millis, (1..=50).map(f64::from));
        assert!((sample.percentile(95) - 48.0).abs() < 1e-9);
        assert_eq!(sample.to_string(), "25.5 ms (1.00 ms–50.0 ms), p95 48.0 ms");
    }
}
