use anyhow::{Context, Result};

/// What the simulation saw of one group, in its order.
#[derive(Debug)]
pub(super) struct Samples(Vec<Sample>);

/// The spread at one moment, as times of the mean.
#[derive(Debug)]
pub(super) struct Sample {
    policy: String,
    pub(super) phase: String,
    pub(super) time: f64,
    pub(super) fullest: f64,
    pub(super) emptiest: f64,
}

#[derive(Debug, PartialEq)]
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) begin: f64,
}

// ===== impl Samples =====

impl Samples {
    /// Reads what the test wrote: comma-separated, with a line of headings.
    ///
    /// # Errors
    ///
    /// When the test writes something else than this expects.
    pub(super) fn parse(csv: &str) -> Result<Self> {
        let lines = csv.lines().skip(1);
        let samples = lines.map(|line| sample(line).with_context(|| format!("in `{line}`")));
        let samples: Vec<_> = samples.collect::<Result<_>>()?;
        anyhow::ensure!(!samples.is_empty(), "the simulation saw nothing");
        Ok(Self(samples))
    }

    pub(super) fn policies(&self) -> Vec<&str> {
        let mut policies: Vec<_> = self.0.iter().map(|s| s.policy.as_str()).collect();
        policies.dedup();
        policies
    }

    pub(super) fn of(&self, policy: &str) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.policy == policy)
    }

    /// The same for every policy.
    pub(super) fn phases(&self) -> Vec<Phase> {
        let mut phases: Vec<Phase> = Vec::new();
        for sample in self.of(&self.0[0].policy) {
            if phases.last().is_none_or(|last| last.name != sample.phase) {
                phases.push(Phase {
                    name: sample.phase.clone(),
                    begin: sample.time,
                });
            }
        }
        phases
    }

    /// When the last one was taken.
    pub(super) fn end(&self) -> f64 {
        self.0.iter().map(|sample| sample.time).fold(0.0, f64::max)
    }
}

fn sample(line: &str) -> Result<Sample> {
    let columns: Vec<_> = line.split(',').collect();
    let [policy, phase, time, fullest, emptiest] = columns[..] else {
        anyhow::bail!("{} columns, not 5", columns.len());
    };
    Ok(Sample {
        policy: policy.to_owned(),
        phase: phase.to_owned(),
        time: time.parse()?,
        fullest: fullest.parse()?,
        emptiest: emptiest.parse()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_and_phases_are_found_in_their_order() {
        let csv = "policy,phase,time,fullest,emptiest\n\
                   b,steady,0.00,1.5,0.5\nb,death,0.05,1.5,0.5\na,steady,0.00,1.5,0.5\n";
        let samples = Samples::parse(csv).unwrap();
        assert_eq!(samples.policies(), ["b", "a"]);
        let phases = samples.phases();
        let begins: Vec<_> = phases.iter().map(|p| (p.name.as_str(), p.begin)).collect();
        assert_eq!(begins, [("steady", 0.0), ("death", 0.05)]);
        assert_eq!(samples.of("b").count(), 2);
        assert!((samples.end() - 0.05).abs() < 1e-9);
    }

    #[test]
    fn a_line_that_is_not_understood_is_shown() {
        for csv in ["x\n", "x\na,b,c\n", "x\na,b,c,1,2\n"] {
            assert!(Samples::parse(csv).is_err(), "{csv}");
        }
        let error = Samples::parse("x\na,b,c,1,2\n").unwrap_err();
        assert_eq!(error.to_string(), "in `a,b,c,1,2`");
    }
}
