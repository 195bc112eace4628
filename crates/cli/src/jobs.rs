//! Several things at once.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// As many threads as there are processors; one where that cannot be found out.
pub(crate) fn processors() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Does the work for each item on so many threads, each with something of its own, which take the
/// items in order; returns what came of each. Where no more threads are to be had fewer do it.
pub(crate) fn each<T: Sync, R: Send, O>(
    threads: NonZeroUsize,
    items: &[T],
    own: impl Fn() -> O + Sync,
    work: impl Fn(&mut O, &T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take = || {
        let (mut own, mut done) = (own(), Vec::new());
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else {
                return done;
            };
            done.push((at, work(&mut own, item)));
        }
    };
    let mut all = thread::scope(|scope| {
        let others = threads.get().min(items.len()).saturating_sub(1);
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, take).ok();
        let others: Vec<_> = (0..others).filter_map(spawn).collect();
        let mut all = take();
        for other in others {
            match other.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_once_in_order() {
        let items: Vec<u32> = (0..100).collect();
        let three = NonZeroUsize::new(3).expect("not 0");
        let doubled = each(three, &items, || 2, |two, item| item * *two);
        assert!(doubled.iter().zip(&items).all(|(two, one)| *two == one * 2));
        assert_eq!(doubled.len(), 100);
        assert!(each(three, &[] as &[u32], || (), |(), item| *item).is_empty());
    }
}
