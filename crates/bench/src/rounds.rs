//! How time is measured: in turns, round by round, so that what disturbs one disturbs all.

use crate::Result;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// How long one contestant's turn in a round is: too short to be interrupted in most.
    pub(crate) turn: Duration,
}

impl Effort {
    /// Rounds of what takes much longer than a turn.
    pub(crate) fn few(self) -> usize {
        self.rounds.div_ceil(28).max(3)
    }
}

/// Something that is measured; an error takes it out.
pub(crate) type Contestant<'a> = Result<Box<dyn Fn() -> Result<()> + 'a>>;

/// Medians in nanoseconds; NaN for those that cannot do it. `reasons` gets why.
pub(crate) fn medians(
    effort: Effort,
    contestants: &[(&str, Contestant<'_>)],
    reasons: &mut Vec<String>,
) -> Vec<f64> {
    let mut counts = Vec::new();
    for (name, contestant) in contestants {
        let count = match contestant {
            Ok(run) => count_of(effort.turn, run),
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = &count {
            let reason = format!("{name}: {error}");
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        counts.push(count);
    }
    let mut times = vec![Vec::new(); contestants.len()];
    for _ in 0..effort.rounds {
        for ((times, (_, contestant)), count) in times.iter_mut().zip(contestants).zip(&counts) {
            if let (Ok(run), Ok(count)) = (contestant, count) {
                times.push(turn(*count, run));
            }
        }
    }
    times.into_iter().map(median).collect()
}

fn turn(count: u32, run: &dyn Fn() -> Result<()>) -> f64 {
    // It worked before: see `count_of`.
    let run = || black_box(run()).expect("a contestant failed in the middle of its turn");
    // The others' turns have left nothing of it in the caches.
    run();
    let began = Instant::now();
    for _ in 0..count {
        run();
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

/// How often it fits into a turn when nothing is in its way.
fn count_of(turn: Duration, run: &dyn Fn() -> Result<()>) -> Result<u32> {
    let began = Instant::now();
    let mut best = Duration::MAX;
    while best == Duration::MAX || began.elapsed() < turn {
        let began = Instant::now();
        run()?;
        best = best.min(began.elapsed());
    }
    let count = turn.as_nanos() / best.as_nanos().max(1);
    Ok(u32::try_from(count).unwrap_or(u32::MAX).max(1))
}

/// NaN of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs `measure` beside so many threads that do nothing but compute.
pub(crate) fn beside<R>(busy: usize, measure: impl FnOnce() -> R) -> R {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..busy {
            scope.spawn(|| {
                let mut n = 1_u64;
                while !done.load(Ordering::Relaxed) {
                    for _ in 0..1000 {
                        n = black_box(n.wrapping_mul(6_364_136_223_846_793_005) + 1);
                    }
                }
            });
        }
        let _stop = Stop(&done);
        measure()
    })
}

/// Also when something panics, or the scope would wait for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_cannot_is_left_out() {
        let effort = Effort {
            rounds: 3,
            turn: Duration::ZERO,
        };
        let mut reasons = Vec::new();
        let contestants: [(&str, Contestant<'_>); 3] = [
            ("good", Ok(Box::new(|| Ok(())))),
            ("bad", Ok(Box::new(|| Err("breaks".into())))),
            ("none", Err("is not here".into())),
        ];
        let medians = beside(1, || medians(effort, &contestants, &mut reasons));
        assert_eq!(
            medians.iter().map(|m| m.is_nan()).collect::<Vec<_>>(),
            [false, true, true]
        );
        assert_eq!(reasons, ["bad: breaks", "none: is not here"]);
    }

    #[test]
    fn the_middle_one_is_the_median() {
        assert_eq!(median(vec![3.0, 1.0, 9.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
    }
}
